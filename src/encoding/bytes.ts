/**
 * Bytes: UTF-8, concatenation, big-endian integers, length prefixes, hex. Browser-safe.
 * Text with a lone surrogate has no UTF-8 form and is a `RangeError`: a replacement character would make two texts one.
 */

const encoder = new TextEncoder();

/** Of one UTF-16 code unit. */
const MAX_UTF8_BYTES = 3;
const MAX_U32 = 0xffff_ffff;
const MAX_U64 = 0xffff_ffff_ffff_ffffn;

/** @throws {RangeError} when the text holds a lone surrogate. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(wellFormed(text));
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const out = room(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return take(out, length);
}

/** 4 bytes, big-endian. @throws {RangeError} outside 0 to 2^32 - 1. */
export function u32(n: number): Uint8Array {
  if (!Number.isInteger(n) || n < 0 || n > MAX_U32) throw new RangeError('u32: an integer from 0 to 2^32 - 1');
  const out = new Uint8Array(4);
  writeU32(out, 0, n);
  return out;
}

/** 8 bytes, big-endian. @throws {RangeError} for a number that is not a safe integer, and outside 0 to 2^64 - 1. */
export function u64(n: number | bigint): Uint8Array {
  const out = new Uint8Array(8);
  if (typeof n === 'number') {
    if (!Number.isSafeInteger(n)) throw new RangeError('u64: a safe integer');
    if (n < 0) throw new RangeError('u64: an integer from 0 to 2^64 - 1');
    writeU32(out, 0, Math.floor(n / 2 ** 32));
    writeU32(out, 4, n);
    return out;
  }
  if (n < 0n || n > MAX_U64) throw new RangeError('u64: an integer from 0 to 2^64 - 1');
  writeU32(out, 0, Number(n >> 32n));
  writeU32(out, 4, Number(n & BigInt(MAX_U32)));
  return out;
}

/** `U32(byte length) || bytes`; text is its UTF-8 bytes. */
export function lp(x: string | Uint8Array): Uint8Array {
  return lpConcat(x);
}

/**
 * `LP(part1) || LP(part2) || ...`: no two different lists of parts give equal bytes. Runs on each Check.
 *
 * @returns a view whose `buffer` holds other bytes beside.
 */
export function lpConcat(...parts: readonly (string | Uint8Array)[]): Uint8Array {
  let most = 0;
  for (const part of parts) most += 4 + (typeof part === 'string' ? MAX_UTF8_BYTES : 1) * part.length;
  const out = room(most);
  let at = 0;
  for (const part of parts) at = writeLp(out, at, part);
  return take(out, at);
}

function writeLp(out: Uint8Array, at: number, x: string | Uint8Array): number {
  const start = at + 4;
  const length = typeof x === 'string' ? encoder.encodeInto(wellFormed(x), out.subarray(start)).written : x.length;
  if (typeof x !== 'string') out.set(x, start);
  writeU32(out, at, length);
  return start + length;
}

/** Bits above the lowest 32 are dropped. */
function writeU32(out: Uint8Array, at: number, n: number): void {
  out[at] = n >>> 24;
  out[at + 1] = n >>> 16;
  out[at + 2] = n >>> 8;
  out[at + 3] = n;
}

const SLAB_BYTES = 8192;
let slab = new Uint8Array(SLAB_BYTES);
let slabUsed = 0;

/**
 * At least so many bytes to write into; `take` says how many of them were, and only those are handed out, once. Both are views into a
 * larger buffer: an ArrayBuffer for each of a Check's messages would cost more than hashing them.
 */
function room(length: number): Uint8Array {
  if (length > SLAB_BYTES) return new Uint8Array(length);
  if (slabUsed + length > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES);
    slabUsed = 0;
  }
  return slab.subarray(slabUsed);
}

function take(out: Uint8Array, length: number): Uint8Array {
  if (out.buffer === slab.buffer) slabUsed += length;
  return out.subarray(0, length);
}

function wellFormed(text: string): string {
  if (!text.isWellFormed()) throw new RangeError('text with a lone surrogate has no UTF-8 form');
  return text;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Lower case. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/** Undefined for an odd length, upper case, or anything else that is no hex digit. */
export function fromHex(text: string): Uint8Array | undefined {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) return undefined;
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}
