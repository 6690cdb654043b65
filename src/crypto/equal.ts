/** The only comparison of secrets and MACs. */
import { timingSafeEqual } from 'node:crypto';

/** Lengths are no secret: unequal ones are unequal without a comparison. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
