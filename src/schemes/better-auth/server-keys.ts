/**
 * The server's two keys: one signs replies, the other tokens, and no key does both. Which are in use is the ring's; private halves
 * stay in `crypto/`. A sidecar of an issuer elsewhere has neither, only that issuer's public keys.
 */
import type { KeyState, RingKey } from '../../core/keyring.ts';
import type { Resources } from '../../core/scheme.ts';
import { ringSigner } from '../../crypto/ring-signer.ts';
import { utf8 } from '../../encoding/bytes.ts';
import { encode } from '../../encoding/cesr.ts';
import { compressPoint } from '../../encoding/p256.ts';
import type { ClientKeys, VerifyingKey } from './imported-keys.ts';
import type { Settings } from './settings.ts';

export interface TrustedKey {
  /** CESR word, as it stands in v1 tokens. */
  readonly publicKey: string;
  readonly key: VerifyingKey;
}

export interface PublishedKey {
  readonly publicKey: string;
  readonly state: KeyState;
}

/** One key for both: asked for twice, the ring might have turned between name and signature. */
export interface SigningKey {
  /** CESR word. */
  readonly publicKey: string;
  /** @returns CESR word `0I`. */
  sign(text: string): string;
}

export interface ServerKeys {
  /** The active one, for replies. @throws {Fault} `key_source` */
  responseKey(): SigningKey;
  /** The active one, for tokens. @throws {Fault} `key_source` */
  accessKey(): SigningKey;
  /** Whose tokens pass: active, next, then retired before their end. A key that left the ring is not among them. */
  trusted(): readonly TrustedKey[];
  published(use: 'access-signing' | 'response-signing'): readonly PublishedKey[];
}

export function createServerKeys(
  { keyring }: Pick<Resources, 'keyring'>,
  { issuer, trustedAccessKeys }: Pick<Settings, 'issuer' | 'trustedAccessKeys'>,
  clientKeys: ClientKeys,
): ServerKeys {
  const words = new WeakMap<RingKey, TrustedKey>();
  const elsewhere = trustedAccessKeys.map((publicKey) => ({ publicKey, key: clientKeys.import(publicKey) }));

  function wordOf(key: RingKey): TrustedKey {
    const known = words.get(key);
    if (known !== undefined) return known;
    const { publicJwk: jwk } = ringSigner(key);
    if (jwk.kty !== 'EC') throw new TypeError('better-auth: a key of the ring is not P-256');
    const word: TrustedKey = { publicKey: encode('1AAI', compressPoint(jwk)), key: { alg: 'ES256', jwk } };
    words.set(key, word);
    return word;
  }

  function active(use: 'access-signing' | 'response-signing'): SigningKey {
    const key = keyring.active(use);
    return { publicKey: wordOf(key).publicKey, sign: (text) => encode('0I', ringSigner(key).sign(utf8(text))) };
  }

  return {
    responseKey: () => active('response-signing'),
    accessKey: () => active('access-signing'),
    trusted: () => (issuer === 'external' ? elsewhere : keyring.usable('access-signing').map(wordOf)),
    published: (use) =>
      keyring.usable(use).map((key, at) => ({
        publicKey: wordOf(key).publicKey,
        // The first of the usable ones is in force, though the file may still call it next.
        state: at === 0 ? 'active' : key.state,
      })),
  };
}
