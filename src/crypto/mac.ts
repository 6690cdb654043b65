/** HMAC (RFC 2104). Compare the result with `constantTimeEqual` only. */
import { createHmac } from 'node:crypto';
import { Secret } from '../core/secret.ts';
import { latin1Bytes } from './digest.ts';

/** HMAC-SHA-256 over the chunks one behind the other; text is its UTF-8 bytes. 32 bytes. */
export function hmacSha256(
  key: Secret<Uint8Array> | Uint8Array,
  ...chunks: readonly (Uint8Array | string)[]
): Uint8Array {
  const mac = createHmac('sha256', key instanceof Secret ? key.reveal() : key);
  for (const chunk of chunks) mac.update(chunk);
  return latin1Bytes(mac.digest('latin1'));
}

/** HMAC-SHA-512 over one chunk; text is its UTF-8 bytes. 64 bytes. */
export function hmacSha512(key: Secret<Uint8Array> | Uint8Array, message: Uint8Array | string): Uint8Array {
  const mac = createHmac('sha512', key instanceof Secret ? key.reveal() : key);
  return latin1Bytes(mac.update(message).digest('latin1'));
}
