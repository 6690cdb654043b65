/** opaque-pop through a real Envoy, profile `seed`: the prototype's client as it is, and what it no longer gets away with. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { virtualHost } from '../../scripts/envoy-config.ts';
import { utf8 } from '../../src/encoding/bytes.ts';
import { popHeaders, seedClient, type SeedSession } from '../schemes/opaque-pop/seed-client.ts';
import { echoOf, openWorld, upstream, verdictOf, type World } from './world.ts';
import { headerOf, http1, type RawAnswer } from './wire.ts';

const PATHS = ['/register/start', '/register/finish', '/login/start', '/login/finish'];
const PLENTY = { rate: '100000/s', burst: 1_000_000 };
const BODY = '{"to":"bob","amount":50}';

describe.each([
  ['oldest', 'memory'],
  ['newest', 'redis'],
] as const)('Envoy %s, store %s', (envoy, store) => {
  let world: World;
  let session: SeedSession;

  beforeAll(async () => {
    world = await openWorld({
      envoy,
      store,
      ringUses: ['challenge-mac', 'wrap', 'opaque-setup'],
      change(config) {
        // A busy machine is no outage.
        const { redis } = config['store'] as { redis?: object };
        if (redis !== undefined) Object.assign(redis, { commandTimeout: '1s', socketTimeout: '5s' });
        const limits = { loginPerUserAndAddress: PLENTY, loginPerUser: PLENTY, loginPerAddress: PLENTY };
        const seed = { profiles: ['seed'], seedOpenRegistration: true, seedWindow: '5s', limits };
        config.schemes['opaque-pop'] = seed;
        config.routes['api'] = { ...config.routes['api'], schemes: ['opaque-pop', 'challenge-signature'] };
      },
      changeEnvoy(config) {
        // At the root each of them needs a route of its own: exact paths, never a prefix that could cover the application.
        const { routes } = virtualHost(config) as { routes: { match: object }[] };
        const issuer = routes.find(({ match }) => 'path_separated_prefix' in match);
        for (const path of PATHS) routes.unshift({ ...issuer, name: `seed ${path}`, match: { path } } as never);
      },
    });
    const client = seedClient((path, body) => post(path, body));
    await client.register('dora', 'correct horse');
    session = await client.login('dora', 'correct horse');
    // A store that was just adopted refuses what may have been spent before: here for its whole window.
    if (store === 'redis') await new Promise((done) => setTimeout(done, 6_500));
  }, 90_000);
  afterAll(() => world.stop());

  async function post(path: string, body: object) {
    const answer = await http1({
      method: 'POST',
      target: path,
      to: world.to,
      headers: [['content-type', 'application/json']],
      body: utf8(JSON.stringify(body)),
    });
    return { status: answer.status, body: JSON.parse(answer.body || '{}') as Record<string, unknown> };
  }

  const nowSeconds = () => Math.floor(Date.now() / 1000);
  const pop = (changes: Partial<Parameters<typeof popHeaders>[1]> = {}, nonce?: string) =>
    popHeaders(session, { method: 'POST', path: '/api/transfer', body: BODY, ts: nowSeconds(), ...changes }, nonce);
  const send = (
    headers: readonly (readonly [string, string])[],
    target = '/api/transfer',
    body = BODY,
  ): Promise<RawAnswer> => http1({ method: 'POST', target, to: world.to, headers, body: utf8(body) });

  test('registered, logged in and called: the upstream sees who it is and none of the four headers', async () => {
    const echo = echoOf(await send(pop()));
    expect(upstream(echo, 'x-auth-subject')).toEqual(['dora']);
    expect(upstream(echo, 'x-auth-scheme')).toEqual(['opaque-pop']);
    for (const name of ['authorization', 'x-ts', 'x-nonce', 'x-pop']) expect(upstream(echo, name)).toEqual([]);
  });

  test('its replay demonstration is 401 replayed', async () => {
    const headers = pop();
    echoOf(await send(headers));
    expect(verdictOf(await send(headers))).toBe('401 replayed');
  });

  test('its stolen-token demonstration is refused: without a MAC, with another key', async () => {
    expect(verdictOf(await send([['authorization', `Bearer ${session.sid}`]]))).toBe('401 malformed');
    const other = popHeaders(
      { ...session, popKey: new Uint8Array(32) },
      { method: 'POST', path: '/api/transfer', body: BODY, ts: nowSeconds() },
    );
    const answer = await send(other);
    expect(verdictOf(answer)).toBe('401 signature_invalid');
    expect(headerOf(answer, 'www-authenticate')).toContain('Bearer realm="countersign", error="invalid_token"');
  });

  test('a body, a method or a path of another request is 401 signature_invalid', async () => {
    expect(verdictOf(await send(pop(), '/api/transfer', BODY.replace('50', '51')))).toBe('401 signature_invalid');
    expect(verdictOf(await send(pop({ method: 'PUT' })))).toBe('401 signature_invalid');
    expect(verdictOf(await send(pop(), '/api/transfers'))).toBe('401 signature_invalid');
  });

  test('a query and a percent sign in the path are refused whatever the MAC', async () => {
    expect(verdictOf(await send(pop(), '/api/transfer?to=mallory'))).toBe('401 malformed');
    // Envoy takes escaped unreserved characters out of paths by itself, or refuses them: nothing of the kind passes.
    expect((await send(pop({ path: '/api/a b' }), '/api/a%20b')).status).toBe(401);
  });

  test('a proof dated ahead passes once and not again when its time has come', async () => {
    const headers = pop({ ts: nowSeconds() + 4 });
    echoOf(await send(headers));
    expect(verdictOf(await send(headers))).toBe('401 replayed');
    expect(verdictOf(await send(pop({ ts: nowSeconds() + 60 })))).toBe('401 not_yet_valid');
    expect(verdictOf(await send(pop({ ts: nowSeconds() - 60 })))).toBe('401 stale');
  });

  test('headers twice are 401 malformed', async () => {
    const headers = pop();
    for (const name of ['x-ts', 'x-nonce', 'x-pop']) {
      const twice = [...headers, headers.find(([one]) => one === name) ?? ['', '']] as [string, string][];
      expect(verdictOf(await send(twice))).toBe('401 malformed');
    }
    echoOf(await send(headers));
  });

  test('a login of dora ends as nobody else, and once', async () => {
    const client = seedClient((path, body) => post(path, body));
    await client.register('bob', 'another');
    const login = await client.start('dora', 'correct horse');
    await expect(login.finish('bob')).rejects.toThrow('401 signature_invalid');
    await expect(login.finish()).rejects.toThrow('401 signature_invalid');
  });

  test('a second registration is 409, and the strict endpoints are not there', async () => {
    const client = seedClient((path, body) => post(path, body));
    await expect(client.register('dora', 'mine')).rejects.toThrow('409 conflict');
    expect((await post('/auth/opaque-pop/login/start', {})).status).toBe(404);
  });
});
