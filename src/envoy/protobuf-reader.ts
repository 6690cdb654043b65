/**
 * The protobuf wire format, read in place: a cursor over the message's bytes, nothing copied, nothing built for what is skipped.
 * Stricter than the format asks: what the proxy never emits is a fault here, so that no two readers can disagree about a message.
 * Which fields there are is `check-message.ts`.
 */
import { isUtf8 } from 'node:buffer';
import type { Buffer } from 'node:buffer';
import { CheckInvalid } from '../core/fault.ts';

/** A cursor. One object serves a whole message, so that reading allocates nothing. */
export interface Reader {
  readonly bytes: Buffer;
  at: number;
}

/** Part of the message: `end` is exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The span of a field that is not there. */
export const NOWHERE: Span = { start: 0, end: 0 };

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** The key of a length-delimited field, as `readKey` returns it. */
export function delimited(field: number): number {
  return (field << 3) | LENGTH_DELIMITED;
}

/** The key of a varint field. */
export function varint(field: number): number {
  return (field << 3) | VARINT;
}

export function undecodable(what: string): never {
  throw new CheckInvalid('undecodable', what);
}

/** Field number and wire type of the next field: `number << 3 | type`. */
export function readKey(reader: Reader, end: number): number {
  const key = readShort(reader, end);
  if (key < 8) undecodable('field number 0');
  return key;
}

/** Where the delimited field that begins here ends. The cursor is left at its first byte. */
export function readEnd(reader: Reader, end: number): number {
  const length = readShort(reader, end);
  if (length > end - reader.at) undecodable('a length beyond the enclosing message');
  return reader.at + length;
}

/** A varint below 2^31 in at most 5 bytes: keys and lengths. */
function readShort(reader: Reader, end: number): number {
  const { bytes } = reader;
  let at = reader.at;
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    if (at >= end) undecodable('a varint beyond the enclosing message');
    const byte = bytes[at++] as number;
    if (byte < 0x80) {
      if (shift === 28 && byte > 0b111) break;
      reader.at = at;
      return value | (byte << shift);
    }
    value |= (byte & 0x7f) << shift;
  }
  return undecodable('a key or a length beyond 31 bits');
}

/** A `string` field, which has to be UTF-8. The cursor moves behind it. */
export function readText(reader: Reader, end: number): Span {
  const span = readBytes(reader, end);
  requireUtf8(reader.bytes, span.start, span.end);
  return span;
}

/** A `bytes` field. The cursor moves behind it. */
export function readBytes(reader: Reader, end: number): Span {
  const fieldEnd = readEnd(reader, end);
  const start = reader.at;
  reader.at = fieldEnd;
  return { start, end: fieldEnd };
}

/** Nearly all text here is short ASCII, for which a loop is faster than a call into the platform. */
export function requireUtf8(bytes: Buffer, start: number, end: number): void {
  let all = 0;
  for (let i = start; i < end; i++) all |= bytes[i] as number;
  if (all >= 0x80 && !isUtf8(bytes.subarray(start, end))) undecodable('a string that is not UTF-8');
}

/** `int64` and `int32`: what is no safe integer is nothing that this service is sent. */
export function readSigned(reader: Reader, end: number): number {
  const value = readUnsigned(reader, end, true);
  if (!Number.isSafeInteger(value)) undecodable('an integer out of range');
  return value;
}

/** What is known of one message type. */
export interface MessageType<Target> {
  /** Numbers of the fields that `read` knows. */
  readonly known: readonly number[];
  /** Those of them that may occur more than once. */
  readonly repeated?: readonly number[];
  /** Reads the field that begins here, when number and wire type are known. @returns false, the cursor unmoved, when they aren't. */
  readonly read: (target: Target, key: number, reader: Reader, end: number) => boolean;
}

/**
 * Prepares the reading of a message type: `readFields(target, reader, end)` reads up to `end` and tells what was there, bit n for
 * field n. A second copy of a singular field could shadow what the first one said, so it is undecodable.
 */
export function messageReader<Target>({ known, repeated = [], read }: MessageType<Target>) {
  const knownBits = bits(known);
  const singularBits = knownBits & ~bits(repeated);
  return (target: Target, reader: Reader, end: number): number => {
    let seen = 0;
    while (reader.at < end) {
      const key = readKey(reader, end);
      if (!read(target, key, reader, end)) {
        skip(reader, key, end, knownBits);
        continue;
      }
      const bit = 1 << (key >>> 3);
      if ((seen & bit & singularBits) !== 0) undecodable('a singular field that occurs twice');
      seen |= bit;
    }
    return seen;
  };
}

export function once(seen: number, field: number): number {
  const bit = 1 << field;
  if ((seen & bit) !== 0) undecodable('a singular field that occurs twice');
  return seen | bit;
}

function bits(fields: readonly number[]): number {
  return fields.reduce((mask, field) => mask | (1 << field), 0);
}

/** Behind a field nobody asked for. @param knownBits bit n for field n. */
export function skip(reader: Reader, key: number, end: number, knownBits: number): void {
  if (key < 256 && (knownBits & (1 << (key >>> 3))) !== 0) undecodable('a known field with another wire type');
  switch (key & 7) {
    case VARINT:
      readUnsigned(reader, end);
      return;
    case LENGTH_DELIMITED:
      reader.at = readEnd(reader, end);
      return;
    case FIXED64:
      reader.at += 8;
      break;
    case FIXED32:
      reader.at += 4;
      break;
    default:
      undecodable('a group, or a wire type that does not exist');
  }
  if (reader.at > end) undecodable('a fixed-width field beyond the enclosing message');
}

/**
 * A varint of at most 10 bytes. Beyond 2^53 the number is inexact: lengths and keys that large are refused anyway.
 *
 * @param signed the 64 bits as two's complement.
 */
function readUnsigned(reader: Reader, end: number, signed = false): number {
  const { bytes } = reader;
  let at = reader.at;
  let low = 0;
  let high = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    if (at >= end) undecodable('a varint beyond the enclosing message');
    const byte = bytes[at++] as number;
    const group = byte & 0x7f;
    if (shift < 28) low |= group << shift;
    else if (shift === 28) {
      low |= group << 28;
      high = group >>> 4;
    } else high |= group << (shift - 32);
    if (byte < 0x80) {
      if (shift === 63 && byte > 1) undecodable('a varint beyond 64 bits');
      reader.at = at;
      return (signed ? high : high >>> 0) * 0x1_0000_0000 + (low >>> 0);
    }
  }
  return undecodable('a varint over 10 bytes');
}
