/** opaque-pop through a real Envoy, profile `strict`: passwords, sessions, requests, and what is altered, repeated and stolen of them. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  changePassword,
  connectIssuer,
  CountersignError,
  createClient,
  type IssuerConnection,
  logIn,
  logOut,
  opaquePop,
  type PasswordSession,
  registerPassword,
} from '../../src/client/index.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { utf8 } from '../../src/encoding/bytes.ts';
import { formatStrictProof, parseStrictProof } from '../../src/schemes/opaque-pop/message.ts';
import { CHEAP } from '../schemes/opaque-pop/prover.ts';
import { rejectionOf } from '../support/refused.ts';
import { echoOf, openWorld, verdictOf, type World } from './world.ts';
import { headerOf, http1, http2, type RawAnswer } from './wire.ts';

const PASSWORD = 'correct horse battery staple';
const PLENTY = { rate: '100000/s', burst: 1_000_000 };
const LIMITS = { loginPerUserAndAddress: PLENTY, loginPerUser: PLENTY, loginPerAddress: PLENTY };

describe.each([
  ['newest', 'memory'],
  ['oldest', 'redis'],
] as const)('Envoy %s, store %s', (envoy, store) => {
  let world: World;
  let issuer: IssuerConnection;

  beforeAll(async () => {
    world = await openWorld({
      envoy,
      store,
      ringUses: ['challenge-mac', 'wrap', 'opaque-setup'],
      change(config) {
        // A busy machine is no outage.
        const { redis } = config['store'] as { redis?: object };
        if (redis !== undefined) Object.assign(redis, { commandTimeout: '1s', socketTimeout: '5s' });
        // No tolerance for clocks ahead: a store that was just adopted is then waited for only until now.
        config.schemes['opaque-pop'] = { ksf: CHEAP, future: '0s', limits: LIMITS };
        config.routes['api'] = { ...config.routes['api'], schemes: ['opaque-pop', 'challenge-signature'] };
      },
    });
    issuer = connectIssuer({ scheme: 'opaque-pop', baseUrl: world.url });
    await world.admin('PUT', 'users', { subject: 'alice', attributes: { role: 'admin' } });
    await register('alice');
  }, 60_000);
  afterAll(() => world.stop());

  async function register(user: string, password = PASSWORD, replace = false): Promise<void> {
    const terms = { scheme: 'opaque-pop', subject: user, ttl: '1h', replace };
    const { token } = await world.admin('POST', 'invites', terms);
    await registerPassword(issuer, { user, password, invitation: String(token) });
  }

  /** Value of Authorization. */
  async function prove(
    session: PasswordSession,
    { method = 'GET', target = '/a', authority = world.to, body = '' } = {},
    nowMs = Date.now(),
  ): Promise<string> {
    const bytes = utf8(body);
    const request = { method, scheme: 'http', authority, target, body: bytes, bodyDigest: sha256(bytes) } as const;
    const [[, value] = ['', '']] = await opaquePop(session).sign(request, { ...issuer, nowMs: () => nowMs });
    return value;
  }

  const send = (authorization: string, target = '/a', method = 'GET', body?: string): Promise<RawAnswer> =>
    http1({
      method,
      target,
      to: world.to,
      headers: [['authorization', authorization]],
      ...(body !== undefined && { body: utf8(body) }),
    });
  const codeOf = async (run: Promise<unknown>): Promise<string> => {
    const thrown = await rejectionOf(run);
    if (thrown instanceof CountersignError) return thrown.code;
    throw thrown;
  };

  test('a password lets in: the upstream sees who it is and nothing of the proof', async () => {
    const session = await logIn(issuer, { user: 'alice', password: PASSWORD });
    const client = createClient({ baseUrl: world.url, signer: opaquePop(session) });
    const answer = await client.fetch('/transfer?dry=0', { method: 'POST', body: '{"amount":50}' });
    const echo = (await answer.json()) as { headers: [string, string][]; target: string };
    const seen = new Map(echo.headers.map(([name, value]) => [name.toLowerCase(), value]));
    expect(echo.target).toBe('/transfer?dry=0');
    expect(seen.get('x-auth-subject')).toBe('alice');
    expect(seen.get('x-auth-scheme')).toBe('opaque-pop');
    expect(seen.get('x-auth-key-id')).toMatch(/^[A-Za-z0-9_-]{16}$/);
    expect(seen.get('x-auth-attributes')).toBe('eyJyb2xlIjoiYWRtaW4ifQ');
    expect(seen.get('x-auth-body')).toBe('verified');
    expect(seen.has('authorization')).toBe(false);
  });

  test('over HTTP/2 too, bodies in frames', async () => {
    const session = await logIn(issuer, { user: 'alice', password: PASSWORD });
    const authorization = await prove(session, { method: 'POST', body: 'xy' });
    const request = {
      method: 'POST',
      target: '/a',
      to: world.to,
      headers: [['authorization', authorization]] as const,
    };
    echoOf(await http2({ ...request, frames: [utf8('x'), utf8('y')] }));
  });

  test('the same request again is 401 replayed, and of ten at once one passes', async () => {
    const session = await logIn(issuer, { user: 'alice', password: PASSWORD });
    const proof = await prove(session);
    echoOf(await send(proof));
    expect(verdictOf(await send(proof))).toBe('401 replayed');
    const once = await prove(session);
    const verdicts = await Promise.all(Array.from({ length: 10 }, async () => verdictOf(await send(once))));
    expect(verdicts.filter((verdict) => verdict === '200')).toHaveLength(1);
    expect(verdicts.filter((verdict) => verdict === '401 replayed')).toHaveLength(9);
  });

  test('altered after signing it is 401 signature_invalid, and the right one still passes', async () => {
    const session = await logIn(issuer, { user: 'alice', password: PASSWORD });
    const request = { method: 'POST', target: '/pay?dry=0', body: '{"amount":50}' };
    const proof = await prove(session, request);
    for (const [target, method, body] of [
      ['/pay?dry=1', 'POST', request.body],
      ['/pay2?dry=0', 'POST', request.body],
      ['/pay', 'POST', request.body],
      ['/pay?dry=0', 'PUT', request.body],
      ['/pay?dry=0', 'POST', '{"amount":51}'],
      ['/pay?dry=0', 'POST', ''],
    ] as const)
      expect(verdictOf(await send(proof, target, method, body))).toBe('401 signature_invalid');
    echoOf(await send(proof, request.target, request.method, request.body));
  });

  test('what a thief of the session id can send: not a MAC, not a bearer token, not a logout', async () => {
    const session = await logIn(issuer, { user: 'alice', password: PASSWORD });
    const proof = parseStrictProof(await prove(session));
    const forged = formatStrictProof({ ...proof, mac: new Uint8Array(32) });
    expect(verdictOf(await send(forged))).toBe('401 signature_invalid');
    expect(verdictOf(await send(`Bearer ${session.sid}`))).toBe('401 credentials_missing');
    expect(verdictOf(await send(`OpaquePoP sid="${session.sid}"`))).toBe('401 malformed');
    const key = await crypto.subtle.importKey('raw', new Uint8Array(64), { name: 'HMAC', hash: 'SHA-256' }, false, [
      'sign',
    ]);
    expect(await codeOf(logOut(issuer, { ...session, key }))).toBe('signature_invalid');
    echoOf(await send(await prove(session)));
  });

  test('an old proof is 401 stale, one ahead 401 not_yet_valid; both tell the time, and how to come in', async () => {
    const session = await logIn(issuer, { user: 'alice', password: PASSWORD });
    for (const [shiftMs, code] of [
      [-70_000, 'stale'],
      [10_000, 'not_yet_valid'],
    ] as const) {
      const answer = await send(await prove(session, {}, Date.now() + shiftMs));
      expect(verdictOf(answer)).toBe(`401 ${code}`);
      expect(Math.abs(Number(headerOf(answer, 'auth-server-time')) - Date.now())).toBeLessThan(10_000);
      expect(headerOf(answer, 'www-authenticate')).toContain(`OpaquePoP realm="countersign", error="${code}"`);
    }
  });

  test('two Authorization headers are 401 malformed, a header beyond 4096 bytes 413', async () => {
    const session = await logIn(issuer, { user: 'alice', password: PASSWORD });
    const proof = await prove(session);
    const headers = [
      ['authorization', proof],
      ['authorization', 'Basic eDp5'],
    ] as const;
    expect(verdictOf(await http1({ method: 'GET', target: '/a', to: world.to, headers }))).toBe('401 malformed');
    expect(verdictOf(await send(`${proof}, pad="${'a'.repeat(4096)}"`))).toBe('413 malformed');
    echoOf(await send(proof));
  });

  test('a wrong password, an unknown user: the issuer answers both alike and lets neither in', async () => {
    expect(await codeOf(logIn(issuer, { user: 'alice', password: 'wrong' }))).toBe('signature_invalid');
    expect(await codeOf(logIn(issuer, { user: 'nobody', password: PASSWORD }))).toBe('signature_invalid');
  });

  test('after a logout, a change of password, a revocation: no session of before passes', async () => {
    await register('bob');
    const [one, two] = [
      await logIn(issuer, { user: 'bob', password: PASSWORD }),
      await logIn(issuer, { user: 'bob', password: PASSWORD }),
    ];
    await logOut(issuer, one);
    expect(verdictOf(await send(await prove(one)))).toBe('401 signature_invalid');
    echoOf(await send(await prove(two)));

    await changePassword(issuer, { user: 'bob', password: PASSWORD, newPassword: 'another one' });
    expect(verdictOf(await send(await prove(two)))).toBe('401 revoked');
    expect(await codeOf(logIn(issuer, { user: 'bob', password: PASSWORD }))).toBe('signature_invalid');
    const three = await logIn(issuer, { user: 'bob', password: 'another one' });
    echoOf(await send(await prove(three)));

    await world.admin('POST', 'users/revoke', { subject: 'bob' });
    expect(verdictOf(await send(await prove(three)))).toBe('401 revoked');
    const four = await logIn(issuer, { user: 'bob', password: 'another one' });
    await world.admin('PUT', 'users', { subject: 'bob', disabled: true });
    expect(verdictOf(await send(await prove(four)))).toBe('401 revoked');
    expect(await codeOf(logIn(issuer, { user: 'bob', password: 'another one' }))).toBe('revoked');
  });

  test("the administrator's calls: lookup, revoke, and a new password by invitation; a deleted user leaves none", async () => {
    await register('carol');
    expect(await world.admin('POST', 'credentials/opaque-pop/lookup', { subject: 'carol' })).toMatchObject({
      subject: 'carol',
    });
    const session = await logIn(issuer, { user: 'carol', password: PASSWORD });
    await world.admin('POST', 'credentials/opaque-pop/revoke', { subject: 'carol' });
    expect(verdictOf(await send(await prove(session)))).toBe('401 revoked');
    expect(await codeOf(logIn(issuer, { user: 'carol', password: PASSWORD }))).toBe('signature_invalid');
    await register('carol', 'another one');
    await logIn(issuer, { user: 'carol', password: 'another one' });
    await register('carol', 'a third one', true);
    await logIn(issuer, { user: 'carol', password: 'a third one' });
    expect((await world.log()).includes('"credentials.opaque-pop.revoke"')).toBe(true);

    await world.admin('POST', 'users/delete', { subject: 'carol' });
    await world.admin('PUT', 'users', { subject: 'carol' });
    expect(await codeOf(logIn(issuer, { user: 'carol', password: 'a third one' }))).toBe('signature_invalid');
  });

  test('a reload loses no session and no login under way', async () => {
    const session = await logIn(issuer, { user: 'alice', password: PASSWORD });
    const under = Array.from({ length: 8 }, () => logIn(issuer, { user: 'alice', password: PASSWORD }));
    await world.reconfigure((config) => {
      config.schemes['opaque-pop'] = { ...config.schemes['opaque-pop'], idle: '10m' };
    });
    for (const later of await Promise.all(under)) echoOf(await send(await prove(later)));
    echoOf(await send(await prove(session)));
  });

  test('nothing secret is in the log, and the threads are in the metrics', async () => {
    const session = await logIn(issuer, { user: 'alice', password: PASSWORD });
    const proof = await prove(session);
    await send(proof);
    const log = await world.log();
    for (const secret of [session.sid, PASSWORD, /mac="([^"]*)"/.exec(proof)?.[1] ?? 'mac', 'alice'])
      expect(log).not.toContain(secret);
    const metrics = await world.metrics();
    expect(metrics).toMatch(/^countersign_opaque_job_seconds_count\{op="login_start"\} [1-9]/m);
    expect(metrics).toMatch(/^countersign_opaque_queue_depth 0$/m);
    expect(metrics).toMatch(
      /^countersign_issuer_requests_total\{scheme="opaque-pop",endpoint="[^"]*login\/start",status="2xx"\} [1-9]/m,
    );
  });
});
