/** How ids appear in logs and in the proxy's metadata: joinable, not readable. */
import { sha256, sha256Base64url } from '../crypto/digest.ts';
import { lp, lpConcat, toHex } from '../encoding/bytes.ts';

const HASH_CHARS = 16;

/** First 16 characters of base64url(SHA-256(LP(subject))). */
export function subjectHash(subject: string): string {
  return sha256Base64url(lp(subject)).slice(0, HASH_CHARS);
}

/** First 16 characters of base64url(SHA-256(LP(subject) LP(key id))); an identity without a key has an empty key id. */
export function keyHash(subject: string, keyId: string | undefined): string {
  return sha256Base64url(lpConcat(subject, keyId ?? '')).slice(0, HASH_CHARS);
}

/** First 8 bytes of SHA-256 of the path without query, hex. */
export function pathHash(path: string): string {
  return toHex(sha256(path).subarray(0, 8));
}
