/**
 * The wire format of the profile `seed`, byte for byte what the document's prototype sends: a bearer session id, three headers, a MAC
 * over five lines of text. Stricter than the prototype wherever one value could have had two texts.
 */
import { deny } from '../../core/decision.ts';
import type { AuthRequest, HeaderList } from '../../core/request.ts';
import { decodeBase64url } from '../../encoding/base64url.ts';
import { toHex, utf8 } from '../../encoding/bytes.ts';
import { isSid } from './message.ts';

export const SEED_KEY_SALT = 'opaque-pop-salt-v1';
export const SEED_KEY_INFO = 'OPAQUE-POP-MAC-v1';
export const SEED_KEY_BYTES = 32;

const MAX_HEADER_BYTES = 4096;
/** Another bearer value is somebody else's: a token with dots, for example. */
const BEARER = /^bearer ([A-Za-z0-9_-]{43})$/i;
const TIMESTAMP = /^[1-9][0-9]{9}$/;
const NONCE = /^[A-Za-z0-9_-]{16,64}$/;
const MAC = /^[A-Za-z0-9+/]{43}=$/;

export interface SeedProof {
  /** 43 characters, as text. */
  readonly sid: string;
  /** Unix seconds, ten digits, as text: the MAC covers the text. */
  readonly ts: string;
  /** 16 to 64 characters, used as text. */
  readonly nonce: string;
  /** 32 bytes. */
  readonly mac: Uint8Array;
}

/** The session id of a value that is this profile's, canonical or not; undefined for any other. */
export function bearerSid(authorization: string): string | undefined {
  return BEARER.exec(authorization)?.[1];
}

/** @param sid what `bearerSid` gave: without the other three headers a stolen one gets nowhere. @throws {Denial} `malformed` */
export function parseSeedProof(sid: string, headers: HeaderList): SeedProof {
  if (!isSid(sid)) deny('malformed', 'session id is not canonical base64url');
  const ts = header(headers, 'x-ts');
  if (!TIMESTAMP.test(ts)) deny('malformed', 'X-TS is not ten digits');
  const nonce = header(headers, 'x-nonce');
  if (!NONCE.test(nonce)) deny('malformed', 'X-NONCE is not 16 to 64 characters of base64url');
  const mac = decodeBase64(header(headers, 'x-pop')) ?? deny('malformed', 'X-POP is not 32 bytes in padded base64');
  return { sid, ts, nonce, mac };
}

function header(headers: HeaderList, name: string): string {
  const value = headers.single(name) ?? deny('malformed', 'a session id without all of X-TS, X-NONCE and X-POP');
  if (value.length > MAX_HEADER_BYTES) deny('malformed', 'credential header above 4096 bytes', { oversized: true });
  return value;
}

/** Standard alphabet, padded, canonical. */
function decodeBase64(text: string): Uint8Array | undefined {
  if (!MAC.test(text)) return undefined;
  return decodeBase64url(text.slice(0, -1).replaceAll('+', '-').replaceAll('/', '_'));
}

/**
 * The path as the MAC covers it: the target up to the first `?`.
 *
 * The prototype signs the decoded path, so that `/a%2Fb` and `/a/b` would share one MAC; and it leaves the query out.
 *
 * @throws {Denial} `malformed` for a percent sign in the path, and for a query unless `allowQuery`.
 */
export function seedPath({ path, query }: Pick<AuthRequest, 'path' | 'query'>, allowQuery: boolean): string {
  if (path.includes('%')) deny('malformed', 'a percent sign in the path: this profile has no one text for it');
  if (query !== null && !allowQuery) deny('malformed', 'a query, which this profile does not cover');
  return path;
}

/** @param bodyDigest SHA-256 of the body. */
export function seedMessage(
  { ts, nonce }: Pick<SeedProof, 'ts' | 'nonce'>,
  method: string,
  path: string,
  bodyDigest: Uint8Array,
): Uint8Array {
  return utf8([method, path, toHex(bodyDigest), ts, nonce].join('\n'));
}

/** Value of `www-authenticate` (RFC 6750 section 3); the error has one name whatever the code. */
export function formatSeedChallenge(realm: string, isRefused: boolean): string {
  return `Bearer realm="${realm}"${isRefused ? ', error="invalid_token"' : ''}`;
}
