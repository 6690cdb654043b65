/**
 * The profile `seed` against an unchanged client of the document's prototype, and what the prototype got wrong: each mistake is a test
 * of its own, named after it. Numbers name the tests that must exist for this scheme.
 */
import { describe, expect, test } from '@jest/globals';
import { randomBytes } from '../../../src/crypto/random.ts';
import { encodeBase64url } from '../../../src/encoding/base64url.ts';
import { toHex } from '../../../src/encoding/bytes.ts';
import { complete, type RequestParts } from '../../support/auth-request.ts';
import { codeOf, outcomeOf } from '../../support/refused.ts';
import { createSchemeWorld, START_MS } from '../../support/scheme-world.ts';
import { userKey, userRecord } from '../../support/test-users.ts';
import { generateKeyPair } from '../../../src/crypto/signatures.ts';
import { opaquePop } from '../../../src/schemes/opaque-pop/index.ts';
import { PASSWORD, popWorld, type PopWorld } from './pop-world.ts';
import { loggedIn, signedAt } from './prover.ts';
import { popHeaders, PROTOTYPE_KSF, seedClient, type SeedSession } from './seed-client.ts';

const SEED = { profiles: ['seed'], seedOpenRegistration: true, ksf: PROTOTYPE_KSF };
const START_SECONDS = START_MS / 1000;
const BODY = '{"to":"bob","amount":50}';

async function open(settings: object = {}): Promise<{ world: PopWorld; client: ReturnType<typeof seedClient> }> {
  const world = await popWorld({ settings: { ...SEED, ...settings } });
  return { world, client: seedClient((path, body) => world.call(path, body)) };
}

/** The prototype's own call. */
function transfer(session: SeedSession, ts = START_SECONDS, nonce?: string): RequestParts {
  const call = { method: 'POST', path: '/api/transfer', body: BODY, ts };
  return {
    method: 'POST',
    scheme: 'http',
    authority: 'localhost:8000',
    target: '/api/transfer',
    headers: popHeaders(session, call, nonce),
    body: complete(BODY),
  };
}

describe('13. an unchanged client of the prototype', () => {
  test('registers, logs in with its state echoed, and calls', async () => {
    const { world, client } = await open();
    await client.register('alice', PASSWORD);
    const session = await client.login('alice', PASSWORD);
    expect(session.sid).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(await world.judge(transfer(session))).toMatchObject({ subject: 'alice' });
  });

  test('the default key stretching with seed is the one it knows', () => {
    const { discovery } = createSchemeWorld(opaquePop, { settings: { profiles: ['strict', 'seed'] } }).scheme;
    expect(discovery.parameters['ksf']).toEqual(PROTOTYPE_KSF);
  });

  test('its replay demonstration is replayed, its stolen token gets nowhere', async () => {
    const { world, client } = await open();
    await client.register('alice', PASSWORD);
    const session = await client.login('alice', PASSWORD);
    const call = transfer(session);
    expect(await outcomeOf(world.judge(call))).toBe('allow');
    expect(await codeOf(world.judge(call))).toBe('replayed');
    const stolen = { ...session, popKey: randomBytes(32) };
    expect(await codeOf(world.judge(transfer(stolen)))).toBe('signature_invalid');
    const bare = { ...call, headers: [['authorization', `Bearer ${session.sid}`] as const] };
    expect(await codeOf(world.judge(bare))).toBe('malformed');
  });

  test('a wrong password fails at the client', async () => {
    const { client } = await open();
    await client.register('alice', PASSWORD);
    await expect(client.login('alice', 'wrong')).rejects.toThrow('wrong password');
  });

  test('a password registered by the library serves it, and the other way round', async () => {
    const { world, client } = await open({ profiles: ['strict', 'seed'] });
    await world.register('alice');
    await client.register('bob', PASSWORD);
    expect((await client.login('alice', PASSWORD)).sid).toHaveLength(43);
    expect((await world.logIn('bob')).sid).toHaveLength(43);
  });
});

