/**
 * What a caller may hand to a store, the same for every implementation. A violation is a programmer's mistake, never reached from
 * input: it throws `RangeError` before any I/O.
 */
import { Buffer } from 'node:buffer';

const MAX_VALUE_BYTES = 16 * 1024;
const OWNER = /^[A-Za-z0-9_-]{1,64}$/;

/** UTF-8 text of at most 16 KiB. A lone surrogate has no UTF-8 form, so it could not be read back as it was written. */
export function requireValue(value: string): void {
  if (!value.isWellFormed()) throw new RangeError('a value is well-formed text');
  // A UTF-16 unit takes at most three bytes; most values are so short that nothing need be counted.
  if (value.length * 3 <= MAX_VALUE_BYTES) return;
  if (Buffer.byteLength(value) > MAX_VALUE_BYTES) throw new RangeError(`a value has at most ${MAX_VALUE_BYTES} bytes`);
}

export function requireOwner(owner: string): void {
  if (!OWNER.test(owner)) throw new RangeError('an owner is 1 to 64 of A-Z a-z 0-9 _ -');
}

/** @param ttlMs `Infinity` for a record that stays. */
export function requireTtl(ttlMs: number): void {
  if (ttlMs === Number.POSITIVE_INFINITY) return;
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1)
    throw new RangeError('a TTL is an integer of at least 1 ms, or Infinity');
}

export function requireTime(unixMs: number): void {
  if (!Number.isSafeInteger(unixMs)) throw new RangeError('a time is an integer in unix milliseconds');
}
