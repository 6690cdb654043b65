/** The issuer: where things are mounted, what discovery and JWKS tell, whom it charges. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type PeerCertificate } from 'node:tls';
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
import type { CertificateEvents } from '../../src/listener/tls-files.ts';
import { type Certificate, createAuthority } from '../support/certificates.ts';
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

interface Changes {
  readonly limits?: Limits;
  readonly rate?: { readonly periodMs: number; readonly burst: number };
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  readonly certificates?: CertificateEvents;
  readonly requests?: string[];
}

async function openIssuer(changes: Changes = {}) {
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
      ...(changes.tls !== undefined && { tls: changes.tls }),
    },
  };
  const issuer = await createIssuer({
    graph: () => graph,
    clock: systemClock,
    random: randomBytes,
    events: { request: ({ endpoint: name }) => void changes.requests?.push(name), fault() {} },
    certificates: changes.certificates ?? { onCertificate() {}, onCertificateError() {} },
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
  const statusFor = async (known: string) => (await fetch(url, { headers: { 'if-none-match': known } })).status;
  for (const known of ['*', `W/${etag}`, `"x", ${etag}`, `"x",W/${etag} , "y"`])
    expect(await statusFor(known)).toBe(304);
  for (const known of ['"x"', '', `"x", "y"`, etag.slice(1, -1)]) expect(await statusFor(known)).toBe(200);
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

test('a body that can not be read is charged to its address, also where the endpoint has a bucket of its own', async () => {
  const charged: unknown[] = [];
  const limits: Limits = {
    charge: (charges) => void charged.push(charges.map(({ bucket, key }) => [bucket, ...key])),
    refund() {},
    credential() {},
  };
  const url = await openIssuer({ limits });
  for (const path of ['challenge', 'login']) {
    expect((await fetch(`${url}/auth/example/${path}`, { method: 'POST', body: '{' })).status).toBe(415);
  }
  expect(charged).toEqual([[['issuer', '127.0.0.1']], [['issuer', '127.0.0.1']]]);
});

test('an endless stream of bodies that can not be read is 429', async () => {
  const url = `${await openIssuer({ rate: { periodMs: 10_000, burst: 2 } })}/auth/example/challenge`;
  const statuses = [];
  for (let count = 0; count < 3; count += 1) {
    const headers = { 'content-type': 'application/json' };
    statuses.push((await fetch(url, { method: 'POST', headers, body: '{"user":1}' })).status);
  }
  expect(statuses).toEqual([400, 400, 429]);
});

test('endpoints are counted by the name they give themselves, without the prefix', async () => {
  const requests: string[] = [];
  const url = await openIssuer({ requests });
  await post(`${url}/auth/example/login`, 'alice');
  await post(`${url}/auth`, 'alice');
  await fetch(`${url}/.well-known/countersign`);
  expect(requests).toEqual(['login', '/auth', '/.well-known/countersign']);
});

test('TLS takes a changed certificate, tells when it ends, and keeps the one before when the new one is broken', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cs-'));
  const authority = createAuthority('ca');
  const tls = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
  const write = async ({ certificate, key }: Certificate) => {
    await writeFile(tls.keyFile, key, { mode: 0o600 });
    await writeFile(tls.certFile, certificate);
  };
  const ends: number[] = [];
  const errors: unknown[] = [];
  const first = authority.issue({ dns: ['localhost'] });
  await write(first);
  const certificates = {
    onCertificate: (ms: number) => void ends.push(ms),
    onCertificateError: (error: unknown) => void errors.push(error),
  };
  const url = await openIssuer({ tls, certificates });
  expect(ends).toEqual([first.notAfterMs]);
  const shown = async () => Date.parse((await certificateAt(url, authority.certificate)).valid_to);
  expect(await shown()).toBe(first.notAfterMs);

  await writeFile(tls.certFile, 'broken');
  await until(() => errors.length > 0);
  expect(await shown()).toBe(first.notAfterMs);
  const next = authority.issue({ dns: ['localhost'], notAfterMs: Date.now() + 7_200_000 });
  await write(next);
  await until(() => ends.at(-1) === next.notAfterMs);
  expect(await shown()).toBe(next.notAfterMs);
  await rm(folder, { recursive: true });
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

test('a document that was cached for no origin is not taken for another: it varies by origin, asked with one or without', async () => {
  const url = `${await openIssuer()}/.well-known/jwks.json`;
  for (const headers of [{}, { origin: 'https://evil.example.com' }, { origin: 'https://app.example.com' }])
    expect((await fetch(url, { headers })).headers.get('vary')).toBe('origin');
});

async function certificateAt(url: string, ca: string): Promise<PeerCertificate> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), servername: 'localhost', ca });
  await once(socket, 'secureConnect');
  const certificate = socket.getPeerCertificate();
  socket.destroy();
  return certificate;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 50));
}
