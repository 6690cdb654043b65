/**
 * Base64url without padding (RFC 4648 section 5), canonical: each byte string has one text and each text at most one byte string.
 * So a value can't be presented twice under two spellings. Browser-safe.
 */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Any value with a bit above the lowest six marks a character outside the alphabet. */
const NOT_IN_ALPHABET = 0xff;

const VALUES = new Uint8Array(128).fill(NOT_IN_ALPHABET);
for (let i = 0; i < ALPHABET.length; i++) VALUES[ALPHABET.charCodeAt(i)] = i;

/** In the runtime and in newer browsers: three times as fast. Its counterpart for decoding takes more than the canonical form. */
interface Encodable extends Uint8Array {
  toBase64?(options: typeof UNPADDED): string;
}

const UNPADDED = { alphabet: 'base64url', omitPadding: true } as const;

export function encodeBase64url(bytes: Uint8Array): string {
  return (bytes as Encodable).toBase64?.(UNPADDED) ?? encodeByTable(bytes);
}

function encodeByTable(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const group = (byteAt(bytes, i) << 16) | (byteAt(bytes, i + 1) << 8) | byteAt(bytes, i + 2);
    text += letter(group >> 18) + letter(group >> 12) + letter(group >> 6) + letter(group);
  }
  // A byte needs two characters, two need three; what the missing ones gave is cut off.
  return text.slice(0, Math.ceil((bytes.length * 4) / 3));
}

const encoder = new TextEncoder();

/** For the characters of a proof, as bytes: in a loop those are read much faster than out of a text. */
const scratch = new Uint8Array(1024);

/** Undefined for padding, white space, `+` and `/`, an impossible length, and stray bits in the last character. */
export function decodeBase64url(text: string): Uint8Array | undefined {
  const { length } = text;
  const tail = length % 4;
  if (tail === 1) return undefined;
  const characters = length <= scratch.length ? scratch : new Uint8Array(length);
  // A character of several bytes stops it or leaves no room for all the others.
  const { read, written } = encoder.encodeInto(text, characters);
  if (read !== length || written !== length) return undefined;
  const out = new Uint8Array(Math.floor((length * 3) / 4));
  let bad = 0;
  let at = 0;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    const a = valueAt(characters, i);
    const b = valueAt(characters, i + 1);
    const c = valueAt(characters, i + 2);
    const d = valueAt(characters, i + 3);
    bad |= a | b | c | d;
    out[at++] = (a << 2) | (b >> 4);
    out[at++] = (b << 4) | (c >> 2);
    out[at++] = (c << 6) | d;
  }
  if (tail !== 0) {
    const a = valueAt(characters, i);
    const b = valueAt(characters, i + 1);
    const c = tail === 3 ? valueAt(characters, i + 2) : 0;
    bad |= a | b | c;
    out[at++] = (a << 2) | (b >> 4);
    if (tail === 3) out[at] = (b << 4) | (c >> 2);
    const strayBits = tail === 2 ? b & 0b1111 : c & 0b11;
    if (strayBits !== 0) return undefined;
  }
  return bad > 0b11_1111 ? undefined : out;
}

function letter(group: number): string {
  return ALPHABET.charAt(group & 0b11_1111);
}

function byteAt(bytes: Uint8Array, i: number): number {
  return bytes[i] ?? 0;
}

function valueAt(characters: Uint8Array, i: number): number {
  return VALUES[characters[i] ?? NOT_IN_ALPHABET] ?? NOT_IN_ALPHABET;
}
