/** Wire of the header form: `Authorization: BetterAuth token="...", ts="...", nonce="...", sig="..."`, and the bytes signed. Browser-safe. */
import { deny } from '../../core/decision.ts';
import { formatAuthHeader, type HeaderParams } from '../../encoding/auth-header.ts';
import { concat, u64, utf8 } from '../../encoding/bytes.ts';
import { canonicalRequest, type CanonicalParts } from '../../encoding/canonical-request.ts';
import { decode, encode, isNonce } from '../../encoding/cesr.ts';
import { parseInteger } from '../../encoding/integer.ts';
import { AUTH_SCHEME } from './message.ts';

const LABEL = 'better-auth/1';
const TOKEN = /^[A-Za-z0-9_-]{90,3600}$/;

/** When and which: what makes a message fresh and once. */
export interface Freshness {
  readonly timestampMs: number;
  /** 24 characters, as received. */
  readonly nonce: string;
}

export interface HeaderProof extends Freshness {
  readonly token: string;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

/** All four quoted, all required, in any order; unknown ones are ignored. @throws {Denial} `malformed` */
export function parseHeaderProof(params: HeaderParams): HeaderProof {
  const [token, ts, nonce] = [params.get('token'), params.get('ts'), params.get('nonce')];
  if (typeof token !== 'string' || !TOKEN.test(token)) return deny('malformed', 'token: another length or alphabet');
  const timestampMs = typeof ts === 'string' ? parseInteger(ts) : undefined;
  if (timestampMs === undefined) return deny('malformed', 'ts: no quoted integer');
  if (!isNonce(nonce)) return deny('malformed', 'nonce: no 0A word');
  return { token, timestampMs, nonce, signature: decode(params.get('sig'), ['0I'], 'sig').raw };
}

/** Value of the Authorization header. */
export function formatHeaderProof({ token, timestampMs, nonce, signature }: HeaderProof): string {
  return formatAuthHeader(AUTH_SCHEME, { token, ts: String(timestampMs), nonce, sig: encode('0I', signature) });
}

/**
 * The canonical request with the token as credential. It begins with a zero byte where a payload begins with `{`, so that the
 * signature of the one form never fits the other.
 *
 * @param tokenDigest SHA-256 of the signed token bytes.
 * @param bodyDigest SHA-256 of the complete body, or zero bytes under body policy `none`.
 */
export function headerSignedBytes(
  tokenDigest: Uint8Array,
  { timestampMs, nonce }: Freshness,
  request: CanonicalParts,
  bodyDigest: Uint8Array,
): Uint8Array {
  const fresh = concat([u64(timestampMs), utf8(nonce)]);
  return canonicalRequest(LABEL, tokenDigest, fresh, request, bodyDigest);
}
