/** Reads the records that the store keeps for us as JSON. They are ours alone, so there is no grammar to defend, only damage to find. */
import { Fault } from '../core/fault.ts';

/**
 * @param what names the kind of record in the fault.
 * @returns members, which are the caller's to check.
 * @throws {Fault} `protocol` for anything but a JSON object: damage, never an absent record. It quotes nothing of what stands there.
 */
export function parseRecordJson(text: string, what: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Readonly<Record<string, unknown>>;
  } catch {
    // Told below, without the cause: its message quotes the text.
  }
  throw new Fault('protocol', `${what} that is none of ours`);
}
