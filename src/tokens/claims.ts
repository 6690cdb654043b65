/** What an access token says: names, types and order of its claims. Whether it is true here and now is `verify-access-token.ts`. */
import { isIdentifier } from '../core/directory.ts';
import { decodeBase64url } from '../encoding/base64url.ts';
import type { JsonObject, JsonValue } from '../encoding/strict-json.ts';

export const JTI_BYTES = 16;

/** In the order in which they are written. */
export interface AccessClaims {
  /** `issuer.url`. */
  readonly iss: string;
  /** One origin. */
  readonly aud: string;
  /** User id. */
  readonly sub: string;
  /** Unix seconds. */
  readonly iat: number;
  /** Unix seconds, exclusive. */
  readonly exp: number;
  /** 16 random bytes, base64url. */
  readonly jti: string;
  /** The user's revocation epoch at issue. */
  readonly epoch: number;
  /** Thumbprint of the key that logged in, 43 characters. */
  readonly key: string;
  /** `0x` and hex, of logins in the seed's form only. */
  readonly public_key?: string;
  /** Absent: `default`. */
  readonly tenant?: string;
  /** Thumbprint of the key that has to prove itself with each request. */
  readonly cnf?: { readonly jkt: string };
}

/** @returns undefined when a claim is missing or of another type. Claims of no meaning here are left aside (RFC 7519 section 4). */
export function readClaims(payload: JsonObject): AccessClaims | undefined {
  const { iss, aud, sub, iat, exp, jti, epoch, key, public_key, tenant, cnf } = payload;
  const isComplete =
    typeof iss === 'string' &&
    typeof aud === 'string' &&
    typeof sub === 'string' &&
    isIdentifier(sub) &&
    isCount(iat) &&
    isCount(exp) &&
    isBytes(jti, JTI_BYTES) &&
    isCount(epoch) &&
    isBytes(key, 32) &&
    (public_key === undefined || (typeof public_key === 'string' && /^0x[0-9a-f]{64}$/.test(public_key))) &&
    (tenant === undefined || typeof tenant === 'string') &&
    (cnf === undefined || isConfirmation(cnf));
  return isComplete ? (payload as unknown as AccessClaims) : undefined;
}

function isCount(value: JsonValue | undefined): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isBytes(value: JsonValue | undefined, length: number): boolean {
  return typeof value === 'string' && value.length <= 64 && decodeBase64url(value)?.length === length;
}

/** Another way to confirm than `jkt` is none that anybody here could check. */
function isConfirmation(value: JsonValue): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.keys(value).length === 1 && isBytes((value as JsonObject)['jkt'], 32);
}
