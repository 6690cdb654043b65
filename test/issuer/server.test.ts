/** The issuer: where things are mounted, what discovery and JWKS tell, whom it charges. */
import { afterEach, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { systemClock } from '../../src/core/clock.ts';
import type { Limits } from '../../src/core/limits.ts';
import { defineEndpoint, type Scheme } from '../../src/core/scheme.ts';
import { randomBytes } from '../../src/crypto/random.ts';
import { createIssuer, type IssuerGraph, mountIssuer } from '../../src/issuer/server.ts';
import { jwks } from '../../src/issuer/jwks.ts';
import { createKeyring } from '../../src/keys/key-ring.ts';
import { addKey } from '../../src/keys/ring-changes.ts';
import { createLimits } from '../../src/limits.ts';
import { ringWith } from '../support/key-ring.ts';

const opened: { close(graceMs: number): Promise<void> }[] = [];
afterEach(() => Promise.all(opened.splice(0).map((issuer) => issuer.close(0))));

const endpoint = (path: string, bucket: 'issuer' | 'own', listener: 'issuer' | 'admin' = 'issuer') =>
  defineEndpoint({
    listener,
    method: 'POST',
    path,
    bucket,
    body: v.strictObject({ user: v.string() }),
    subject: ({ user }) => user,
    handle: () => ({ status: 200, body: {} }),
  });

const example: Scheme = {
  name: 'example',
  verify: () => {
    throw new Error('not asked here');
  },
  endpoints: [
    endpoint('login', 'issuer'),
    endpoint('challenge', 'own'),
    endpoint('/auth', 'issuer'),
    endpoint('revoke-token', 'issuer', 'admin'),
  ],
  challenges: () => [],
  discovery: { profiles: ['strict'], parameters: { windowMs: 60_000 } },
};

const ring = addKey(ringWith('token-signing', 'challenge-mac', 'wrap'), {
  use: 'token-signing',
  alg: 'ES256',
  nowMs: 1_700_000_000_000,
  random: randomBytes,
}).ring;

async function openIssuer(changes: { limits?: Limits; rate?: { periodMs: number; burst: number } } = {}) {
  const plenty = { periodMs: 1, burst: 1_000 };
  const graph: IssuerGraph = {
    paths: mountIssuer('/auth', [{ scheme: example, endpoints: example.endpoints }], {
      audiences: ['https://api.example.com'],
      nowMs: () => 1_700_000_000_123,
      jwks: () => jwks(createKeyring(ring, systemClock)),
    }),
    limits: changes.limits ?? createLimits({ clock: systemClock, maxBuckets: 100, perCredential: plenty }),
    issuerLimit: changes.rate ?? plenty,
    listener: {
      enabled: true,
      address: '127.0.0.1:0',
      pathPrefix: '/auth',
      bodyBytes: 1024,
      trustedHops: 1,
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5_000,
      maxConnections: 100,
      cors: { origins: ['https://app.example.com'] },
    },
  };
  const issuer = await createIssuer({
    graph: () => graph,
    clock: systemClock,
    random: randomBytes,
    events: { request() {}, fault() {} },
  });
  opened.push(issuer);
  return `http://${issuer.address}`;
}

const post = (url: string, user: string, source = '203.0.113.9') =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': source },
    body: JSON.stringify({ user }),
  });

test('discovery maps tails to paths, names what clients must know, and lists no absolute path and no call of the administrator', async () => {
  const answer = await fetch(`${await openIssuer()}/.well-known/countersign`);
  expect(answer.headers.get('cache-control')).toBe('public, max-age=300');
  expect(await answer.json()).toEqual({
    timeMs: 1_700_000_000_123,
    audiences: ['https://api.example.com'],
    schemes: {
      example: {
        profiles: ['strict'],
        endpoints: { login: '/auth/example/login', challenge: '/auth/example/challenge' },
        parameters: { windowMs: 60_000 },
      },
    },
  });
});

test('endpoints answer at their paths; those of the administrator do not exist here', async () => {
  const url = await openIssuer();
  expect((await post(`${url}/auth/example/login`, 'a')).status).toBe(200);
  expect((await post(`${url}/auth`, 'a')).status).toBe(200);
  for (const path of [
    '/auth/example/revoke-token',
    '/admin/v1/example/revoke-token',
    '/admin/v1/users',
    '/metrics',
    '/readyz',
  ]) {
    expect([path, (await post(url + path, 'a')).status]).toEqual([path, 404]);
  }
});

test('JWKS lists the public halves of signing keys alone, with an entity tag', async () => {
  const url = `${await openIssuer()}/.well-known/jwks.json`;
  const answer = await fetch(url);
  const { keys } = (await answer.json()) as { keys: Record<string, unknown>[] };
  expect(keys.map(({ kty, alg, use }) => [kty, alg, use])).toEqual([
    ['OKP', 'EdDSA', 'sig'],
    ['EC', 'ES256', 'sig'],
  ]);
  for (const key of keys) {
    expect(Object.keys(key).toSorted()).toEqual([
      'alg',
      'crv',
      'kid',
      'kty',
      'use',
      'x',
      ...(key['kty'] === 'EC' ? ['y'] : []),
    ]);
    expect(key['kid']).toMatch(/^[A-Za-z0-9_-]{43}$/);
  }
  const etag = answer.headers.get('etag') ?? '';
  const again = await fetch(url, { headers: { 'if-none-match': etag } });
  expect([again.status, await again.text()]).toEqual([304, '']);
  expect((await fetch(url, { headers: { 'if-none-match': '"x"' } })).status).toBe(200);
});

test('JWKS of a service without a ring is empty', () => {
  expect(jwks(undefined).members).toEqual({ keys: [] });
});

test('each POST is charged by address, scheme and user before the address; one with a bucket of its own is not', async () => {
  const charged: unknown[] = [];
  const limits: Limits = {
    charge: (charges) => void charged.push(charges.map(({ bucket, key }) => [bucket, ...key])),
    refund() {},
    credential() {},
  };
  const url = await openIssuer({ limits });
  await post(`${url}/auth/example/login`, 'alice');
  await post(`${url}/auth/example/challenge`, 'alice');
  await fetch(`${url}/.well-known/countersign`);
  expect(charged).toEqual([
    [
      ['issuer', '203.0.113.9', 'example', 'alice'],
      ['issuer', '203.0.113.9'],
    ],
  ]);
});

test('an empty bucket is 429 with retry-after for its address, and leaves another address alone', async () => {
  const url = `${await openIssuer({ rate: { periodMs: 10_000, burst: 2 } })}/auth/example/login`;
  const statuses = [];
  for (let count = 0; count < 3; count += 1) statuses.push((await post(url, 'alice')).status);
  expect(statuses).toEqual([200, 200, 429]);
  const refused = await post(url, 'alice');
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect((await refused.json()) as object).toMatchObject({ code: 'rate_limited' });
  expect((await post(url, 'alice', '198.51.100.7')).status).toBe(200);
});

test('listed origins may read the answers, by exact match', async () => {
  const url = `${await openIssuer()}/auth/example/login`;
  const preflight = (origin: string) => fetch(url, { method: 'OPTIONS', headers: { origin } });
  const answer = await preflight('https://app.example.com');
  expect(answer.status).toBe(204);
  expect(answer.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
  expect(answer.headers.get('access-control-expose-headers')).toBe('auth-server-time, retry-after');
  for (const origin of ['https://app.example.com:444', 'http://app.example.com', 'https://APP.example.com', '*']) {
    expect((await preflight(origin)).headers.get('access-control-allow-origin')).toBeNull();
  }
});
