/** client-challenge through a real Envoy, profile `seed`: the document's client as it stands there, and what it no longer gets away with. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { virtualHost } from '../../scripts/envoy-config.ts';
import { utf8 } from '../../src/encoding/bytes.ts';
import {
  claimsOf,
  newKey,
  seedLogin,
  seedMessage,
  thumbprintText,
  type KeyPair,
} from '../schemes/client-challenge/prover.ts';
import { authenticate } from '../schemes/client-challenge/seed-client.ts';
import { echoOf, openWorld, upstream, verdictOf, type World } from './world.ts';
import { http1 } from './wire.ts';

let world: World;
let key: KeyPair;

beforeAll(async () => {
  key = newKey();
  world = await openWorld({
    envoy: 'oldest',
    ringUses: ['challenge-mac', 'token-signing'],
    change(config) {
      const { audiences } = config['issuer'] as { audiences: string[] };
      config['issuer'] = { url: audiences[0], audiences };
      config.schemes['client-challenge'] = { profiles: ['seed'], accounts: 'open' };
      config.routes['api'] = { ...config.routes['api'], schemes: ['challenge-signature', 'client-challenge'] };
    },
    changeEnvoy(config) {
      // `/auth` is the issuer's as it is; the other address of the profile needs a route of its own.
      const { routes } = virtualHost(config) as { routes: { match: object }[] };
      const issuer = routes.find(({ match }) => 'path_separated_prefix' in match);
      routes.unshift({ ...issuer, name: 'seed', match: { path: '/api/v1/auth' } } as never);
    },
  });
}, 60_000);
afterAll(() => world.stop());

const post = (body: object, target = '/auth') =>
  http1({
    method: 'POST',
    target,
    to: world.to,
    headers: [['content-type', 'application/json']],
    body: utf8(JSON.stringify(body)),
  });
const send = (token: string) =>
  http1({ method: 'GET', target: '/a', to: world.to, headers: [['authorization', `Bearer ${token}`]] });

test.each(['', '/api/v1'])(
  'the client of the document logs in unchanged at %s/auth, and its requests pass',
  async (prefix) => {
    const own = newKey();
    const token = await authenticate(own.privateJwk, `${world.url}${prefix}`);
    const echo = echoOf(await send(token));
    expect(upstream(echo, 'x-auth-subject')).toEqual([thumbprintText(own)]);
    const [attributes = ''] = upstream(echo, 'x-auth-attributes');
    expect(JSON.parse(Buffer.from(attributes, 'base64url').toString())).toEqual({
      auth: { public_key: claimsOf(token)['public_key'] },
    });
    const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL('/.well-known/jwks.json', world.url)));
    expect(Number(payload.exp) - Number(payload.iat)).toBe(86_400);
  },
);

test('a login caught on the way and sent again is 401 replayed, at either address', async () => {
  const login = seedLogin(key, Date.now());
  expect((await post(login)).status).toBe(200);
  for (const target of ['/auth', '/api/v1/auth']) expect(verdictOf(await post(login, target))).toBe('401 replayed');
});

test('text that was signed for something else and ends in a fresh number is 400 malformed', async () => {
  const seconds = Math.floor(Date.now() / 1000);
  expect(verdictOf(await post(seedMessage(key, `Transfer-5-euros-to-Bob-${seconds}`)))).toBe('400 malformed');
});

test('an old login is 401 stale, one ahead 401 not_yet_valid, one by another key 401 signature_invalid', async () => {
  expect(verdictOf(await post(seedLogin(key, Date.now() - 310_000)))).toBe('401 stale');
  expect(verdictOf(await post(seedLogin(key, Date.now() + 330_000)))).toBe('401 not_yet_valid');
  const { signature } = seedLogin(newKey(), Date.now());
  expect(verdictOf(await post({ ...seedLogin(key, Date.now() + 5_000), signature }))).toBe('401 signature_invalid');
});

test('a key is shut out by a record of its own name, tokens that it has too', async () => {
  const own = newKey();
  const token = await authenticate(own.privateJwk, world.url);
  echoOf(await send(token));
  await world.admin('PUT', 'users', { subject: thumbprintText(own), disabled: true });
  expect(verdictOf(await send(token))).toBe('401 revoked');
  expect(verdictOf(await post(seedLogin(own, Date.now() + 2_000)))).toBe('401 revoked');
});

test('on request tokens are made with a secret that other services share, and those of before pass on', async () => {
  const before = await authenticate(newKey().privateJwk, world.url);
  const secret = 'a secret that other services of ours have too';
  const secretFile = join(dirname(world.ringFile), 'seed-secret');
  writeFileSync(secretFile, `${secret}\n`, { mode: 0o600 });
  await world.reconfigure((config) => {
    config.schemes['client-challenge'] = {
      profiles: ['seed'],
      accounts: 'open',
      seedHs256: { secretFile, kid: 'seed-1' },
    };
  });
  const token = await authenticate(newKey().privateJwk, world.url);
  const { protectedHeader } = await jwtVerify(token, utf8(secret));
  expect(protectedHeader).toEqual({ alg: 'HS256', kid: 'seed-1', typ: 'JWT' });
  echoOf(await send(token));
  echoOf(await send(before));
  const keys = (await (await fetch(`${world.url}/.well-known/jwks.json`)).json()) as { keys: { kid: string }[] };
  expect(keys.keys.map(({ kid }) => kid)).not.toContain('seed-1');
});
