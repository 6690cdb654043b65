/** `/.well-known/jwks.json`: the public keys of the tokens that are issued here. Shared secrets are never among them. */
import type { Keyring } from '../core/keyring.ts';
import { sha256Base64url } from '../crypto/digest.ts';
import { utf8 } from '../encoding/bytes.ts';
import { privateJwk, type StoredKey } from '../keys/ring.ts';
import type { Answerable } from './server.ts';

export function jwks(ring: Keyring | undefined): Answerable {
  const members = { keys: (ring?.usable('token-signing') ?? []).map((key) => publicKey(key as StoredKey)) };
  return {
    members,
    headers: [['cache-control', 'public, max-age=300']],
    etag: `"${sha256Base64url(utf8(JSON.stringify(members)))}"`,
  };
}

function publicKey(key: StoredKey): object {
  const { d: _private, ...jwk } = privateJwk(key);
  return { ...jwk, alg: key.alg === 'Ed25519' ? 'EdDSA' : key.alg, kid: key.kid, use: 'sig' };
}
