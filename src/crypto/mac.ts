/**
 * HMAC (RFC 2104). Compare the result with `constantTimeEqual` only. The one with SHA-256 runs on each Check, so a short message takes
 * two calls of the one-shot hash: the runtime's own object for a MAC costs twice as much to use, and again when it is collected.
 */
import { createHmac, hash } from 'node:crypto';
import { Secret } from '../core/secret.ts';
import { latin1Bytes, writeLatin1 } from './digest.ts';

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;

/** Longer messages than those of the schemes' proofs go the runtime's way. */
const MAX_SHORT_BYTES = 1024;

/** A pad and what is hashed behind it. Only one at a time is in use: nothing here waits. */
const inner = new Uint8Array(BLOCK_BYTES + MAX_SHORT_BYTES);
const outer = new Uint8Array(BLOCK_BYTES + DIGEST_BYTES);

/** HMAC-SHA-256 over one chunk. 32 bytes. */
export function hmacSha256(key: Secret<Uint8Array> | Uint8Array, message: Uint8Array): Uint8Array {
  const secret = key instanceof Secret ? key.reveal() : key;
  if (secret.length > BLOCK_BYTES || message.length > MAX_SHORT_BYTES)
    return latin1Bytes(createHmac('sha256', secret).update(message).digest('latin1'));
  for (let i = 0; i < BLOCK_BYTES; i++) {
    const byte = secret[i] ?? 0;
    inner[i] = byte ^ INNER_PAD;
    outer[i] = byte ^ OUTER_PAD;
  }
  inner.set(message, BLOCK_BYTES);
  writeLatin1(outer, BLOCK_BYTES, hash('sha256', inner.subarray(0, BLOCK_BYTES + message.length), 'latin1'));
  const mac = latin1Bytes(hash('sha256', outer, 'latin1'));
  inner.fill(0, 0, BLOCK_BYTES);
  outer.fill(0, 0, BLOCK_BYTES);
  return mac;
}

/** HMAC-SHA-512 over one chunk; text is its UTF-8 bytes. 64 bytes. */
export function hmacSha512(key: Secret<Uint8Array> | Uint8Array, message: Uint8Array | string): Uint8Array {
  const mac = createHmac('sha512', key instanceof Secret ? key.reveal() : key);
  return latin1Bytes(mac.update(message).digest('latin1'));
}
