/** Names one Check, so that the proxy's own retry of it finds its one-time value spent by itself. */
import { encodeBase64url } from '../encoding/base64url.ts';
import { lpConcat, u32, u64, concat } from '../encoding/bytes.ts';
import { sha256 } from './digest.ts';
import { randomBytes } from './random.ts';

const LABEL = 'countersign/owner/1';
const OWNER_BYTES = 16;

/**
 * 22 characters, the same for each retry of one Check.
 *
 * @param httpId the proxy's stream id, not empty: without one it is `unrecognised`.
 * @param seconds @param nanos the proxy's receive time.
 */
export function checkOwner(httpId: string, seconds: number | bigint, nanos: number): string {
  const digest = sha256(concat([lpConcat(LABEL, httpId), u64(seconds), u32(nanos)]));
  return encodeBase64url(digest.subarray(0, OWNER_BYTES));
}

/** One of its own, for a Check without a stream id or one that could not be read: no retry of it is recognised. */
export function unrecognised(): string {
  return encodeBase64url(randomBytes(OWNER_BYTES));
}
