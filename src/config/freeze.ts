/** A configuration that is in force is never changed in place: a reload swaps it as a whole. */
import { Secret } from '../core/secret.ts';

/** Freezes maps and lists all the way down. */
export function freezeDeep<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Secret) return value;
  for (const member of Object.values(value)) freezeDeep(member);
  return Object.freeze(value);
}
