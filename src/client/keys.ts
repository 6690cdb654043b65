/** Private keys in WebCrypto. A key that is made here can't be read by anyone, scripts of the page included; it only signs. */
import { CountersignError } from '../core/client-error.ts';
import type { PublicJwk, SignatureAlg } from '../core/directory.ts';
import type { SigningKey } from '../core/signer.ts';
import { algOf as jwkAlgOf, parsePublicJwk, thumbprintInput } from '../encoding/jwk.ts';
import { sha256 } from './request.ts';

export interface KeyPair {
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

const ALGORITHMS = {
  Ed25519: { key: { name: 'Ed25519' }, signature: { name: 'Ed25519' } },
  ES256: { key: { name: 'ECDSA', namedCurve: 'P-256' }, signature: { name: 'ECDSA', hash: 'SHA-256' } },
} as const;

/** A new key, not extractable. @param alg `ES256` works in every browser, `Ed25519` in those since 2025. */
export async function generateKeyPair(alg: SignatureAlg): Promise<KeyPair> {
  return (await crypto.subtle.generateKey(ALGORITHMS[alg].key, false, ['sign', 'verify'])) as KeyPair;
}

/** @throws {CountersignError} `key_unusable` for a pair of another algorithm. */
export async function signingKey({ privateKey, publicKey }: KeyPair): Promise<SigningKey> {
  const alg = algOf(privateKey);
  return {
    alg,
    publicJwk: await publicJwkOf(publicKey),
    async sign(message) {
      return new Uint8Array(await crypto.subtle.sign(ALGORITHMS[alg].signature, privateKey, new Uint8Array(message)));
    },
  };
}

/** Names a key: RFC 7638, SHA-256, 32 bytes. */
export function thumbprint(jwk: PublicJwk): Promise<Uint8Array> {
  return sha256(new Uint8Array(thumbprintInput(jwk)));
}

/**
 * A private JWK becomes a key that can't be read out again.
 *
 * @param jwk what a file held; members besides `kty`, `crv`, `x`, `y` and `d` are ignored.
 * @throws {CountersignError} `key_unusable`
 */
export async function importPrivateJwk(jwk: unknown): Promise<SigningKey> {
  const { d, ...rest } = (jwk ?? {}) as Readonly<Record<string, unknown>>;
  const publicJwk = publicPartOf(rest);
  if (publicJwk === undefined || typeof d !== 'string') {
    throw new CountersignError('key_unusable', 'expected a private JWK: kty, crv, x and d, with y for P-256');
  }
  const algorithm = ALGORITHMS[jwkAlgOf(publicJwk)].key;
  try {
    return await signingKey({
      privateKey: await crypto.subtle.importKey('jwk', { ...publicJwk, d }, algorithm, false, ['sign']),
      publicKey: await crypto.subtle.importKey('jwk', publicJwk, algorithm, true, ['verify']),
    });
  } catch (cause) {
    throw new CountersignError('key_unusable', 'the private JWK is not a key', { cause });
  }
}

function algOf(key: CryptoKey): SignatureAlg {
  const { name, namedCurve } = key.algorithm as { name: string; namedCurve?: string };
  if (name === 'Ed25519') return 'Ed25519';
  if (name === 'ECDSA' && namedCurve === 'P-256') return 'ES256';
  throw new CountersignError('key_unusable', 'expected a key for Ed25519, or for ECDSA on P-256');
}

async function publicJwkOf(key: CryptoKey): Promise<PublicJwk> {
  const jwk = publicPartOf({ ...(await crypto.subtle.exportKey('jwk', key)) });
  if (jwk === undefined) throw new CountersignError('key_unusable', 'the public key is not one of Ed25519 or P-256');
  return jwk;
}

/** JWKs in the wild have members that are none of a public key: `key_ops`, `ext`, `alg`, `kid`. */
function publicPartOf({ kty, crv, x, y }: Readonly<Record<string, unknown>>): PublicJwk | undefined {
  return parsePublicJwk(y === undefined ? { kty, crv, x } : { kty, crv, x, y });
}
