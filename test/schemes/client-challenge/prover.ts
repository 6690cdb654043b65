/** Clients of client-challenge in a world: logins signed by hand, so that each member can be another one. */
import type { PublicJwk, SignatureAlg, UserRecord } from '../../../src/core/directory.ts';
import { generateKeyPair, sign, thumbprint, type PrivateJwk } from '../../../src/crypto/signatures.ts';
import { randomBytes } from '../../../src/crypto/random.ts';
import { encodeBase64url } from '../../../src/encoding/base64url.ts';
import { toHex, utf8 } from '../../../src/encoding/bytes.ts';
import { signedBytes } from '../../../src/schemes/client-challenge/message.ts';
import { type RequestParts, withHeader } from '../../support/auth-request.ts';
import { b64 } from '../../support/bytes.ts';
import type { SchemeWorld } from '../../support/scheme-world.ts';
import { userKey, userRecord } from '../../support/test-users.ts';

export const NAME = 'client-challenge';
export const AUDIENCE = 'https://api.example.com';
export const SETTINGS = { audiences: [AUDIENCE] };

export interface KeyPair {
  readonly privateJwk: PrivateJwk;
  readonly publicJwk: PublicJwk;
}

export function newKey(alg: SignatureAlg = 'Ed25519'): KeyPair {
  return generateKeyPair(alg);
}

export const thumbprintText = ({ publicJwk }: KeyPair): string => encodeBase64url(thumbprint(publicJwk));

/** A user whose key may log in. */
export async function registered(
  world: SchemeWorld,
  user: string,
  key: KeyPair,
  options: Partial<UserRecord> & { tenant?: string; uses?: readonly string[]; expiresAt?: number } = {},
): Promise<void> {
  const { tenant = 'default', uses = [NAME], expiresAt = null, ...changes } = options;
  const keys = [userKey('k1', key.publicJwk, uses, expiresAt)];
  await world.users.save(userRecord(user, { attributes: { role: 'admin' }, keys, ...changes }), tenant);
  const owned = await world.users.ownerOf(tenant, thumbprint(key.publicJwk));
  await world.users.setOwner(tenant, thumbprint(key.publicJwk), owned.text, { user, kid: 'k1' });
}

/** A login of the profile `strict`, its signature right for what it says. */
export function strictLogin(
  key: KeyPair,
  nowMs: number,
  { aud = AUDIENCE, tsMs = nowMs, jkt, tenant }: { aud?: string; tsMs?: number; jkt?: string; tenant?: string } = {},
): Record<string, unknown> {
  const nonce = randomBytes(16);
  const bytes = signedBytes({
    aud,
    thumbprint: thumbprint(key.publicJwk),
    tsMs,
    nonce,
    ...(jkt !== undefined && { jkt }),
  });
  return {
    aud,
    jwk: key.publicJwk,
    ts: tsMs,
    nonce: encodeBase64url(nonce),
    ...(jkt !== undefined && { jkt }),
    signature: encodeBase64url(sign(key.privateJwk, bytes)),
    ...(tenant !== undefined && { tenant }),
  };
}

/** A login as the seed document's client makes it. */
export function seedLogin(key: KeyPair, nowMs: number, label = 'ConnectOnion-Auth'): Record<string, unknown> {
  const publicKey = `0x${toHex(b64(key.publicJwk.x))}`;
  return seedMessage(key, `${label}-${publicKey}-${Math.floor(nowMs / 1000)}`);
}

export function seedMessage(key: KeyPair, message: string): Record<string, unknown> {
  return {
    public_key: `0x${toHex(b64(key.publicJwk.x))}`,
    message,
    signature: toHex(sign(key.privateJwk, utf8(message))),
  };
}

/** A fresh token of the key's, of the profile `strict`. */
export async function tokenOf(world: SchemeWorld, key: KeyPair, tenant?: string): Promise<string> {
  const login = strictLogin(key, world.clock.nowMs(), tenant === undefined ? {} : { tenant });
  return String((await world.post('token', login))['token']);
}

export function carrying(request: RequestParts, token: string): RequestParts {
  return withHeader(request, 'authorization', `Bearer ${token}`);
}

export function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(b64(token.split('.')[1] ?? ''))) as Record<string, unknown>;
}

export const GET: RequestParts = {
  method: 'GET',
  scheme: 'https',
  authority: 'api.example.com',
  target: '/feed',
  headers: [],
  body: { kind: 'absent' },
};
