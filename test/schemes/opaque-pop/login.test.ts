/** Registration and login through a real front. Numbers name the tests that must exist for this scheme. */
import { describe, expect, test } from '@jest/globals';
import { client, ready } from '@serenity-kit/opaque';
import { CountersignError } from '../../../src/core/client-error.ts';
import { StoreFault } from '../../../src/core/fault.ts';
import { HttpProblem } from '../../../src/core/http.ts';
import { constantTimeEqual } from '../../../src/crypto/equal.ts';
import { randomBytes } from '../../../src/crypto/random.ts';
import { encodeBase64url } from '../../../src/encoding/base64url.ts';
import { fromHex, toHex } from '../../../src/encoding/bytes.ts';
import { createLimits } from '../../../src/limits.ts';
import { addKey, rotateKey } from '../../../src/keys/ring-changes.ts';
import { changePassword, registerPassword, type PasswordSession } from '../../../src/schemes/opaque-pop/client.ts';
import { OPAQUE_BYTES } from '../../../src/schemes/opaque-pop/message.ts';
import { createSetup } from '../../../src/schemes/opaque-pop/setup.ts';
import { createLogins, type LoginState } from '../../../src/schemes/opaque-pop/logins.ts';
import { cropped, welchT } from '../../conformance/scheme.ts';
import { b64 } from '../../support/bytes.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { isLong } from '../../support/long.ts';
import { outcomeOf, rejectionOf } from '../../support/refused.ts';
import { START_MS } from '../../support/scheme-world.ts';
import { CACHE_TTL_MS, userRecord } from '../../support/test-users.ts';
import { PASSWORD, popWorld, type PopWorld } from './pop-world.ts';
import { CHEAP } from './prover.ts';

await ready;

/** Code of a library's error. */
async function codeOf(run: Promise<unknown>): Promise<string> {
  const thrown = await rejectionOf(run);
  if (thrown instanceof CountersignError) return thrown.code;
  throw thrown;
}

const stretching = {
  'argon2id-custom': { memory: CHEAP.memoryKib, iterations: CHEAP.iterations, parallelism: CHEAP.parallelism },
};

/** A login up to its last message, which is not sent. */
async function startedLogin(world: PopWorld, user: string, password = PASSWORD) {
  const { clientLoginState, startLoginRequest: request } = client.startLogin({ password });
  const { status, body } = await world.call('/auth/opaque-pop/login/start', { user, request });
  expect(status).toBe(200);
  const { loginId, response } = body as { loginId: string; response: string };
  const finished = client.finishLogin({
    clientLoginState,
    loginResponse: response,
    password,
    keyStretching: stretching,
  });
  return { loginId, response, request, finalization: finished?.finishLoginRequest ?? encodeBase64url(randomBytes(64)) };
}

const finish = (world: PopWorld, body: object) => world.call('/auth/opaque-pop/login/finish', body);

/** The registration of a user, up to the record. */
async function record(world: PopWorld, user: string, invitation: string, password = PASSWORD): Promise<string> {
  const { clientRegistrationState, registrationRequest } = client.startRegistration({ password });
  const { body } = await world.call('/auth/opaque-pop/register/start', {
    user,
    invitation,
    request: registrationRequest,
  });
  return client.finishRegistration({
    clientRegistrationState,
    registrationResponse: String(body['response']),
    password,
    keyStretching: stretching,
  }).registrationRecord;
}

