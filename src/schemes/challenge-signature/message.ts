/**
 * The wire format of challenge-signature: the Authorization header, the challenge in it, and the exact bytes that are signed.
 * Verifier, issuer and client library share this file, so they can't disagree; it is browser-safe and judges nothing
 * (`verify.ts`) but forms.
 */
import { deny } from '../../core/decision.ts';
import { isIdentifier, isKeyId } from '../../core/directory.ts';
import { formatAuthHeader, type HeaderParams } from '../../encoding/auth-header.ts';
import { decodeBase64url, encodeBase64url } from '../../encoding/base64url.ts';
import { canonicalRequest } from '../../encoding/canonical-request.ts';

export const SCHEME = 'challenge-signature';
export const AUTH_SCHEME = 'ChallengeSignature';
const LABEL = 'countersign/challenge-signature/1';

export type ChallengeKind = 'stored' | 'stateless';

/**
 * | bytes | `stored` | `stateless` |
 * |---|---|---|
 * | 0 | `00` | `01` |
 * | 1-8 | issuer's clock at issue, unix ms, U64 | the same |
 * | 9-40 | nonce[32] | nonce[16], mac[16] |
 */
export interface Challenge {
  readonly kind: ChallengeKind;
  readonly issuedAtMs: number;
  /** All 41. */
  readonly bytes: Uint8Array;
}

const KIND_BYTES: readonly ChallengeKind[] = ['stored', 'stateless'];
const CHALLENGE_BYTES = 41;
const CHALLENGE_CHARS = 55;
const SIGNATURE_BYTES = 64;
const SIGNATURE_CHARS = 86;
/** Before the MAC: kind, time, nonce[16]. */
export const MACED_BYTES = 25;
export const MAC_BYTES = CHALLENGE_BYTES - MACED_BYTES;

export interface Proof {
  readonly user: string;
  readonly kid: string;
  readonly challenge: Challenge;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

/** Read by itself, since a refusal of all else may carry a new challenge for this user. @throws {Denial} `malformed` */
export function parseUser(params: HeaderParams): string {
  const user = params.get('user');
  if (typeof user !== 'string' || !isIdentifier(user)) deny('malformed', 'user is not a quoted identifier');
  return user;
}

/** @throws {Denial} `malformed` */
export function parseProof(user: string, params: HeaderParams): Proof {
  const kid = params.get('kid');
  if (typeof kid !== 'string' || !isKeyId(kid)) deny('malformed', 'kid is not a quoted key id');
  const challenge = decode(params.get('ch'), CHALLENGE_CHARS) ?? deny('malformed', 'ch is not 41 bytes in base64url');
  const signature = decode(params.get('sig'), SIGNATURE_CHARS) ?? deny('malformed', 'sig is not 64 bytes in base64url');
  return { user, kid, challenge: readChallenge(challenge), signature };
}

/** Length first: nothing longer is ever decoded. */
function decode(text: string | number | undefined, chars: number): Uint8Array | undefined {
  return typeof text === 'string' && text.length === chars ? decodeBase64url(text) : undefined;
}

function readChallenge(bytes: Uint8Array): Challenge {
  const view = new DataView(bytes.buffer, bytes.byteOffset, CHALLENGE_BYTES);
  const kind = KIND_BYTES[view.getUint8(0)] ?? deny('malformed', 'challenge of an unknown kind');
  const issuedAtMs = view.getUint32(1) * 2 ** 32 + view.getUint32(5);
  if (!Number.isSafeInteger(issuedAtMs)) deny('malformed', 'time of the challenge is no safe integer');
  return { kind, issuedAtMs, bytes };
}

/** @param rest what follows the time: 32 bytes, or for a MAC still to come the first 16 of them. */
export function writeChallenge(kind: ChallengeKind, issuedAtMs: number, rest: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(CHALLENGE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, KIND_BYTES.indexOf(kind));
  view.setUint32(1, Math.floor(issuedAtMs / 2 ** 32));
  view.setUint32(5, issuedAtMs % 2 ** 32);
  bytes.set(rest, 9);
  return bytes;
}

/** Value of the Authorization header. @param challenge as it was received: opaque text to a client. */
export function formatProof(proof: { user: string; kid: string; challenge: string; signature: Uint8Array }): string {
  if (proof.signature.length !== SIGNATURE_BYTES) throw new RangeError('a signature has 64 bytes');
  return formatAuthHeader(AUTH_SCHEME, {
    user: proof.user,
    kid: proof.kid,
    ch: proof.challenge,
    sig: encodeBase64url(proof.signature),
  });
}

/** A challenge on its way to a client, in band or from the endpoint. */
export interface IssuedChallenge {
  /** 55 characters. */
  readonly challenge: string;
  /** Last instant at which it may be used, unix ms on the issuer's clock. */
  readonly expiresAtMs: number;
}

/** Value of `www-authenticate`. @param error wire code of the refusal. */
export function formatChallengeLine(realm: string, error?: string, next?: IssuedChallenge): string {
  return formatAuthHeader(AUTH_SCHEME, {
    realm,
    ...(error !== undefined && { error }),
    ...(next && { challenge: next.challenge, expires_at: next.expiresAtMs }),
  });
}

/** Value of `authentication-info` (RFC 9110 section 11.6.3). */
export function formatAuthenticationInfo(next: IssuedChallenge): string {
  return `challenge="${next.challenge}", expires_at=${next.expiresAtMs}`;
}

/**
 * The canonical request with user and key id as credential, the challenge as what makes it once and now.
 *
 * @param challenge 41 bytes.
 * @param bodyDigest SHA-256 of the complete body, or zero bytes under body policy `none`.
 */
export function signedBytes(
  who: { readonly user: string; readonly kid: string },
  challenge: Uint8Array,
  request: { readonly method: string; readonly scheme: string; readonly authority: string; readonly target: string },
  bodyDigest: Uint8Array,
): Uint8Array {
  return canonicalRequest(LABEL, `${who.user}/${who.kid}`, challenge, request, bodyDigest);
}
