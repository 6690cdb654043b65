/**
 * Bytes: UTF-8, concatenation, big-endian integers, length prefixes, hex. Browser-safe.
 * Text with a lone surrogate has no UTF-8 form and is a `RangeError`: a replacement character would make two texts one.
 */

const encoder = new TextEncoder();

/** @throws {RangeError} when the text holds a lone surrogate. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(wellFormed(text));
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** 4 bytes, big-endian. @throws {RangeError} outside 0 to 2^32 - 1. */
export function u32(n: number): Uint8Array {
  if (!Number.isInteger(n) || n < 0 || n > 0xffff_ffff) throw new RangeError('u32: an integer from 0 to 2^32 - 1');
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, n);
  return out;
}

/** 8 bytes, big-endian. @throws {RangeError} for a number that is not a safe integer, and outside 0 to 2^64 - 1. */
export function u64(n: number | bigint): Uint8Array {
  if (typeof n === 'number' && !Number.isSafeInteger(n)) throw new RangeError('u64: a safe integer');
  const value = BigInt(n);
  if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new RangeError('u64: an integer from 0 to 2^64 - 1');
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, value);
  return out;
}

/** `U32(byte length) || bytes`; text is its UTF-8 bytes. */
export function lp(x: string | Uint8Array): Uint8Array {
  return lpConcat(x);
}

/** `LP(part1) || LP(part2) || ...` in one allocation: no two different lists of parts give equal bytes. Runs on each Check. */
export function lpConcat(...parts: readonly (string | Uint8Array)[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += 4 + byteLength(part);
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) at = writeLp(out, at, part);
  return out;
}

function byteLength(x: string | Uint8Array): number {
  if (typeof x !== 'string') return x.length;
  let length = x.length;
  for (let i = 0; i < x.length; i++) {
    const unit = x.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdfff) return utf8(x).length;
    if (unit >= 0x80) length += unit < 0x800 ? 1 : 2;
  }
  return length;
}

function writeLp(out: Uint8Array, at: number, x: string | Uint8Array): number {
  const start = at + 4;
  const length = typeof x === 'string' ? writeUtf8(out, start, x) : x.length;
  if (typeof x !== 'string') out.set(x, start);
  out[at] = length >>> 24;
  out[at + 1] = length >>> 16;
  out[at + 2] = length >>> 8;
  out[at + 3] = length;
  return start + length;
}

/** Nearly all text here is short ASCII, for which a loop is faster than a call into the platform's encoder. */
function writeUtf8(out: Uint8Array, start: number, text: string): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) return encoder.encodeInto(text, out.subarray(start)).written;
    out[start + i] = unit;
  }
  return text.length;
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
