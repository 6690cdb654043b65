/** `/.well-known/jwks.json`: the public keys of the tokens that are issued here. Shared secrets are never among them. */
import type { Keyring, RingKey } from '../core/keyring.ts';
import { sha256Base64url } from '../crypto/digest.ts';
import { ringSigner } from '../crypto/ring-signer.ts';
import { utf8 } from '../encoding/bytes.ts';
import type { Answerable } from './server.ts';

export function jwks(ring: Keyring | undefined): Answerable {
  const members = { keys: (ring?.usable('token-signing') ?? []).map(publicKey) };
  return {
    members,
    headers: [['cache-control', 'public, max-age=300']],
    etag: `"${sha256Base64url(utf8(JSON.stringify(members)))}"`,
  };
}

function publicKey(key: RingKey): object {
  return { ...ringSigner(key).publicJwk, alg: key.alg === 'Ed25519' ? 'EdDSA' : key.alg, kid: key.kid, use: 'sig' };
}
