/**
 * The text of an access token: JWS compact serialisation (RFC 7515 section 3.1), strict where libraries are lenient. Each token has one
 * spelling, and nothing in its header can bring in a key, an algorithm or an address. What the claims mean is `claims.ts`, whose key
 * it is `token-keys.ts`.
 */
import { deny } from '../core/decision.ts';
import { decodeBase64url, encodeBase64url } from '../encoding/base64url.ts';
import { utf8 } from '../encoding/bytes.ts';
import { parseStrictJson, type JsonObject } from '../encoding/strict-json.ts';

const MAX_TOKEN_CHARS = 4096;

/** All that a header may say. What a verifier believes of it is `kid`; the other two are compared with the key. */
export interface TokenHeader {
  readonly alg: string;
  readonly kid: string;
  readonly typ: string;
}

export interface Token {
  readonly header: TokenHeader;
  /** Not verified. */
  readonly payload: JsonObject;
  /** The first two parts as they were received: what is signed. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

/** @throws {Denial} `malformed`, with 413 for a text above 4096 characters. */
export function parseToken(text: string): Token {
  if (text.length > MAX_TOKEN_CHARS) deny('malformed', 'token above 4096 characters', { oversized: true });
  const [header = '', payload = '', signature = '', ...more] = text.split('.', 4);
  if (more.length > 0) deny('malformed', 'token of more than three parts');
  return {
    header: readHeader(parseStrictJson(decodePart(header))),
    payload: parseStrictJson(decodePart(payload)),
    signature: decodePart(signature),
    signed: utf8(text.slice(0, header.length + 1 + payload.length)),
  };
}

function decodePart(part: string): Uint8Array {
  const bytes = part === '' ? undefined : decodeBase64url(part);
  return bytes ?? deny('malformed', 'a part of the token is empty or no canonical base64url');
}

/** `crit`, `jwk`, `jku`, `x5u`, `x5c`, `b64`, `zip` and whatever else: another member is refused, never ignored. */
function readHeader(members: JsonObject): TokenHeader {
  const { alg, kid, typ } = members;
  if (
    typeof alg !== 'string' ||
    typeof kid !== 'string' ||
    typeof typ !== 'string' ||
    Object.keys(members).length !== 3
  )
    return deny('malformed', 'header of the token has other members than alg, kid, typ');
  return { alg, kid, typ };
}

/** What is signed: header and claims, JSON without blanks. */
export function signingInput(header: TokenHeader, claims: object): string {
  return `${encodeJson(header)}.${encodeJson(claims)}`;
}

export function formatToken(input: string, signature: Uint8Array): string {
  return `${input}.${encodeBase64url(signature)}`;
}

function encodeJson(value: object): string {
  return encodeBase64url(utf8(JSON.stringify(value)));
}
