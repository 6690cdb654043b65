/**
 * better-auth v1 through a real Envoy: a public client's whole life by the paths of the public protocol, and what is altered, repeated,
 * sent elsewhere, stolen and revoked of it.
 */
import { Buffer } from 'node:buffer';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { routeToIssuer } from '../../scripts/envoy-config.ts';
import {
  connectMessages,
  createClient,
  generateKeyPair,
  memoryState,
  type MessageChannel,
  signingKey,
  type V1Device,
  v1Device,
  v1RecoveryHash,
} from '../../src/client/index.ts';
import { utf8 } from '../../src/encoding/bytes.ts';
import { OPERATIONS } from '../../src/schemes/better-auth/v1/message.ts';
import { codeOfClient, drained } from '../schemes/better-auth/v0/drained.ts';
import { newKey } from '../schemes/better-auth/world.ts';
import { echoOf, openWorld, upstream, verdictOf, type World } from './world.ts';
import { headerOf, http1, http2 } from './wire.ts';

const PLENTY = { rate: '100000/s', burst: 1_000_000 };

describe.each([
  ['newest', 'memory'],
  ['oldest', 'redis'],
] as const)('Envoy %s, store %s', (envoy, store) => {
  let world: World;
  let channel: MessageChannel;
  let alice: V1Device;
  let identity: string;

  beforeAll(async () => {
    world = await openWorld({
      envoy,
      store,
      services: store === 'redis' ? 2 : 1,
      ringUses: ['challenge-mac', 'response-signing', 'access-signing', 'pepper'],
      change(config) {
        config.schemes['better-auth'] = {
          audience: (config['issuer'] as { audiences: string[] }).audiences[0],
          limits: { peer: PLENTY, createPerPeer: PLENTY, challengePerAccountAndPeer: PLENTY },
        };
        config.routes['api'] = { ...config.routes['api'], schemes: ['better-auth', 'challenge-signature'] };
        const { redis } = config['store'] as { redis?: object };
        // Tests share a machine: what takes long here is not what they are about.
        if (redis !== undefined)
          config['store'] = { type: 'redis', redis: { ...redis, commandTimeout: '1s', socketTimeout: '5s' } };
      },
      changeEnvoy: (config) =>
        routeToIssuer(config, [
          ...OPERATIONS.map((operation) => `/${operation}`),
          '/key/response',
          '/better-auth/keys',
        ]),
    });
    channel = connectMessages({ scheme: 'better-auth', baseUrl: world.url });
    // A store that was just adopted refuses what may have been spent before: skew, and the tolerance for clients' clocks.
    if (store === 'redis') await new Promise((done) => setTimeout(done, 2_500));
    alice = await newDevice();
    identity = (await alice.account())?.identity ?? '';
  }, 90_000);
  afterAll(() => world.stop());

  const newHash = async () => v1RecoveryHash(await signingKey(await generateKeyPair('ES256')));

  async function newDevice(): Promise<V1Device> {
    const device = v1Device({ channel, state: memoryState() });
    await whenServed(async () => device.create({ recoveryHash: await newHash() }));
    return device;
  }

  /** Until the store has been adopted. */
  async function whenServed<T>(run: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await run();
      } catch (thrown) {
        if ((thrown as { code?: string }).code !== 'unavailable' || attempt === 20) throw thrown;
        await new Promise((done) => setTimeout(done, 500));
      }
    }
  }

  const asBody = (body: string, target = '/transfer', more: readonly (readonly [string, string])[] = []) => ({
    method: 'POST',
    target,
    to: world.to,
    headers: [['content-type', 'application/json'] as const, ...more],
    body: utf8(body),
  });

  async function signed(device: V1Device, target = '/transfer?dry=0', body = '{"amount":50}') {
    const client = createClient({ baseUrl: world.url, signer: device.signer });
    const { headers } = await client.signRequest(`${world.url}${target}`, { method: 'POST', body });
    const list = [...headers].map(([name, value]) => [name, value] as const);
    return { method: 'POST', target, to: world.to, headers: list, body: utf8(body) };
  }

  const post = (path: string, body: string) =>
    http1({ method: 'POST', target: path, to: world.to, headers: [], body: utf8(body) });

  test('the paths of the public protocol answer at the root, in its own form', async () => {
    const key = await post('/key/response', '');
    expect([key.status, Buffer.from(key.body).toString()]).toEqual([
      200,
      expect.stringMatching(/^1AAI[A-Za-z0-9_-]{44}$/),
    ]);
    const refused = await post('/account/create', '{}');
    expect([refused.status, JSON.parse(Buffer.from(refused.body).toString())]).toEqual([
      400,
      { error: { code: 'BA101', message: 'Message structure is invalid or malformed', context: {} } },
    ]);
  });

  test('a device passes by the body form, over HTTP/1.1 and HTTP/2; the upstream gets the body and learns who', async () => {
    const { device = '' } = (await alice.account()) ?? {};
    for (const isHttp2 of [false, true]) {
      const body = await alice.accessMessage({ amount: 50, to: 'bob' });
      const request = asBody(body);
      const answer = isHttp2 ? await http2({ ...request, frames: [request.body] }) : await http1(request);
      const echo = echoOf(answer);
      expect(Buffer.from(echo.body, 'base64').toString()).toBe(body);
      expect(upstream(echo, 'x-auth-subject')).toEqual([identity]);
      expect(upstream(echo, 'x-auth-scheme')).toEqual(['better-auth']);
      expect(upstream(echo, 'x-auth-key-id')).toEqual([device]);
      const attributes = JSON.parse(
        Buffer.from(upstream(echo, 'x-auth-attributes')[0] ?? '', 'base64url').toString(),
      ) as object;
      const { nonce } = (JSON.parse(body) as { payload: { access: { nonce: string } } }).payload.access;
      expect(attributes).toEqual({ aud: world.url, auth: { device, nonce, version: 'v1' } });
    }
  });

  test('it passes by the header form', async () => {
    const echo = echoOf(await http1(await signed(alice)));
    expect(upstream(echo, 'x-auth-subject')).toEqual([identity]);
    expect(upstream(echo, 'authorization')).toEqual([]);
  });

  test('a copy is replayed, of 100 at once, on Redis over two processes, all but one (BA-16)', async () => {
    const body = await alice.accessMessage({ amount: 50 });
    const verdicts = await Promise.all(Array.from({ length: 100 }, () => http1(asBody(body)).then(verdictOf)));
    expect(verdicts.filter((verdict) => verdict === '200')).toHaveLength(1);
    expect(new Set(verdicts)).toEqual(new Set(['200', '401 replayed']));
    const request = await signed(alice);
    echoOf(await http1(request));
    expect(verdictOf(await http1(request))).toBe('401 replayed');
  });

  test.each<readonly [string, (body: string) => string, string]>([
    ['an amount', (body) => body.replace(':50', ':51'), '401 signature_invalid'],
    ['blanks, which are signed', (body) => body.replace('{"payload":{', '{"payload":{ '), '401 signature_invalid'],
    [
      'the nonce',
      (body) => body.replace(/"nonce":"0A./, (text) => text.slice(0, -1) + (text.endsWith('B') ? 'C' : 'B')),
      '401 signature_invalid',
    ],
    ['a member more', (body) => body.replace('"signature"', '"x":1,"signature"'), '401 malformed'],
    ['two payloads', (body) => body.replace('{"payload"', '{"payload":{},"payload"'), '401 malformed'],
    ['cut short', (body) => body.slice(0, -1), '401 malformed'],
    ['a token that is a bomb', (body) => body.replace(/"token":"[^"]*"/, `"token":"${BOMB}"`), '401 malformed'],
    ['no payload', () => '{"signature":"x"}', '401 credentials_missing'],
  ])('altered: %s', async (_title, change, verdict) => {
    const body = await alice.accessMessage({ amount: 50 });
    expect(verdictOf(await http1(asBody(change(body))))).toBe(verdict);
    echoOf(await http1(asBody(body)));
  });

  test('a query is malformed: the body does not sign it', async () => {
    const body = await alice.accessMessage({ amount: 50 });
    expect(verdictOf(await http1(asBody(body, '/transfer?to=eve')))).toBe('401 malformed');
    echoOf(await http1(asBody(body)));
  });

  test('identity headers of a client do not arrive', async () => {
    const body = await alice.accessMessage({ amount: 50 });
    const echo = echoOf(await http1(asBody(body, '/transfer', [['x-auth-subject', 'root']])));
    expect(upstream(echo, 'x-auth-subject')).toEqual([identity]);
  });

  test('a stolen token is worth nothing without its key', async () => {
    const thief = await newDevice();
    const mine = await alice.accessMessage({ amount: 50 });
    const token = /"token":"([^"]*)"/.exec(mine)?.[1] ?? '';
    const theirs = (await thief.accessMessage({ amount: 50 })).replace(/"token":"[^"]*"/, `"token":"${token}"`);
    expect(verdictOf(await http1(asBody(theirs)))).toBe('401 signature_invalid');
    const payload = /^\{"payload":(.*),"signature"/.exec(mine)?.[1] ?? '';
    const forged = `{"payload":${payload},"signature":"${newKey().sign(payload)}"}`;
    expect(verdictOf(await http1(asBody(forged)))).toBe('401 signature_invalid');
    const header = drained(await signed(thief)).with({ token });
    expect(verdictOf(await http1(header))).toBe('401 signature_invalid');
    echoOf(await http1(asBody(mine)));
  });

  test('a refusal names the way in, the time, and nothing else', async () => {
    const body = (await alice.accessMessage({ amount: 50 })).replace(/"timestamp":"\d{4}/, '"timestamp":"2020');
    const answer = await http1(asBody(body));
    expect(verdictOf(answer)).toBe('401 stale');
    expect(headerOf(answer, 'www-authenticate')).toContain('BetterAuth realm="countersign", error="stale"');
    expect(Math.abs(Number(headerOf(answer, 'auth-server-time')) - Date.now())).toBeLessThan(5_000);
  });

  test('rotation keeps the session, unlinking, recovery, deletion and the administrator end it on the next request', async () => {
    const device = await newDevice();
    const { identity: subject = '' } = (await device.account()) ?? {};
    const other = v1Device({ channel, state: memoryState() });
    await device.link(await other.linkContainer(subject));
    const [first, second] = [await device.accessMessage({ a: 1 }), await other.accessMessage({ a: 2 })];
    await device.rotate();
    echoOf(await http1(asBody(first)));
    await device.unlink((await other.account())?.device ?? '');
    expect(verdictOf(await http1(asBody(second)))).toBe('401 revoked');
    expect(await codeOfClient(other.rotate())).toBe('signature_invalid');

    const recoveryKey = await signingKey(await generateKeyPair('ES256'));
    await device.changeRecovery(await v1RecoveryHash(recoveryKey));
    const before = await device.accessMessage({ a: 3 });
    const heir = v1Device({ channel, state: memoryState() });
    await heir.recover({ identity: subject, recoveryKey, recoveryHash: await newHash() });
    expect(verdictOf(await http1(asBody(before)))).toBe('401 revoked');
    const late = await heir.accessMessage({ a: 4 });
    const last = await heir.accessMessage({ a: 5 });
    echoOf(await http1(asBody(late)));
    await world.admin('POST', 'better-auth/v1/revoke', { subject, sessions: true });
    expect(verdictOf(await http1(asBody(last)))).toBe('401 revoked');

    await heir.deleteAccount();
    const again = await world.admin('POST', 'better-auth/v1/lookup', { subject });
    expect(again).toMatchObject({ subject, state: 'deleted' });
    expect(await world.log()).toContain('recovery_changed');
  });

  test('attributes that the administrator sets arrive with the next token; the audit line does not name the account', async () => {
    const device = await newDevice();
    const { identity: subject = '' } = (await device.account()) ?? {};
    await world.admin('POST', 'better-auth/v1/attributes', { subject, attributes: { role: 'admin' } });
    const echo = echoOf(await http1(asBody(await device.accessMessage({}))));
    const attributes = Buffer.from(upstream(echo, 'x-auth-attributes')[0] ?? '', 'base64url').toString();
    expect(JSON.parse(attributes)).toMatchObject({ role: 'admin' });
    const log = await world.log();
    expect(log).toContain('better-auth.v1.attributes');
    expect(log).not.toContain(subject);
  });

  test('nothing that a client sends is in the log or the metrics (BA-34)', async () => {
    const body = await alice.accessMessage({ canary: 'CANARY-7f3a' });
    echoOf(await http1(asBody(body)));
    await http1(asBody(body));
    const told = (await world.log()) + (await world.metrics());
    const words = body.match(/[A-Za-z0-9_-]{20,}/g) ?? [];
    expect(words.length).toBeGreaterThan(2);
    for (const word of [...words, 'CANARY-7f3a', identity]) expect(told).not.toContain(word);
    expect(await world.metrics()).toMatch(/countersign_checks_total\{.*scheme="better-auth".*code="replayed"\}/);
    expect(await world.metrics()).toContain('countersign_better_auth_events_total');
  });
});

/** A megabyte of zeroes, more than a token may inflate to. */
const BOMB = `${newKey().sign('x')}${gzipped()}`;

function gzipped(): string {
  return gzipSync(Buffer.alloc(1_000_000)).toString('base64url');
}
