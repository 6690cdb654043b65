/**
 * The wire forms of client-challenge: what a client signs to log in, in both profiles, and how a token travels. Issuer, verifier and
 * client library share this file; it is browser-safe and judges forms only (`login.ts`, `verify.ts`).
 */
import { authSchemeOf } from '../../encoding/auth-header.ts';
import { concat, lpConcat, u64 } from '../../encoding/bytes.ts';

export const SCHEME = 'client-challenge';
export const AUTH_SCHEME = 'Bearer';
const LABEL = 'countersign/client-challenge/1';

export const NONCE_BYTES = 16;

export interface StrictLogin {
  /** Origin of the site that the client means to enter. */
  readonly aud: string;
  /** RFC 7638 SHA-256 of the public key, 32 bytes. */
  readonly thumbprint: Uint8Array;
  /** Client's clock, unix ms. */
  readonly tsMs: number;
  /** 16 bytes. */
  readonly nonce: Uint8Array;
  /** Thumbprint, as text, of the key that the token shall be bound to. */
  readonly jkt?: string;
}

/** `LP(label) LP(aud) LP(thumbprint) U64(ts) LP(nonce) LP(jkt, or empty)`. */
export function signedBytes({ aud, thumbprint, tsMs, nonce, jkt = '' }: StrictLogin): Uint8Array {
  return concat([lpConcat(LABEL, aud, thumbprint), u64(tsMs), lpConcat(nonce, jkt)]);
}

/** What a seed message tells: the key, as `0x` and hex, and the client's clock. */
export interface SeedMessage {
  readonly publicKey: string;
  /** Unix ms, a whole second. */
  readonly tMs: number;
}

/**
 * The whole message or nothing: text that was signed for something else and happens to end in a fresh number is no login.
 *
 * @param label `seedLabel`.
 */
export function createSeedMessageReader(label: string): (message: string) => SeedMessage | undefined {
  const pattern = new RegExp(`^${label}-(0x[0-9a-f]{64})-([1-9][0-9]{9})$`);
  return (message) => {
    const [, publicKey, seconds] = pattern.exec(message) ?? [];
    return publicKey === undefined ? undefined : { publicKey, tMs: Number(seconds) * 1000 };
  };
}

/** The token of a `Bearer` value; undefined when the value is none of ours. Values without a dot belong to other schemes. */
export function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined || authSchemeOf(header) !== AUTH_SCHEME.toLowerCase()) return undefined;
  const text = header.slice(AUTH_SCHEME.length + 1);
  return text.includes('.') ? text : undefined;
}

/** Value of `www-authenticate` (RFC 6750 section 3). @param isRefused a token was there and did not pass. */
export function formatChallengeLine(realm: string, isRefused: boolean): string {
  return `${AUTH_SCHEME} realm="${realm}"${isRefused ? ', error="invalid_token"' : ''}`;
}