describe('registration', () => {
  test('by invitation, then the password logs in; the invitation is signature_invalid afterwards', async () => {
    const world = await popWorld();
    const invitation = await world.invite('alice');
    await registerPassword(world.issuer, { user: 'alice', password: PASSWORD, invitation });
    expect(await outcomeOf(world.judge(await world.sign(await world.logIn('alice'))))).toBe('allow');
    const again = registerPassword(world.issuer, { user: 'alice', password: 'another', invitation });
    expect(await codeOf(again)).toBe('signature_invalid');
  });

  test("with another user's invitation, one of another scheme, or an expired one it is signature_invalid at both calls", async () => {
    const world = await popWorld();
    const bobs = await world.invite('bob');
    const foreign = await world.resources.invitations.issue('default', {
      scheme: 'client-challenge',
      user: 'alice',
      replace: false,
      ttlMs: 60_000,
    });
    const late = await world.invite('alice');
    const valid = await record(world, 'alice', await world.invite('alice'));
    world.clock.advance(60_000);
    for (const invitation of [bobs, foreign.token, late, 'A'.repeat(43)]) {
      const request = client.startRegistration({ password: PASSWORD }).registrationRequest;
      const start = await world.call('/auth/opaque-pop/register/start', { user: 'alice', invitation, request });
      const end = await world.call('/auth/opaque-pop/register/finish', { user: 'alice', invitation, record: valid });
      expect([start.status, start.body['code']]).toEqual([401, 'signature_invalid']);
      expect([end.status, end.body['code']]).toEqual([401, 'signature_invalid']);
    }
  });

  test('of 64 at once with one invitation one succeeds', async () => {
    const world = await popWorld();
    const invitation = await world.invite('alice');
    const body = { user: 'alice', invitation, record: await record(world, 'alice', invitation) };
    const answers = await Promise.all(
      Array.from({ length: 64 }, () => world.call('/auth/opaque-pop/register/finish', body)),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(63);
  });

  test('of a user who has a password it is 409 conflict without replace, and the old password stays', async () => {
    const world = await popWorld();
    await world.register('alice');
    const invitation = await world.invite('alice');
    const again = registerPassword(world.issuer, { user: 'alice', password: 'another', invitation });
    expect(await codeOf(again)).toBe('conflict');
    await world.logIn('alice');
  });

  test('malformed: a record of the right length that no login could use is never stored, and the invitation lives', async () => {
    const world = await popWorld();
    const invitation = await world.invite('alice');
    const noPoint = encodeBase64url(new Uint8Array(OPAQUE_BYTES.record).fill(0xff));
    const answer = await world.call('/auth/opaque-pop/register/finish', { user: 'alice', invitation, record: noPoint });
    expect([answer.status, answer.body['code']]).toEqual([400, 'malformed']);
    await registerPassword(world.issuer, { user: 'alice', password: PASSWORD, invitation });
  });

  test('the answer to register/start is a function of setup, user and request, and nothing is stored', async () => {
    const world = await popWorld();
    const invitation = await world.invite('alice');
    const request = client.startRegistration({ password: PASSWORD }).registrationRequest;
    world.store.calls.length = 0;
    const body = { user: 'alice', invitation, request };
    const [one, two] = [
      await world.call('/auth/opaque-pop/register/start', body),
      await world.call('/auth/opaque-pop/register/start', body),
    ];
    expect(one.text).toBe(two.text);
    expect(world.store.calls.map(({ verb }) => verb)).toEqual(expect.not.arrayContaining(['put', 'swap', 'take']));
  });

  test('of a user who is deleted while the invitation is being used is conflict, and leaves no password to a later one', async () => {
    const world = await popWorld();
    await world.users.save(userRecord('alice'));
    const invitation = await world.invite('alice');
    const { spend } = world.resources.invitations;
    Object.assign(world.resources.invitations, {
      async spend(...of: Parameters<typeof spend>) {
        const spent = await spend(...of);
        await world.users.save(userRecord('alice', { deleted: true, epoch: 1 }));
        return spent;
      },
    });
    const registration = registerPassword(world.issuer, { user: 'alice', password: PASSWORD, invitation });
    expect(await codeOf(registration)).toBe('conflict');
    expect(await codeOf(world.logIn('alice'))).toBe('signature_invalid');
  });

  /** Between the record's creation and the last look at the user. */
  async function whenCreated(world: PopWorld, happens: () => unknown) {
    const { text } = world.resources.storeKey('r', 'default', 'record', 'alice');
    const swap = world.store.swap.bind(world.store);
    world.store.swap = async (key, ...rest) => {
      const isDone = await swap(key, ...rest);
      if (key.text === text) {
        world.store.swap = swap;
        await happens();
      }
      return isDone;
    };
  }

  test.each([
    ['deleted', { deleted: true, epoch: 1 }],
    ['revoked', { epoch: 1 }],
  ])('of a user who is %s just before the record is written is conflict, and leaves none', async (_title, changes) => {
    const world = await popWorld();
    await world.users.save(userRecord('alice'));
    const invitation = await world.invite('alice');
    await whenCreated(world, () => world.users.save(userRecord('alice', changes)));
    const registration = registerPassword(world.issuer, { user: 'alice', password: PASSWORD, invitation });
    expect(await codeOf(registration)).toBe('conflict');
    await world.users.save(userRecord('alice', { epoch: 1 }));
    expect(await codeOf(world.logIn('alice'))).toBe('signature_invalid');
    world.clock.advance(1000);
    await world.register('alice', 'another');
    await world.logIn('alice', 'another');
  });

  test('whose user can not be looked at any more is a fault, and leaves no record', async () => {
    const world = await popWorld();
    await world.users.save(userRecord('alice'));
    const invitation = await world.invite('alice');
    const { current } = world.resources.users;
    await whenCreated(world, () => {
      Object.assign(world.resources.users, {
        current: async () => Promise.reject(new StoreFault('timeout', 'of the test')),
      });
    });
    const registration = registerPassword(world.issuer, { user: 'alice', password: PASSWORD, invitation });
    expect(await codeOf(registration)).toBe('unavailable');
    Object.assign(world.resources.users, { current });
    expect(await codeOf(world.logIn('alice'))).toBe('signature_invalid');
  });

  test('two spellings of one letter are one password', async () => {
    const world = await popWorld();
    await world.register('alice', 'pa\u0308ssword');
    await world.logIn('alice', 'p\u00e4ssword');
  });
});

describe('2. no answer of the issuer holds a part of the login state', () => {
  test('16 bytes of it in a row occur in no answer, neither in base64url nor in hex', async () => {
    const world = await popWorld({ settings: { profiles: ['strict', 'seed'] } });
    await world.register('alice');
    const states: LoginState[] = [];
    const logins = createLogins(world.resources, 60_000);
    const texts: Uint8Array[] = [];
    const { startLoginRequest } = client.startLogin({ password: PASSWORD });
    const strict = await world.call('/auth/opaque-pop/login/start', { user: 'alice', request: startLoginRequest });
    const seed = await world.call('/login/start', {
      username: 'alice',
      cred_request_hex: toHex(b64(startLoginRequest)),
    });
    for (const member of Object.values(strict.body)) if (typeof member === 'string') texts.push(b64(member));
    for (const member of Object.values(seed.body)) texts.push(fromHex(String(member)) ?? new Uint8Array(0));
    expect(texts).toHaveLength(4);
    for (const loginId of [
      String(strict.body['loginId']),
      encodeBase64url(fromHex(String(seed.body['server_state_hex'])) ?? new Uint8Array(0)),
    ]) {
      const state = await logins.take('default', loginId, START_MS);
      if (state !== null) states.push(state);
    }
    expect(states).toHaveLength(2);
    for (const { state } of states) {
      const secret = state.reveal();
      expect(secret).toHaveLength(128);
      for (let at = 0; at + 16 <= secret.length; at += 1) {
        const run = toHex(secret.subarray(at, at + 16));
        for (const text of texts) expect(toHex(text)).not.toContain(run);
      }
    }
    // What makes that worth a test: the second half is the very answer that is expected of the client.
    const { finalization, loginId } = await startedLogin(world, 'alice');
    const own = await logins.take('default', loginId, START_MS);
    expect(constantTimeEqual(own?.state.reveal().subarray(64) ?? new Uint8Array(0), b64(finalization))).toBe(true);
  });
});

describe('3. one login, one attempt', () => {
  test('64 finishes at once make one session', async () => {
    const world = await popWorld();
    await world.register('alice');
    const { loginId, finalization } = await startedLogin(world, 'alice');
    const answers = await Promise.all(Array.from({ length: 64 }, () => finish(world, { loginId, finalization })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(new Set(answers.filter(({ status }) => status !== 200).map(({ body }) => body['code']))).toEqual(
      new Set(['signature_invalid']),
    );
  });

  test('a wrong finish is signature_invalid and spends the login: the right one after it is too', async () => {
    const world = await popWorld();
    await world.register('alice');
    const { loginId, finalization } = await startedLogin(world, 'alice');
    const wrong = await finish(world, { loginId, finalization: encodeBase64url(randomBytes(64)) });
    const right = await finish(world, { loginId, finalization });
    expect([wrong.body['code'], right.body['code']]).toEqual(['signature_invalid', 'signature_invalid']);
  });

  test('a finish is signature_invalid after loginLifetime, on its last millisecond it passes', async () => {
    const world = await popWorld();
    await world.register('alice');
    const again = await startedLogin(world, 'alice');
    world.clock.advance(59_999);
    expect((await finish(world, { loginId: again.loginId, finalization: again.finalization })).status).toBe(200);
    const third = await startedLogin(world, 'alice');
    world.clock.advance(60_000);
    const answer = await finish(world, { loginId: third.loginId, finalization: third.finalization });
    expect([answer.status, answer.body['code']]).toEqual([401, 'signature_invalid']);
  });

  test('a login begun before the horizon of the store is signature_invalid', async () => {
    const world = await popWorld();
    await world.register('alice');
    const { loginId, finalization } = await startedLogin(world, 'alice');
    world.store.horizon = world.clock.nowMs() + 1;
    expect((await finish(world, { loginId, finalization })).body['code']).toBe('signature_invalid');
  });

  test('a login of one tenant does not exist in another, and neither does its password', async () => {
    const world = await popWorld();
    await world.register('alice', PASSWORD, 'acme');
    expect(await codeOf(world.logIn('alice'))).toBe('signature_invalid');
    const session = await world.logIn('alice', PASSWORD, 'acme');
    expect(await outcomeOf(world.judge(await world.sign(session)))).toBe('unknown_credential');
    expect(await outcomeOf(world.judge(await world.sign(session), { policy: { tenant: 'acme' } }))).toBe('allow');
  });
});

describe('4. malformed, before the engine is called, is a trailing or missing byte of', () => {
  const world = async () => {
    const at = await popWorld({ settings: { profiles: ['strict', 'seed'], seedOpenRegistration: true } });
    const jobs: string[] = [];
    Object.assign(at.resources, { observe: (_name: string, { op }: { op: string }) => void jobs.push(op) });
    return { at, jobs };
  };
  const strict: readonly (readonly [string, string, string, number, object])[] = [
    ['the registration request', 'register/start', 'request', 32, { user: 'alice', invitation: 'A'.repeat(43) }],
    ['the record', 'register/finish', 'record', 192, { user: 'alice', invitation: 'A'.repeat(43) }],
    ['KE1', 'login/start', 'request', 96, { user: 'alice' }],
    ['KE3', 'login/finish', 'finalization', 64, { loginId: encodeBase64url(new Uint8Array(16)) }],
    ['the login id', 'login/finish', 'loginId', 16, { finalization: encodeBase64url(new Uint8Array(64)) }],
  ];
  test.each(strict)('%s, in base64url', async (_title, path, member, length, rest) => {
    const { at } = await world();
    at.store.calls.length = 0;
    const steps = at.steps;
    for (const bytes of [length - 1, length + 1, 0]) {
      const value = encodeBase64url(new Uint8Array(bytes));
      const { status, body } = await at.call(`/auth/opaque-pop/${path}`, { ...rest, [member]: value });
      expect([bytes, status, body['code']]).toEqual([bytes, 400, 'malformed']);
    }
    const stray = `${encodeBase64url(new Uint8Array(length)).slice(0, -1)}B`;
    if (length % 3 !== 0)
      expect((await at.call(`/auth/opaque-pop/${path}`, { ...rest, [member]: stray })).status).toBe(400);
    expect([at.store.calls, at.steps]).toEqual([[], steps]);
  });

  const seed: readonly (readonly [string, string, string, number, object])[] = [
    ['the registration request', '/register/start', 'reg_request_hex', 32, { username: 'alice' }],
    ['the record', '/register/finish', 'reg_upload_hex', 192, { username: 'alice' }],
    ['KE1', '/login/start', 'cred_request_hex', 96, { username: 'alice' }],
    ['KE3', '/login/finish', 'cred_final_hex', 64, { username: 'alice', server_state_hex: '00'.repeat(16) }],
    ['the login id', '/login/finish', 'server_state_hex', 16, { username: 'alice', cred_final_hex: '00'.repeat(64) }],
  ];
  test.each(seed)('%s, in hex', async (_title, path, member, length, rest) => {
    const { at } = await world();
    const steps = at.steps;
    for (const value of [
      '00'.repeat(length - 1),
      '00'.repeat(length + 1),
      `${'00'.repeat(length)}0`,
      'AA'.repeat(length),
      '',
    ]) {
      const { status, body } = await at.call(path, { ...rest, [member]: value });
      expect([status, body['code']]).toEqual([400, 'malformed']);
    }
    expect(at.steps).toBe(steps);
  });

  test('an unknown member', async () => {
    const { at } = await world();
    const request = client.startLogin({ password: PASSWORD }).startLoginRequest;
    const answer = await at.call('/auth/opaque-pop/login/start', { user: 'alice', request, password: PASSWORD });
    expect([answer.status, answer.body['code']]).toEqual([400, 'malformed']);
  });

  test('a point that is none, which the engine is asked about, is malformed too', async () => {
    const { at } = await world();
    const request = encodeBase64url(new Uint8Array(96).fill(0xff));
    const answer = await at.call('/auth/opaque-pop/login/start', { user: 'alice', request });
    expect([answer.status, answer.body['code']]).toEqual([400, 'malformed']);
  });
});

describe('8. a change of password', () => {
  test('ends all sessions and the old password, and moves the epoch', async () => {
    const world = await popWorld();
    await world.register('alice');
    const [one, two] = [await world.logIn('alice'), await world.logIn('alice')];
    await changePassword(world.issuer, { user: 'alice', password: PASSWORD, newPassword: 'Tr0ub4dor&3' });
    for (const session of [one, two]) expect(await outcomeOf(world.judge(await world.sign(session)))).toBe('revoked');
    expect(await codeOf(world.logIn('alice'))).toBe('signature_invalid');
    const after = await world.logIn('alice', 'Tr0ub4dor&3');
    expect(await outcomeOf(world.judge(await world.sign(after)))).toBe('allow');
    expect((await world.users.user('default', 'alice'))?.epoch).toBeGreaterThan(0);
  });

  test('a login with the old password that was under way ends with signature_invalid', async () => {
    const world = await popWorld();
    await world.register('alice');
    const { loginId, finalization } = await startedLogin(world, 'alice');
    await changePassword(world.issuer, { user: 'alice', password: PASSWORD, newPassword: 'Tr0ub4dor&3' });
    expect((await finish(world, { loginId, finalization })).body['code']).toBe('signature_invalid');
  });

  test('at one replica is known at the other: a session made after it passes there at once, one from before does not', async () => {
    const world = await popWorld();
    await world.register('alice');
    const before = await world.logIn('alice');
    const replica = await popWorld({ store: world.store, ring: world.ring, clock: world.clock });
    expect(await outcomeOf(replica.judge(await world.sign(before)))).toBe('allow');
    await changePassword(world.issuer, { user: 'alice', password: PASSWORD, newPassword: 'Tr0ub4dor&3' });
    const after = await world.logIn('alice', 'Tr0ub4dor&3');
    expect(await outcomeOf(replica.judge(await world.sign(after)))).toBe('allow');
    // For as long as a revocation takes to reach other replicas.
    world.clock.advance(CACHE_TTL_MS);
    expect(await outcomeOf(replica.judge(await world.sign(before)))).toBe('revoked');
  });

  test('of a user whose sessions can not be ended, as one of directory.file, is conflict and changes nothing', async () => {
    const world = await popWorld();
    await world.register('alice');
    Object.assign(world.users, {
      update: async () => {
        throw new HttpProblem('conflict', 'the user is fixed');
      },
    });
    const change = changePassword(world.issuer, { user: 'alice', password: PASSWORD, newPassword: 'Tr0ub4dor&3' });
    expect(await codeOf(change)).toBe('conflict');
    await world.logIn('alice');
    expect(await codeOf(world.logIn('alice', 'Tr0ub4dor&3'))).toBe('signature_invalid');
  });

  test.each([1, 2, 3, 4])(
    'that the store interrupts at write %i leaves no session of before beside the new password',
    async (failing) => {
      const world = await popWorld();
      await world.register('alice');
      const session = await world.logIn('alice');
      let writes = 0;
      world.store.before = (verb) => {
        if (verb === 'swap' && (writes += 1) === failing) throw new StoreFault('down', 'no connection');
      };
      const change = changePassword(world.issuer, { user: 'alice', password: PASSWORD, newPassword: 'Tr0ub4dor&3' });
      expect(await codeOf(change)).toBe('unavailable');
      world.store.before = () => {};
      const isChanged = (await outcomeOf(world.logIn('alice', 'Tr0ub4dor&3')).catch(() => 'refused')) === 'allow';
      expect(isChanged).toBe(failing === 4);
      if (isChanged) expect(await outcomeOf(world.judge(await world.sign(session)))).toBe('revoked');
    },
  );

  test('without the wish there is no invitation, and a wrong password gives none', async () => {
    const world = await popWorld();
    await world.register('alice');
    const { loginId, finalization } = await startedLogin(world, 'alice');
    const { body } = await finish(world, { loginId, finalization });
    expect(Object.keys(body).toSorted()).toEqual(['expiresAtMs', 'idleMs', 'profile', 'sid', 'timeMs']);
    const change = changePassword(world.issuer, { user: 'alice', password: 'wrong', newPassword: 'x' });
    expect(await codeOf(change)).toBe('signature_invalid');
  });
});

describe('9. known, unknown and disabled users at login/start', () => {
  test('get the same status, members and sizes at the same verbs, and nobody is told more at the end', async () => {
    const world = await popWorld();
    await world.register('alice');
    await world.register('bob');
    await world.users.save(userRecord('bob', { disabled: true }));
    const seen = [];
    for (const user of ['alice', 'mallory', 'bob']) {
      const { startLoginRequest: request } = client.startLogin({ password: 'guess' });
      world.store.calls.length = 0;
      const answer = await world.call('/auth/opaque-pop/login/start', { user, request });
      const verbs = world.store.calls.map(({ verb, key }) => `${verb} ${key.slice(0, 1)}`);
      seen.push({ status: answer.status, length: answer.text.length, members: Object.keys(answer.body), verbs });
    }
    expect(seen[0]).toMatchObject({ status: 200, members: ['loginId', 'response', 'expiresAtMs'] });
    for (const other of seen.slice(1)) expect(other).toEqual(seen[0]);
    for (const user of ['alice', 'mallory', 'bob']) {
      const { loginId } = await startedLogin(world, user, 'guess');
      const answer = await finish(world, { loginId, finalization: encodeBase64url(randomBytes(64)) });
      expect([answer.status, answer.body['code']]).toEqual([401, 'signature_invalid']);
    }
  });

  test('the sealed states of known and unknown users of one length are of one length', async () => {
    const world = await popWorld();
    await world.register('alice');
    const lengths = [];
    for (const user of ['alice', 'mossy']) {
      world.store.calls.length = 0;
      await startedLogin(world, user, 'guess');
      lengths.push(world.store.calls.filter(({ verb }) => verb === 'put').map(({ rest }) => String(rest[0]).length));
    }
    expect(lengths[1]).toEqual(lengths[0]);
  });

  test('an unknown user has one OPRF key per setup: the same request is evaluated alike each time', async () => {
    const world = await popWorld();
    const { startLoginRequest: request } = client.startLogin({ password: 'guess' });
    const start = async (user: string) =>
      b64(String((await world.call('/auth/opaque-pop/login/start', { user, request })).body['response'])).subarray(
        0,
        32,
      );
    expect(await start('mallory')).toEqual(await start('mallory'));
    expect(await start('mallory')).not.toEqual(await start('mallet'));
  });

  test('revoked is told to the holder of the password alone, for a disabled user and for a deleted one', async () => {
    const world = await popWorld();
    await world.register('alice');
    await world.users.save(userRecord('alice', { disabled: true }));
    expect(await codeOf(world.logIn('alice'))).toBe('revoked');
    expect(await codeOf(world.logIn('alice', 'wrong'))).toBe('signature_invalid');
    await world.users.save(userRecord('alice', { deleted: true, epoch: 1 }));
    expect(await codeOf(world.logIn('alice'))).toBe('revoked');
  });
});

describe('10. logins are limited when they begin', () => {
  const limited = async (profiles = ['strict']) => {
    const clock = createFakeClock(START_MS);
    const limits = createLimits({ clock, maxBuckets: 1000, perCredential: { periodMs: 1, burst: 1000 } });
    const world = await popWorld({ clock, limits, settings: { profiles } });
    const start = (user: string, source: string) => {
      const { startLoginRequest: request } = client.startLogin({ password: 'guess' });
      return outcomeOf(world.post('login/start', { user, request }, source));
    };
    return { world, clock, start };
  };

  test('the 11th in a minute for one user from one address is rate_limited, for unknown users too; another address can still begin', async () => {
    const { world, clock, start } = await limited();
    await world.register('alice');
    for (const user of ['alice', 'mallory']) {
      const outcomes = [];
      for (let count = 0; count < 11; count += 1) outcomes.push(await start(user, '198.51.100.7'));
      expect(outcomes).toEqual([...Array<string>(10).fill('allow'), 'rate_limited']);
      expect(await start(user, '198.51.100.8')).toBe('allow');
    }
    clock.advance(6_000);
    expect(await start('alice', '198.51.100.7')).toBe('allow');
  });

  test('from many addresses a user is guessed at 60 times, then 30 a minute', async () => {
    const { start, clock } = await limited();
    const outcomes = [];
    for (let count = 0; count < 70; count += 1) outcomes.push(await start('alice', `198.51.100.${count}`));
    expect(outcomes.filter((outcome) => outcome === 'allow')).toHaveLength(60);
    clock.advance(2_000);
    expect([await start('alice', '203.0.113.1'), await start('alice', '203.0.113.2')]).toEqual([
      'allow',
      'rate_limited',
    ]);
    expect(await start('bob', '203.0.113.3')).toBe('allow');
  });

  test('one address begins 60 logins of many users, then one a second', async () => {
    const { start } = await limited();
    const outcomes = [];
    for (let count = 0; count < 61; count += 1) outcomes.push(await start(`user${count}`, '198.51.100.7'));
    expect(outcomes.filter((outcome) => outcome === 'allow')).toHaveLength(60);
  });

  test('a refused start reads nothing and asks no engine', async () => {
    const { world, start } = await limited();
    for (let count = 0; count < 10; count += 1) await start('alice', '198.51.100.7');
    world.store.calls.length = 0;
    expect(await start('alice', '198.51.100.7')).toBe('rate_limited');
    expect(world.store.calls).toEqual([]);
  });
});

describe('14. two setups', () => {
  test('old records log in under the old one, new registrations use the new', async () => {
    const world = await popWorld();
    await world.register('alice');
    const order = { use: 'opaque-setup' as const, random: randomBytes, nowMs: START_MS };
    const added = addKey(world.ring as never, { ...order, setup: await createSetup() }).ring;
    world.ring = rotateKey(added, { ...order, nowMs: START_MS + 3_600_000, reRegistersEveryone: true }).ring;
    await world.register('bob');
    await world.logIn('alice');
    await world.logIn('bob');
    const [old, current] = [added[added.length - 2], added[added.length - 1]];
    world.ring = world.ring.filter(({ kid }) => kid !== old?.kid);
    expect((await rejectionOf(world.logIn('alice'))) as object).toMatchObject({ code: 'unavailable', status: 503 });
    await world.logIn('bob');
    expect(current?.use).toBe('opaque-setup');
  });

  test('without a setup in the ring registration and login are faults, and none is made', async () => {
    const world = await popWorld();
    await world.register('alice');
    const whole = world.ring;
    world.ring = whole.filter(({ use }) => use !== 'opaque-setup');
    expect(await codeOf(world.logIn('alice'))).toBe('unavailable');
    expect(await codeOf(world.register('bob'))).toBe('unavailable');
    world.ring = whole;
    await world.logIn('alice');
  });

  test('a setup that is none is a fault, never malformed: it is not the client who is wrong', async () => {
    const world = await popWorld();
    world.ring = world.ring.map((key) =>
      key.use === 'opaque-setup'
        ? { ...key, material: Object.assign(key.material, { reveal: () => randomBytes(128) }) }
        : key,
    );
    const { startLoginRequest: request } = client.startLogin({ password: PASSWORD });
    const answer = await world.call('/auth/opaque-pop/login/start', { user: 'alice', request });
    expect(answer.status).toBe(503);
  });
});

describe("the administrator's calls", () => {
  test('lookup tells when the password was registered, 404 without one', async () => {
    const world = await popWorld();
    await expect(world.admin('lookup', { subject: 'alice' })).rejects.toMatchObject({ code: 'not_found' });
    await world.register('alice');
    expect(await world.admin('lookup', { subject: 'alice' })).toEqual({ subject: 'alice', createdAtMs: START_MS });
  });

  test('revoke removes the password and ends all sessions, logins under way included; 404 for nobody', async () => {
    const world = await popWorld();
    await world.register('alice');
    const session = await world.logIn('alice');
    const under = await startedLogin(world, 'alice');
    await world.admin('revoke', { subject: 'alice' });
    expect(await outcomeOf(world.judge(await world.sign(session)))).toBe('revoked');
    const answer = await finish(world, { loginId: under.loginId, finalization: under.finalization });
    expect(answer.body['code']).toBe('signature_invalid');
    expect(await codeOf(world.logIn('alice'))).toBe('signature_invalid');
    await expect(world.admin('revoke', { subject: 'mallory' })).rejects.toMatchObject({ code: 'not_found' });
    await world.register('alice');
    await world.logIn('alice');
  });

  test('revoke ends what is registered while it runs, with its sessions', async () => {
    const world = await popWorld();
    await world.register('alice');
    const epoch = world.resources.users.raiseEpoch;
    let session: PasswordSession | undefined;
    Object.assign(world.resources.users, {
      async raiseEpoch(...of: Parameters<typeof epoch>) {
        Object.assign(world.resources.users, { raiseEpoch: epoch });
        await world.register('alice', 'another');
        const raised = await epoch(...of);
        session = await world.logIn('alice', 'another');
        return raised;
      },
    });
    await world.admin('revoke', { subject: 'alice' });
    expect(await codeOf(world.logIn('alice', 'another'))).toBe('signature_invalid');
    if (session === undefined) throw new Error('no session');
    expect(await outcomeOf(world.judge(await world.sign(session)))).toBe('revoked');
  });

  test('revoke of a user whose epoch is not ours to raise removes the password all the same, and tells conflict', async () => {
    const world = await popWorld();
    await world.register('alice');
    const { update } = world.users;
    Object.assign(world.users, {
      update: async () => {
        throw new HttpProblem('conflict', 'the user is fixed');
      },
    });
    await expect(world.admin('revoke', { subject: 'alice' })).rejects.toMatchObject({ code: 'conflict' });
    Object.assign(world.users, { update });
    expect(await codeOf(world.logIn('alice'))).toBe('signature_invalid');
    await world.register('alice', 'another');
    await world.logIn('alice', 'another');
  });

  test('a user who was deleted leaves no password to a later one of the name', async () => {
    const world = await popWorld();
    await world.register('alice');
    await world.users.save(userRecord('alice', { deleted: true, epoch: 1 }));
    await world.scheme.forget?.('default', 'alice');
    await world.users.save(userRecord('alice', { epoch: 1 }));
    expect(await codeOf(world.logIn('alice'))).toBe('signature_invalid');
  });
});

test('a damaged record is a fault, never an absent user', async () => {
  const world = await popWorld();
  await world.register('alice');
  const key = world.resources.storeKey('r', 'default', 'record', 'alice');
  const setup = world.resources.keyring.active('opaque-setup').kid;
  const noPoints = {
    v: 1,
    record: encodeBase64url(new Uint8Array(OPAQUE_BYTES.record).fill(0xff)),
    setup,
    createdAt: 1,
  };
  const damaged = [
    '',
    'null',
    '{"v":1}',
    '{"v":1,"record":"AAAA","setup":"x","createdAt":1}',
    JSON.stringify(noPoints),
  ];
  for (const text of damaged) {
    await world.store.put(key, text, 60_000);
    expect(await codeOf(world.logIn('alice'))).toBe('unavailable');
  }
});

test('with the store down every call is a fault', async () => {
  const world = await popWorld();
  await world.register('alice');
  const { loginId, finalization } = await startedLogin(world, 'alice');
  world.store.before = () => {
    throw new StoreFault('down', 'no connection');
  };
  expect(await codeOf(world.logIn('alice'))).toBe('unavailable');
  expect((await finish(world, { loginId, finalization })).status).toBe(503);
});

if (isLong) {
  test('times of login/start for known and unknown users do not differ: Welch t below 4.5 over 20,000 interleaved calls', async () => {
    const world = await popWorld({ limits: { charge() {}, refund() {}, credential() {} } });
    await world.register('alice');
    const ke1 = client.startLogin({ password: 'x' }).startLoginRequest;
    const start = world.scheme.endpoints.find(({ path }) => path === 'login/start');
    const times: [number[], number[]] = [[], []];
    for (let sample = 0; sample < 20_400; sample += 1) {
      const which = Math.random() < 0.5 ? 0 : 1;
      const body = { user: which === 0 ? 'alice' : 'nobdy', request: b64(ke1), tenant: 'default' };
      world.store.calls.length = 0;
      const startMs = performance.now();
      await start?.handle({
        body,
        raw: new Uint8Array(0),
        header: () => undefined,
        source: '127.0.0.1',
        owner: 'o',
        receivedAtMs: START_MS,
        signal: new AbortController().signal,
      });
      if (sample >= 400) times[which].push(performance.now() - startMs);
    }
    expect(Math.abs(welchT(cropped(times[0]), cropped(times[1])))).toBeLessThan(4.5);
  }, 600_000);
}
