/**
 * The keys of access tokens: those of the ring, and at most one shared secret. A key says by which algorithm and type its tokens go;
 * a message never does.
 */
import type { Signatures } from '../core/directory.ts';
import type { Keyring, RingKey } from '../core/keyring.ts';
import type { Secret } from '../core/secret.ts';
import { constantTimeEqual } from '../crypto/equal.ts';
import { hmacSha256 } from '../crypto/mac.ts';
import { ringSigner } from '../crypto/ring-signer.ts';
import { utf8 } from '../encoding/bytes.ts';
import { algOf } from '../encoding/jwk.ts';
import type { TokenHeader } from './token.ts';

export interface TokenKey {
  /** That of every token of this key. */
  readonly header: TokenHeader;
  /** Other services verify with it, so they could sign too: it vouches for tokens of the seed's form alone. */
  readonly isShared: boolean;
  verify(signed: Uint8Array, signature: Uint8Array): boolean | Promise<boolean>;
  sign(input: string): Uint8Array;
}

export interface TokenKeys {
  /** The key that signs. @throws {Fault} `key_source` without one. */
  active(): TokenKey;
  /** Undefined when unknown, and from its `retireAt` on. */
  byId(kid: string): TokenKey | undefined;
  readonly shared: TokenKey | undefined;
}

export interface SharedKeySettings {
  readonly kid: string;
  /** At least 32 bytes. */
  readonly secret: Secret<Uint8Array>;
}

export function createTokenKeys(
  { keyring, signatures }: { keyring: Keyring; signatures: Signatures },
  shared?: SharedKeySettings,
): TokenKeys {
  const sharedKey = shared === undefined ? undefined : secretKey(shared);
  return {
    active: () => signingKey(keyring.active('token-signing'), signatures),
    byId(kid) {
      const key = keyring.usable('token-signing').find((candidate) => candidate.kid === kid);
      if (key !== undefined) return signingKey(key, signatures);
      return sharedKey?.header.kid === kid ? sharedKey : undefined;
    },
    shared: sharedKey,
  };
}

function signingKey(key: RingKey, signatures: Signatures): TokenKey {
  const { publicJwk: jwk, sign } = ringSigner(key);
  const alg = algOf(jwk);
  return {
    header: { alg: alg === 'Ed25519' ? 'EdDSA' : alg, kid: key.kid, typ: 'at+jwt' },
    isShared: false,
    verify: (signed, signature) => signatures.verify({ alg, jwk }, signed, signature),
    sign: (input) => sign(utf8(input)),
  };
}

function secretKey({ kid, secret }: SharedKeySettings): TokenKey {
  return {
    header: { alg: 'HS256', kid, typ: 'JWT' },
    isShared: true,
    verify: (signed, signature) => constantTimeEqual(hmacSha256(secret, signed), signature),
    sign: (input) => hmacSha256(secret, utf8(input)),
  };
}
