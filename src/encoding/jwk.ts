/**
 * Public keys as JWK (RFC 7517, RFC 8037): shape only. Whether the point may be used is `crypto/signatures.ts`.
 */
import type { PublicJwk, SignatureAlg } from '../core/directory.ts';
import { decodeBase64url } from './base64url.ts';
import { utf8 } from './bytes.ts';

/** Undefined unless it has exactly the members of a public key: another one (`d`, `kid`, `alg`, ...) is refused, not ignored. */
export function parsePublicJwk(value: unknown): PublicJwk | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { kty, crv, x, y } = value as Record<string, unknown>;
  const members = Object.keys(value).length;
  if (kty === 'OKP' && crv === 'Ed25519' && members === 3 && isCoordinate(x)) return { kty, crv, x };
  if (kty === 'EC' && crv === 'P-256' && members === 4 && isCoordinate(x) && isCoordinate(y)) return { kty, crv, x, y };
  return undefined;
}

function isCoordinate(value: unknown): value is string {
  return typeof value === 'string' && value.length === 43 && decodeBase64url(value) !== undefined;
}

export function algOf(jwk: PublicJwk): SignatureAlg {
  return jwk.kty === 'OKP' ? 'Ed25519' : 'ES256';
}

export function isSameKey(one: PublicJwk, other: PublicJwk): boolean {
  if (one.x !== other.x) return false;
  return one.kty === 'EC' ? other.kty === 'EC' && one.y === other.y : other.kty === 'OKP';
}

/** What RFC 7638 hashes: the required members alone, sorted, without blanks. */
export function thumbprintInput(jwk: PublicJwk): Uint8Array {
  const { crv, kty, x } = jwk;
  return utf8(JSON.stringify(jwk.kty === 'OKP' ? { crv, kty, x } : { crv, kty, x, y: jwk.y }));
}
