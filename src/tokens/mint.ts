/** Makes access tokens. Who gets one is the scheme's judgement. */
import { encodeBase64url } from '../encoding/base64url.ts';
import { JTI_BYTES, type AccessClaims } from './claims.ts';
import type { TokenKey } from './token-keys.ts';
import { formatToken, signingInput } from './token.ts';

export interface Grant {
  readonly issuerUrl: string;
  readonly audience: string;
  readonly subject: string;
  readonly epoch: number;
  /** Thumbprint of the key that logged in, 43 characters. */
  readonly keyThumbprint: string;
  /** `0x` and hex: the seed's form names the key itself. */
  readonly publicKeyHex?: string;
  readonly tenant: string;
  /** Thumbprint of the key that the token is bound to. */
  readonly boundTo?: string;
  /** Counted from the whole second of `nowMs`; parts of a second are cut. */
  readonly lifetimeMs: number;
}

export interface MintedToken {
  readonly text: string;
  /** `exp` in ms. */
  readonly expiresAtMs: number;
}

export function mintToken(
  key: TokenKey,
  grant: Grant,
  { nowMs, random }: { nowMs: number; random(bytes: number): Uint8Array },
): MintedToken {
  const iat = Math.floor(nowMs / 1000);
  const exp = iat + Math.floor(grant.lifetimeMs / 1000);
  const claims: AccessClaims = {
    iss: grant.issuerUrl,
    aud: grant.audience,
    sub: grant.subject,
    iat,
    exp,
    jti: encodeBase64url(random(JTI_BYTES)),
    epoch: grant.epoch,
    key: grant.keyThumbprint,
    ...(grant.publicKeyHex !== undefined && { public_key: grant.publicKeyHex }),
    ...(grant.tenant !== 'default' && { tenant: grant.tenant }),
    ...(grant.boundTo !== undefined && { cnf: { jkt: grant.boundTo } }),
  };
  const input = signingInput(key.header, claims);
  return { text: formatToken(input, key.sign(input)), expiresAtMs: exp * 1000 };
}
