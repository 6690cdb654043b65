/**
 * The wire format of opaque-pop: the header of the profile `strict`, the exact bytes that its MACs cover, and what server and client
 * must agree on beside. Verifier, issuer and client library share this file; it is browser-safe and judges nothing (`verify.ts`) but
 * forms. The profile `seed` is `seed-message.ts`.
 */
import { deny } from '../../core/decision.ts';
import { formatAuthHeader, parseAuthHeader } from '../../encoding/auth-header.ts';
import { decodeBase64url, encodeBase64url } from '../../encoding/base64url.ts';
import { concat, lpConcat, u64 } from '../../encoding/bytes.ts';
import { canonicalRequest, type CanonicalParts } from '../../encoding/canonical-request.ts';

export const SCHEME = 'opaque-pop';
export const AUTH_SCHEME = 'OpaquePoP';
export const PROFILES = ['strict', 'seed'] as const;
export type Profile = (typeof PROFILES)[number];

const LABEL = 'countersign/opaque-pop/1';
const LOGOUT_LABEL = `${LABEL} logout`;
/** HKDF-SHA512 over the session key, followed by a zero byte and the session id's text. */
const KEY_LABEL = `${LABEL} mac`;
export const STRICT_KEY_BYTES = 64;

/** Lengths of the OPAQUE messages, bytes. The engine takes trailing bytes on some of them: only exact lengths reach it. */
export const OPAQUE_BYTES = {
  registrationRequest: 32,
  registrationResponse: 64,
  record: 192,
  ke1: 96,
  ke2: 320,
  ke3: 64,
} as const;

export const LOGIN_ID_BYTES = 16;
export const SID_BYTES = 32;
export const NONCE_BYTES = 16;
export const MAC_BYTES = 32;

/** Cost of turning a password into a key, paid by the client alone. All clients of a deployment use the same. */
export interface KeyStretching {
  readonly memoryKib: number;
  readonly iterations: number;
  readonly parallelism: number;
}

/** Less would be no hindrance to guessing; more, a way for a false server to keep a client busy. Inclusive. */
const KEY_STRETCHING_BOUNDS: Readonly<Record<keyof KeyStretching, readonly [number, number]>> = {
  memoryKib: [7168, 1_048_576],
  iterations: [1, 16],
  parallelism: [1, 16],
};

export function isKeyStretching(value: unknown): value is KeyStretching {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(KEY_STRETCHING_BOUNDS).every(([name, [least, most]]) => {
    const given = (value as Readonly<Record<string, unknown>>)[name];
    return Number.isInteger(given) && (given as number) >= least && (given as number) <= most;
  });
}

export interface StrictProof {
  /** 43 characters, as text. */
  readonly sid: string;
  /** The client's clock, unix ms. */
  readonly tsMs: number;
  /** 16 bytes. */
  readonly nonce: Uint8Array;
  /** 32 bytes. */
  readonly mac: Uint8Array;
}

/** @param header value of Authorization whose first word is this scheme's. @throws {Denial} `malformed` */
export function parseStrictProof(header: string): StrictProof {
  const { params } = parseAuthHeader(header);
  const sid = params.get('sid');
  if (typeof sid !== 'string' || !isSid(sid)) deny('malformed', 'sid is not 32 bytes in base64url');
  const tsMs = params.get('ts');
  if (typeof tsMs !== 'number') deny('malformed', 'ts is not a bare integer');
  const nonce =
    decodeExactly(params.get('nonce'), NONCE_BYTES) ?? deny('malformed', 'nonce is not 16 bytes in base64url');
  const mac = decodeExactly(params.get('mac'), MAC_BYTES) ?? deny('malformed', 'mac is not 32 bytes in base64url');
  return { sid, tsMs, nonce, mac };
}

/** Value of Authorization. */
export function formatStrictProof({ sid, tsMs, nonce, mac }: StrictProof): string {
  return formatAuthHeader(AUTH_SCHEME, { sid, ts: tsMs, nonce: encodeBase64url(nonce), mac: encodeBase64url(mac) });
}

/** Canonical base64url of 32 bytes, so that one session has one text. */
export function isSid(text: string): boolean {
  return decodeExactly(text, SID_BYTES) !== undefined;
}

/** Undefined unless it is the canonical base64url of exactly so many bytes. Length first: nothing longer is ever decoded. */
export function decodeExactly(text: unknown, bytes: number): Uint8Array | undefined {
  if (typeof text !== 'string' || text.length !== Math.ceil((bytes * 4) / 3)) return undefined;
  return decodeBase64url(text);
}

type Fresh = Pick<StrictProof, 'sid' | 'tsMs' | 'nonce'>;

/** @param bodyDigest SHA-256 of the complete body, or zero bytes under body policy `none`. */
export function strictMessage(
  { sid, tsMs, nonce }: Fresh,
  request: CanonicalParts,
  bodyDigest: Uint8Array,
): Uint8Array {
  return canonicalRequest(LABEL, sid, concat([u64(tsMs), nonce]), request, bodyDigest);
}

/** What a client MACs to end its session. */
export function logoutMessage({ sid, tsMs, nonce }: Fresh): Uint8Array {
  return concat([lpConcat(LOGOUT_LABEL, sid), u64(tsMs), lpConcat(nonce)]);
}

/** `info` of the HKDF that makes the MAC key: bound to the session id, so that a key moved to another session fits nothing. */
export function strictKeyInfo(sid: string): string {
  return `${KEY_LABEL}\0${sid}`;
}

/** Value of `www-authenticate`. @param error wire code of the refusal. */
export function formatStrictChallenge(realm: string, error?: string): string {
  return formatAuthHeader(AUTH_SCHEME, { realm, ...(error !== undefined && { error }) });
}
