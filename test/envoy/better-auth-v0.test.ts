/** better-auth v0 through a real Envoy: devices, a passphrase, both carriers, and what is altered, repeated, stolen and revoked of them. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type ClientState,
  connectMessages,
  createClient,
  CountersignError,
  loginV0Passphrase,
  memoryState,
  type MessageChannel,
  registerV0Passphrase,
  type V0Device,
  v0Device,
} from '../../src/client/index.ts';
import { utf8 } from '../../src/encoding/bytes.ts';
import { virtualHost } from '../../scripts/envoy-config.ts';
import { codeOfClient, drained, type Drained } from '../schemes/better-auth/v0/drained.ts';
import { echoOf, openWorld, upstream, verdictOf, type World } from './world.ts';
import { headerOf, http1, http2, type RawAnswer } from './wire.ts';

const PREFIX = '/better-auth';
const PLENTY = { rate: '100000/s', burst: 1_000_000 };
const LIMITS = {
  peer: PLENTY,
  challengePerAccountAndPeer: PLENTY,
  passphrasePerAccountAndPeer: { rate: '20/h', burst: 5 },
};
const CHEAP = '$argon2id$v=19$m=19456,t=2,p=1$';

describe.each([
  ['newest', 'memory'],
  ['oldest', 'redis'],
] as const)('Envoy %s, store %s', (envoy, store) => {
  let world: World;
  let channel: MessageChannel;
  let alice: V0Device;

  beforeAll(async () => {
    world = await openWorld({
      envoy,
      store,
      ringUses: ['challenge-mac', 'response-signing', 'access-signing', 'pepper'],
      change(config) {
        config.schemes['better-auth'] = {
          audience: (config['issuer'] as { audiences: string[] }).audiences[0],
          v0: { passphraseParameters: CHEAP },
          limits: LIMITS,
        };
        config.routes['api'] = { ...config.routes['api'], schemes: ['better-auth', 'challenge-signature'] };
        const { redis } = config['store'] as { redis?: object };
        // Tests share a machine: what takes long here is not what they are about.
        if (redis !== undefined)
          config['store'] = { type: 'redis', redis: { ...redis, commandTimeout: '1s', socketTimeout: '5s' } };
      },
      changeEnvoy(config) {
        const { routes } = virtualHost(config) as { routes: { match: object }[] };
        const issuer = routes.find(({ match }) => 'path_separated_prefix' in match);
        routes.unshift({ ...issuer, name: 'better-auth', match: { path_separated_prefix: PREFIX } } as never);
      },
    });
    channel = connectMessages({ scheme: 'better-auth', baseUrl: world.url });
    alice = await whenServed(() => newDevice({ kind: 'key', attributes: { role: 'admin' } }));
    // A store that was just adopted refuses what may have been spent before: skew, and the tolerance for clients' clocks.
    if (store === 'redis') await new Promise((done) => setTimeout(done, 2_500));
  }, 90_000);
  afterAll(() => world.stop());

  const material = async (order: object): Promise<string> =>
    String((await world.admin('POST', 'better-auth/v0/registrations', order))['material']);

  async function newDevice(order: object = { kind: 'key' }, state: ClientState = memoryState()): Promise<V0Device> {
    const device = v0Device({ channel, state });
    await device.register(await material(order));
    return device;
  }

  const clientOf = (device: Pick<V0Device, 'signer'>) => createClient({ baseUrl: world.url, signer: device.signer });

  /** A request of the header form, as it goes over the wire. */
  async function signed(
    device: Pick<V0Device, 'signer'>,
    { method = 'POST', target = '/transfer?dry=0', body = '{"amount":50}' } = {},
  ) {
    const init = method === 'GET' ? { method } : { method, body, headers: { 'content-type': 'application/json' } };
    const { headers } = await clientOf(device).signRequest(`${world.url}${target}`, init);
    return {
      method,
      target,
      to: world.to,
      headers: [...headers].map(([name, value]) => [name, value] as const),
      ...(method !== 'GET' && { body: utf8(body) }),
    };
  }

  const asBody = (body: string, target = '/transfer') => ({
    method: 'POST',
    target,
    to: world.to,
    headers: [['content-type', 'application/json']] as const,
    body: utf8(body),
  });

  const attributesOf = (answer: RawAnswer): unknown =>
    JSON.parse(Buffer.from(upstream(echoOf(answer), 'x-auth-attributes')[0] ?? '', 'base64url').toString());

  const drain = (request: Awaited<ReturnType<typeof signed>>): Drained => drained(request);

  test('a device passes by the header form, over HTTP/1.1 and HTTP/2, and the upstream learns who', async () => {
    const { accountId = '', deviceId = '' } = (await alice.account()) ?? {};
    for (const method of ['GET', 'POST']) {
      const answers = [await http1(await signed(alice, { method })), await http2(h2(await signed(alice, { method })))];
      for (const answer of answers) {
        const echo = echoOf(answer);
        expect(upstream(echo, 'x-auth-subject')).toEqual([accountId]);
        expect(upstream(echo, 'x-auth-scheme')).toEqual(['better-auth']);
        expect(upstream(echo, 'x-auth-key-id')).toEqual([deviceId]);
        expect(upstream(echo, 'authorization')).toEqual([]);
        expect(attributesOf(answer)).toMatchObject({
          aud: world.url,
          role: 'admin',
          auth: { device: deviceId, version: 'v0' },
        });
      }
    }
  });

  test('it passes by the body form, and the body arrives as it was', async () => {
    const body = await alice.accessMessage({ amount: 50, to: 'bob' });
    const answer = await http1(asBody(body));
    expect(Buffer.from(echoOf(answer).body, 'base64').toString()).toBe(body);
    expect(upstream(echoOf(answer), 'x-auth-subject')).toEqual([(await alice.account())?.accountId]);
  });

  test('a copy is replayed, of ten at once all but one, in either form', async () => {
    const request = await signed(alice);
    echoOf(await http1(request));
    expect(verdictOf(await http1(request))).toBe('401 replayed');
    const body = await alice.accessMessage({ amount: 50 });
    const verdicts = await Promise.all(Array.from({ length: 10 }, () => http1(asBody(body)).then(verdictOf)));
    expect(verdicts.filter((verdict) => verdict === '200')).toHaveLength(1);
    expect(new Set(verdicts)).toEqual(new Set(['200', '401 replayed']));
    // With other blanks it is the same message.
    expect(verdictOf(await http1(asBody(JSON.stringify(JSON.parse(body), undefined, 1))))).toBe('401 replayed');
  });

  test.each<[string, object]>([
    ['method', { method: 'PUT' }],
    ['path', { target: '/transfer2?dry=0' }],
    ['query', { target: '/transfer?dry=1' }],
    ['body', { body: utf8('{"amount":51}') }],
    ['length of the body', { body: utf8('{"amount":50} ') }],
  ])('an altered %s is signature_invalid in the header form', async (_what, change) => {
    expect(verdictOf(await http1({ ...(await signed(alice)), ...change }))).toBe('401 signature_invalid');
  });

  test('in the body form an altered message is signature_invalid, and a query malformed: it is not signed', async () => {
    const body = await alice.accessMessage({ amount: 50 });
    expect(verdictOf(await http1(asBody(body.replace(':50', ':51'))))).toBe('401 signature_invalid');
    expect(verdictOf(await http1(asBody(body, '/transfer?dry=1')))).toBe('401 malformed');
    echoOf(await http1(asBody(body)));
  });

  test('a stolen token is worth nothing without its key, nor with another', async () => {
    const thief = await newDevice();
    const [mine, theirs] = [drain(await signed(alice)), drain(await signed(thief))];
    const header = theirs.with({ token: mine.token });
    expect(verdictOf(await http1(header))).toBe('401 signature_invalid');
    expect(
      verdictOf(
        await http1({
          ...asBody((await thief.accessMessage({ a: 1 })).replace(/"token":"[^"]*"/, `"token":"${mine.token}"`)),
        }),
      ),
    ).toBe('401 signature_invalid');
    expect(verdictOf(await http1(mine.with({ sig: theirs.sig })))).toBe('401 signature_invalid');
  });

  test('a message too old is stale, one too far ahead not_yet_valid, and the answer tells the time', async () => {
    for (const [offMs, verdict] of [
      [-31_000, '401 stale'],
      [60_000, '401 not_yet_valid'],
    ] as const) {
      const drifting = {
        ...alice.signer,
        sign: (request: never, issuer: object) =>
          alice.signer.sign(request, { ...issuer, nowMs: () => Date.now() + offMs } as never),
      };
      const answer = await http1(await signed({ signer: drifting }));
      expect(verdictOf(answer)).toBe(verdict);
      expect(Math.abs(Number(headerOf(answer, 'auth-server-time')) - Date.now())).toBeLessThan(5_000);
      expect(headerOf(answer, 'www-authenticate')).toBe(`BetterAuth realm="countersign", error="${verdict.slice(4)}"`);
    }
  });

  test('a client whose clock is off by an hour is corrected by the first refusal', async () => {
    const now = Date.now;
    try {
      Date.now = () => now() + 3_600_000;
      const device = await newDevice();
      expect((await clientOf(device).fetch(`${world.url}/a`)).status).toBe(200);
    } finally {
      Date.now = now;
    }
  });

  test('a stolen refresh key: the second use of a nonce ends the session of both, and the owner logs in anew', async () => {
    const state = memoryState();
    const device = await newDevice({ kind: 'key' }, state);
    await signed(device);
    const before = await signed(device);
    // The thief has the owner's state, and keys, of a moment ago.
    const stolen = JSON.parse((await state.read()) ?? '') as { session: object };
    const copy: ClientState = { ...memoryState(), key: (name) => state.key(name) };
    await copy.write(JSON.stringify(stolen));
    const thief = v0Device({ channel, state: copy });
    echoOf(await http1(await signed(thief)));
    // The owner's next refresh shows the nonce that the thief has shown.
    const owner = v0Device({ channel, state });
    echoOf(await http1(await signed(owner)));
    expect(verdictOf(await http1(before))).toBe('401 revoked');
    expect(verdictOf(await http1(await signed(thief)))).toBe('401 revoked');
    expect(await world.log()).toContain('session_theft');
  });

  test('a rotated key ends the sessions made with the old one; the device goes on', async () => {
    const device = await newDevice();
    const [first, second] = [await signed(device), await signed(device)];
    echoOf(await http1(first));
    await device.rotate();
    expect(verdictOf(await http1(second))).toBe('401 revoked');
    echoOf(await http1(await signed(device)));
  });

  test('the end of a session, and what the administrator takes back, count on the next request', async () => {
    const device = await newDevice();
    const { accountId: subject = '', deviceId = '' } = (await device.account()) ?? {};
    const late = await signed(device);
    await device.end();
    expect(verdictOf(await http1(late))).toBe('401 revoked');
    const afterwards = await signed(device);
    await world.admin('POST', 'better-auth/v0/revoke', { subject, device: deviceId });
    expect(verdictOf(await http1(afterwards))).toBe('401 revoked');
    // Its token is refused, then the session, then the login.
    expect(await codeOfClient(clientOf(device).fetch('/a'))).toBe('revoked');
    expect(await codeOfClient(clientOf(device).fetch('/a'))).toBe('signature_invalid');
    await world.admin('POST', 'better-auth/v0/revoke', { subject, account: true });
    expect(await world.admin('POST', 'better-auth/v0/lookup', { subject })).toMatchObject({
      subject,
      state: 'deleted',
    });
    await expect(material({ kind: 'key', subject })).rejects.toThrow('404');
  });

  test('the shared call takes a device back too', async () => {
    const device = await newDevice();
    const { accountId: subject = '', deviceId: keyId = '' } = (await device.account()) ?? {};
    const late = await signed(device);
    await world.admin('POST', 'credentials/better-auth/revoke', { subject, keyId });
    expect(verdictOf(await http1(late))).toBe('401 revoked');
  });

  test('a passphrase is registered, logs in, and is guessed five times at most', async () => {
    const { accountId } = await registerV0Passphrase(
      { channel },
      await material({ kind: 'passphrase' }),
      'open sesame',
    );
    const login = (passphrase: string) =>
      loginV0Passphrase({ channel, state: memoryState() }, { accountId, passphrase });
    const session = await login('open sesame');
    const echo = echoOf(await http1(await signed(session)));
    expect([upstream(echo, 'x-auth-subject'), upstream(echo, 'x-auth-key-id')]).toEqual([[accountId], ['passphrase']]);
    for (let count = 0; count < 5; count += 1)
      expect(await codeOfClient(login('open says me'))).toBe('signature_invalid');
    const refused: unknown = await login('open sesame').catch((thrown: unknown) => thrown);
    expect(refused).toBeInstanceOf(CountersignError);
    expect(refused).toMatchObject({ code: 'rate_limited', status: 429 });
    expect((refused as CountersignError).retryAfterSeconds).toBeGreaterThan(60);
  });

  test('registration material works once, and a device asks for more of it', async () => {
    const given = await material({ kind: 'key' });
    const device = v0Device({ channel, state: memoryState() });
    await device.register(given);
    expect(await codeOfClient(v0Device({ channel, state: memoryState() }).register(given))).toBe('signature_invalid');
    const second = v0Device({ channel, state: memoryState() });
    await second.register(await device.requestRegistration('key'));
    echoOf(await http1(await signed(second)));
  });

  test('a JSON body that is no access message is for the next scheme, a header of another one too', async () => {
    expect(verdictOf(await http1(asBody('{"amount":50}')))).toBe('401 credentials_missing');
    const authorization = await world.prove({ method: 'POST', target: '/transfer', body: utf8('{"amount":50}') });
    const headers = [...asBody('').headers, ['authorization', authorization]] as const;
    echoOf(await http1({ ...asBody('{"amount":50}'), headers }));
  });

  test("the issuer refuses the application's media type, a wrong method, and too much (BA-33)", async () => {
    const target = '/better-auth/v0/authenticate/begin';
    const call = (change: object) => http1({ ...asBody('{}', target), ...change });
    expect((await call({ headers: [['content-type', 'text/plain']] })).status).toBe(415);
    const wrong = await call({ method: 'PUT' });
    expect([wrong.status, headerOf(wrong, 'allow')]).toEqual([405, 'POST']);
    expect((await call({ body: utf8(' '.repeat(16_385)) })).status).toBe(413);
    const malformed = await call({});
    expect([malformed.status, headerOf(malformed, 'cache-control'), headerOf(malformed, 'content-type')]).toEqual([
      400,
      'no-store',
      'application/problem+json',
    ]);
  });

  test('nothing of messages, tokens, nonces, signatures or salts is in the log or the metrics (BA-34)', async () => {
    const request = drain(await signed(alice));
    await http1(request.with({}));
    await http1(request.with({}));
    const body = await alice.accessMessage({ canary: 'wQ7mXcanaryZp3' });
    await http1(asBody(body.replace('wQ7m', 'wQ8m')));
    const given = await material({ kind: 'passphrase' });
    const told = `${await world.log()}${await world.metrics()}`;
    const { accountId = '', deviceId = '' } = (await alice.account()) ?? {};
    const secrets = [...(body.match(/[A-Za-z0-9_-]{22,}/g) ?? []), ...(given.match(/[A-Za-z0-9_-]{22,}/g) ?? [])];
    for (const secret of [request.token, request.nonce, request.sig, accountId, deviceId, 'canary', ...secrets])
      expect(told.includes(secret)).toBe(false);
  });
});

/** The first write to a Redis that was just adopted may be told to come again. */
async function whenServed<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    if (!(thrown instanceof CountersignError) || thrown.code !== 'unavailable') throw thrown;
    await new Promise((done) => setTimeout(done, 1_000));
    return run();
  }
}

/** HTTP/2 wants its names in lower case and its body as frames. */
function h2({ body, ...request }: { body?: Uint8Array; [more: string]: unknown }) {
  return { ...request, ...(body !== undefined && { frames: [body] }) } as never;
}
