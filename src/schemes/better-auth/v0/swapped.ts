/** A change of a record that others may change at the same time. */
import { Fault } from '../../../core/fault.ts';

const ATTEMPTS = 3;

/**
 * Reads, judges and swaps anew when another change was faster.
 *
 * @param attempt false: the record was another one by then.
 * @throws {Fault} `busy` after three lost races. @throws whatever the attempt throws.
 */
export async function untilSwapped(attempt: () => Promise<boolean>): Promise<void> {
  for (let count = 0; count < ATTEMPTS; count++) if (await attempt()) return;
  throw new Fault('busy', 'the record changed three times in between');
}