describe("the prototype's mistakes", () => {
  test('login state handed to the client: what is echoed is a handle, and no answer to a login was ever in it', async () => {
    const { world, client } = await open();
    await client.register('alice', PASSWORD);
    const { server_state_hex: handle, cred_final_hex: final } = await client.start('alice', PASSWORD);
    expect(handle).toMatch(/^[0-9a-f]{32}$/);
    expect(handle).not.toContain(final.slice(0, 32));
    // The bypass: the last message taken out of the state, without a password.
    const bypass = { username: 'alice', server_state_hex: handle, cred_final_hex: `${handle}${'00'.repeat(48)}` };
    expect(await world.call('/login/finish', bypass)).toMatchObject({
      status: 401,
      body: { code: 'signature_invalid' },
    });
  });

  test('3. user named again at the end: a login of alice finished as bob is signature_invalid, and spent', async () => {
    const { world, client } = await open();
    await client.register('alice', PASSWORD);
    await client.register('bob', 'another');
    const login = await client.start('alice', PASSWORD);
    await expect(login.finish('bob')).rejects.toThrow('401 signature_invalid');
    await expect(login.finish('alice')).rejects.toThrow('401 signature_invalid');
    expect(world.store.calls.filter(({ key }) => key.startsWith('s:'))).toEqual([]);
  });

  test('3. a login state used again is signature_invalid', async () => {
    const { client } = await open();
    await client.register('alice', PASSWORD);
    const login = await client.start('alice', PASSWORD);
    await login.finish();
    await expect(login.finish()).rejects.toThrow('401 signature_invalid');
  });

  test('5. nonce kept 90 s from first use: a proof dated 60 s ahead is never allowed twice, at any second up to +130 s', async () => {
    const at = createSchemeWorld(opaquePop, { settings: { profiles: ['seed'] } });
    const client = await loggedIn(at, 'seed');
    const request = { ...transfer({ sid: '', popKey: new Uint8Array(0) }), headers: [] };
    const proof = signedAt(START_SECONDS + 60, client, request);
    const outcomes = [];
    for (let second = 0; second <= 130; second += 1) {
      outcomes.push(await outcomeOf(at.judge(proof)));
      at.clock.advance(1000);
    }
    expect(outcomes.filter((outcome) => outcome === 'allow')).toHaveLength(1);
    expect(outcomes.slice(0, 121).filter((outcome) => outcome === 'replayed')).toHaveLength(120);
    expect(new Set(outcomes.slice(121))).toEqual(new Set(['stale']));
  });

  test('nonce recorded before the MAC: a stranger who guesses a nonce burns nothing', async () => {
    const { world, client } = await open();
    await client.register('alice', PASSWORD);
    const session = await client.login('alice', PASSWORD);
    const nonce = 'B'.repeat(22);
    const poison = transfer({ ...session, popKey: randomBytes(32) }, START_SECONDS, nonce);
    expect(await codeOf(world.judge(poison))).toBe('signature_invalid');
    expect(await outcomeOf(world.judge(transfer(session, START_SECONDS, nonce)))).toBe('allow');
  });

  test('query outside the MAC: malformed, unless the operator says otherwise', async () => {
    const { world, client } = await open();
    await client.register('alice', PASSWORD);
    const session = await client.login('alice', PASSWORD);
    const call = { ...transfer(session), target: '/api/transfer?to=mallory' };
    expect(await codeOf(world.judge(call))).toBe('malformed');
    const lax = await open({ seedAllowQuery: true });
    await lax.client.register('alice', PASSWORD);
    const there = transfer(await lax.client.login('alice', PASSWORD));
    expect(await outcomeOf(lax.world.judge({ ...there, target: '/api/transfer?to=mallory' }))).toBe('allow');
  });

  test('decoded path in the MAC: two paths never share one, a percent sign is malformed', async () => {
    const { world, client } = await open();
    await client.register('alice', PASSWORD);
    const session = await client.login('alice', PASSWORD);
    for (const target of ['/api%2Ftransfer', '/api/trans%66er', '/%61pi/transfer'])
      expect(await codeOf(world.judge({ ...transfer(session), target }))).toBe('malformed');
  });

  test('setup made at start: a restart with the same ring lets everybody in', async () => {
    const { world } = await open({ profiles: ['strict'] });
    await world.register('alice');
    const restarted = await popWorld({
      settings: { ...SEED, profiles: ['strict'] },
      store: world.store,
      ring: world.ring,
      clock: world.clock,
    });
    await restarted.logIn('alice');
  });

  test('registration overwrites: a second one is 409 and the first password stays', async () => {
    const { client } = await open();
    await client.register('alice', PASSWORD);
    await expect(client.register('alice', 'mine')).rejects.toThrow('409 conflict');
    await client.login('alice', PASSWORD);
  });

  test('registration overwrites: a user whom an operator or another scheme made is 409 too', async () => {
    const { world, client } = await open();
    await world.users.save(userRecord('root', { attributes: { role: 'admin' } }));
    const { publicJwk } = generateKeyPair('Ed25519');
    await world.users.save(userRecord('carol', { keys: [userKey('k1', publicJwk, ['challenge-signature'])] }));
    for (const user of ['root', 'carol']) await expect(client.register(user, 'mine')).rejects.toThrow('409 conflict');
  });

  test('open registration: the paths are there only when the operator says so', async () => {
    const { world } = await open({ seedOpenRegistration: false });
    for (const path of ['/register/start', '/register/finish']) expect((await world.call(path, {})).status).toBe(404);
  });

  test('404 for unknown users: they get an answer like any other, and 401 at the end', async () => {
    const { world, client } = await open();
    await client.register('alice', PASSWORD);
    const request = toHex(
      Uint8Array.from(
        Buffer.from(
          'c4dedb0ba6ed5d965d6f250fbe554cd45cba5dfcce3ce836e4aee778aa3cd44dda7e07376d6d6f034cfa9bb537d11b8c6b4238c334333d1f0aebb380cae6a6cc6e29bee50701498605b2c085d7b241ca15ba5c32027dd21ba420b94ce60da326',
          'hex',
        ),
      ),
    );
    const answers = [];
    for (const username of ['alice', 'nobody'])
      answers.push(await world.call('/login/start', { username, cred_request_hex: request }));
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(answers.map(({ text }) => text.length)).toEqual([answers[0]?.text.length, answers[0]?.text.length]);
    const echo = { server_state_hex: answers[1]?.body['server_state_hex'], cred_final_hex: '00'.repeat(64) };
    expect(await world.call('/login/finish', { username: 'nobody', ...echo })).toMatchObject({
      status: 401,
      body: { code: 'signature_invalid' },
    });
  });

  test('in-memory stores: another replica on the same store finishes the login and takes the session', async () => {
    const { world, client } = await open();
    await client.register('alice', PASSWORD);
    const replica = await popWorld({ settings: SEED, store: world.store, ring: world.ring, clock: world.clock });
    const login = await client.start('alice', PASSWORD);
    const there = await replica.call('/login/finish', {
      username: 'alice',
      server_state_hex: login.server_state_hex,
      cred_final_hex: login.cred_final_hex,
    });
    expect(there.status).toBe(200);
    await expect(login.finish()).rejects.toThrow('401');
  });

  test('lenient integers and base64: one value has one text', async () => {
    const { world, client } = await open();
    await client.register('alice', PASSWORD);
    const session = await client.login('alice', PASSWORD);
    const rewritten = (name: string, rewrite: (value: string) => string) => {
      const call = transfer(session);
      return {
        ...call,
        headers: call.headers.map(([one, value]) => [one, one === name ? rewrite(value) : value] as const),
      };
    };
    const lenient = [
      rewritten('x-ts', (ts) => ` ${ts.slice(0, 1)}_${ts.slice(1)}`),
      rewritten('x-ts', (ts) => `${ts}.0`),
      rewritten('x-ts', (ts) => `+${ts}`),
      rewritten('x-ts', (ts) => `0${ts}`),
      rewritten('x-pop', (mac) => mac.slice(0, -1)),
      rewritten('x-pop', (mac) => `${mac}=`),
      rewritten('x-pop', (mac) => `${mac.slice(0, 10)} ${mac.slice(10)}`),
    ];
    for (const call of lenient) expect(await codeOf(world.judge(call))).toBe('malformed');
  });

  test('one hour whatever happens: an administrator ends its sessions at once', async () => {
    const { world, client } = await open();
    await client.register('alice', PASSWORD);
    const session = await client.login('alice', PASSWORD);
    await world.resources.users.raiseEpoch('default', 'alice');
    expect(await codeOf(world.judge(transfer(session)))).toBe('revoked');
  });
});

test('a strict login can not be finished at the seed endpoint, nor the other way round', async () => {
  const { world, client } = await open({ profiles: ['strict', 'seed'] });
  await client.register('alice', PASSWORD);
  const login = await client.start('alice', PASSWORD);
  const loginId = encodeBase64url(Uint8Array.from(Buffer.from(login.server_state_hex, 'hex')));
  const finalization = encodeBase64url(Uint8Array.from(Buffer.from(login.cred_final_hex, 'hex')));
  expect(await world.call('/auth/opaque-pop/login/finish', { loginId, finalization })).toMatchObject({
    status: 401,
    body: { code: 'signature_invalid' },
  });
});
