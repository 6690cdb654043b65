/**
 * SHA-256, SHA-512 and what is derived by them. Several run on each Check, so they take the ways that were measured to be fastest: one call
 * instead of a hash object, and text out of it, since a Buffer costs as much again as the hash.
 */
import { createHash, hash, hkdfSync } from 'node:crypto';

/** SHA-256 over the chunks one behind the other; text is its UTF-8 bytes. 32 bytes. */
export function sha256(...chunks: readonly (Uint8Array | string)[]): Uint8Array {
  const [only = ''] = chunks;
  if (chunks.length <= 1) return latin1Bytes(hash('sha256', only, 'latin1'));
  const digest = createHash('sha256');
  for (const chunk of chunks) digest.update(chunk);
  return latin1Bytes(digest.digest('latin1'));
}

/** The same of one chunk, as the 43 characters of base64url. */
export function sha256Base64url(chunk: Uint8Array | string): string {
  return hash('sha256', chunk, 'base64url');
}

/** @param text one character a byte. */
export function latin1Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  writeLatin1(bytes, 0, text);
  return bytes;
}

/** @param text one character a byte; they must have room behind `at`. */
export function writeLatin1(out: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) out[at + i] = text.charCodeAt(i);
}

/** SHA-512 of one chunk. 64 bytes. */
export function sha512(bytes: Uint8Array): Uint8Array {
  return latin1Bytes(hash('sha512', bytes, 'latin1'));
}

const EMPTY = new Uint8Array(0);

/**
 * RFC 5869 with SHA-256.
 *
 * @param info separates this use of the key from every other one.
 * @param salt empty unless a specification says otherwise.
 */
export function hkdfSha256(
  ikm: Uint8Array,
  info: string | Uint8Array,
  lengthBytes: number,
  salt: Uint8Array = EMPTY,
): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', ikm, salt, info, lengthBytes));
}

/** The same with SHA-512. */
export function hkdfSha512(ikm: Uint8Array, info: string | Uint8Array, lengthBytes: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha512', ikm, EMPTY, info, lengthBytes));
}
