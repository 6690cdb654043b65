/** A change of a record that others may change at the same time. */
import { StoreFault } from '../../core/fault.ts';

const ATTEMPTS = 3;

/**
 * Reads, judges and swaps anew when another change was faster.
 *
 * @param attempt false: the record was another one by then.
 * @throws {StoreFault} `busy` after three lost races. @throws whatever the attempt throws.
 */
export async function untilSwapped<Result>(attempt: () => Promise<Result | false>): Promise<Result> {
  for (let count = 0; count < ATTEMPTS; count++) {
    const result = await attempt();
    if (result !== false) return result;
  }
  throw new StoreFault('busy', 'the record changed three times in between');
}
