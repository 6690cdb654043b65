/**
 * Writes protobuf into text of one character a byte, so that a field's length is the text's length and nesting is concatenation.
 * Answers are small and nearly all ASCII; `toBytes` makes them bytes once, at the end.
 */
import { Buffer } from 'node:buffer';
import { utf8 } from '../encoding/bytes.ts';

/** A message, or part of one, one character a byte. */
export type Wire = string;

/** A length-delimited field: a nested message, or what `text` returns. Written even when empty. @param number below 16. */
export function field(number: number, content: Wire): Wire {
  return String.fromCharCode((number << 3) | 2) + varint(content.length) + content;
}

/** A varint field, written even when 0. @param number below 16. */
export function integerField(number: number, value: number): Wire {
  return String.fromCharCode(number << 3) + varint(value);
}

/** @throws {RangeError} for a lone surrogate. */
export function text(value: string): Wire {
  return /[\u0080-\uffff]/.test(value) ? Buffer.from(utf8(value)).toString('latin1') : value;
}

export function toBytes(wire: Wire): Buffer {
  return Buffer.from(wire, 'latin1');
}

function varint(value: number): Wire {
  let rest = value;
  let out = '';
  while (rest >= 0x80) {
    out += String.fromCharCode((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  return out + String.fromCharCode(rest);
}
