/** challenge-signature under measurement: P-256, stateless challenges, Checks signed ahead of time with the ring's own key. */
import { createHash } from 'node:crypto';
import type { RingKey } from '../src/core/keyring.ts';
import type { StoredKey } from '../src/keys/ring.ts';
import { generateKeyPair, sign, type PrivateJwk } from '../src/crypto/signatures.ts';
import { createKeyring } from '../src/keys/key-ring.ts';
import { systemClock } from '../src/core/clock.ts';
import { randomBytes } from '../src/crypto/random.ts';
import { createChallenges } from '../src/schemes/challenge-signature/challenge.ts';
import { formatProof, signedBytes } from '../src/schemes/challenge-signature/message.ts';
import { encodeBase64url } from '../src/encoding/base64url.ts';
import { encodeCheck } from '../test/envoy-front/check-builder.ts';
import { startService, type Running } from './service.ts';

export interface Client {
  readonly user: string;
  readonly privateJwk: PrivateJwk;
  readonly publicJwk: object;
}

export function newClient(user: string): Client {
  return { user, ...generateKeyPair('ES256') };
}

/** @param beside settings of other schemes, by name. */
export function startChallengeSignature(
  ring: readonly StoredKey[],
  client: Client,
  redisUrl: string | undefined,
  beside: object = {},
): Promise<Running> {
  const users = [{ user: client.user, keys: [{ kid: 'k1', jwk: client.publicJwk }] }];
  return startService({
    ring,
    redisUrl,
    files: { 'users.json': JSON.stringify({ users }) },
    settings: (pathOf) => ({
      directory: { dummyAlg: 'ES256', file: pathOf('users.json') },
      schemes: { 'challenge-signature': { challenges: 'stateless', inBand: false, lifetime: '300s' }, ...beside },
      routes: { api: { schemes: ['challenge-signature'], publicOrigins: ['https://api.example.com'] } },
    }),
  });
}

const BODY = new TextEncoder().encode('{"amount":50,"to":"bob@example.com"}');
const REQUEST = { method: 'POST', scheme: 'https', authority: 'api.example.com', target: '/transfer?dry=0' };

/** @returns one whole Check each, all different, good for the challenge's lifetime. */
export function signedChecks(ring: readonly RingKey[], client: Client, count: number): Uint8Array[] {
  const challenges = createChallenges({ keyring: createKeyring(ring, systemClock), random: randomBytes });
  const digest = createHash('sha256').update(BODY).digest();
  const who = { user: client.user, kid: 'k1' };
  return Array.from({ length: count }, (_, index) => {
    const nowMs = Date.now();
    const challenge = challenges.makeStateless('default', client.user, nowMs);
    const signature = sign(client.privateJwk, signedBytes(who, challenge, REQUEST, digest));
    return encodeCheck({
      id: `${nowMs}${index}`,
      time: { seconds: Math.floor(nowMs / 1000), nanos: (nowMs % 1000) * 1_000_000 },
      method: REQUEST.method,
      scheme: REQUEST.scheme,
      authority: REQUEST.authority,
      path: REQUEST.target,
      headers: [
        ['content-type', 'application/json'],
        ['content-length', String(BODY.length)],
        ['user-agent', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36'],
        ['x-request-id', 'b9da23d5-3f1e-45a1-a5ef-d365932e12af'],
        ['authorization', formatProof({ ...who, challenge: encodeBase64url(challenge), signature })],
      ],
      body: BODY,
      partial: 'false',
    });
  });
}
