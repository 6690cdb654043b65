/** SHA-256 and what is derived by it. */
import { createHash, hash, hkdfSync } from 'node:crypto';

/** SHA-256 over the chunks one behind the other; text is its UTF-8 bytes. 32 bytes. */
export function sha256(...chunks: readonly (Uint8Array | string)[]): Uint8Array {
  const [first = ''] = chunks;
  if (chunks.length <= 1) return hash('sha256', first, 'buffer');
  const digest = createHash('sha256');
  for (const chunk of chunks) digest.update(chunk);
  return digest.digest();
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
