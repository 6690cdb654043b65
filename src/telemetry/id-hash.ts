/** How ids appear in logs and in the proxy's metadata: joinable, not readable. */
import { sha256 } from '../crypto/digest.ts';
import { encodeBase64url } from '../encoding/base64url.ts';
import { lp, toHex } from '../encoding/bytes.ts';

const HASH_CHARS = 16;

/** First 16 characters of base64url(SHA-256(LP(subject))). */
export function subjectHash(subject: string): string {
  return encodeBase64url(sha256(lp(subject))).slice(0, HASH_CHARS);
}

/** First 16 characters of base64url(SHA-256(LP(subject) LP(key id))); an identity without a key has an empty key id. */
export function keyHash(subject: string, keyId: string | undefined): string {
  return encodeBase64url(sha256(lp(subject), lp(keyId ?? ''))).slice(0, HASH_CHARS);
}

/** First 8 bytes of SHA-256 of the path without query, hex. */
export function pathHash(path: string): string {
  return toHex(sha256(path).subarray(0, 8));
}
