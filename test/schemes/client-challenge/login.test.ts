/** Logins of the profile `strict`: each guard, who may come in, and what a token then says. Bytes and verdicts of the vectors stand elsewhere. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { StoreFault } from '../../../src/core/fault.ts';
import type { Endpoint } from '../../../src/core/scheme.ts';
import { thumbprint } from '../../../src/crypto/signatures.ts';
import { randomBytes } from '../../../src/crypto/random.ts';
import { encodeBase64url } from '../../../src/encoding/base64url.ts';
import { addKey } from '../../../src/keys/ring-changes.ts';
import { clientChallenge } from '../../../src/schemes/client-challenge/index.ts';
import { cropped, welchT } from '../../conformance/scheme.ts';
import { newCheckId } from '../../support/auth-request.ts';
import { isLong } from '../../support/long.ts';
import { codeOf, faultOf, outcomeOf, rejectionOf } from '../../support/refused.ts';
import {
  createSchemeWorld,
  Interruption,
  ISSUER_URL,
  SKEW_MS,
  START_MS,
  type SchemeWorld,
  type WorldOptions,
} from '../../support/scheme-world.ts';
import { storesUnderTest } from '../../support/stores.ts';
import { CACHE_TTL_MS, testUsers, userKey, userRecord } from '../../support/test-users.ts';
import { writesOf } from '../../support/watched-store.ts';
import {
  AUDIENCE,
  carrying,
  claimsOf,
  GET,
  type KeyPair,
  NAME,
  newKey,
  registered,
  SETTINGS,
  strictLogin,
  thumbprintText,
  tokenOf,
} from './prover.ts';

const WINDOW_MS = 60_000;
const FUTURE_MS = 5_000;

let world: SchemeWorld;
let key: KeyPair;
async function open(settings: object = {}, options: WorldOptions = {}): Promise<void> {
  world = createSchemeWorld(clientChallenge, { settings: { ...SETTINGS, ...settings }, ...options });
  key = newKey();
  await registered(world, 'alice', key);
  world.store.calls.length = 0;
}
beforeEach(() => open());

const login = (body: object) => world.post('token', body);
const outcome = (body: object) => outcomeOf(login(body));
const fresh = (changes: Parameters<typeof strictLogin>[2] = {}) => strictLogin(key, world.clock.nowMs(), changes);
const endpoint = (path = 'token'): Endpoint | undefined => world.scheme.endpoints.find((one) => one.path === path);
const isTaken = (body: object) => v.safeParse(endpoint()?.body ?? v.never(), body).success;

test('answers with a token, its kind, its end, whose it is and the time; the token says the same', async () => {
  const { token, ...rest } = await login(fresh());
  expect(rest).toEqual({ tokenType: 'Bearer', expiresAtMs: START_MS + 600_000, subject: 'alice', timeMs: START_MS });
  expect(claimsOf(String(token))).toEqual({
    iss: ISSUER_URL,
    aud: AUDIENCE,
    sub: 'alice',
    iat: START_MS / 1000,
    exp: START_MS / 1000 + 600,
    jti: expect.stringMatching(/^[A-Za-z0-9_-]{22}$/),
    epoch: 0,
    key: thumbprintText(key),
  });
});

test('two tokens never have one jti', async () => {
  const [one, other] = [await login(fresh()), await login(fresh())].map(({ token }) => claimsOf(String(token))['jti']);
  expect(one).not.toBe(other);
});

test.each(['Ed25519', 'ES256'] as const)('a key of %s logs in, and its token passes', async (alg) => {
  const bob = newKey(alg);
  await registered(world, 'bob', bob);
  expect(await world.judge(carrying(GET, await tokenOf(world, bob)))).toMatchObject({
    subject: 'bob',
    keyId: thumbprintText(bob),
  });
});

describe('form', () => {
  test.each([
    ['an unknown member', { kid: 'k1' }],
    ['ts as text', { ts: String(START_MS) }],
    ['ts as a fraction', { ts: START_MS + 0.5 }],
    ['ts negative', { ts: -1 }],
    ['ts beyond 2^53', { ts: 2 ** 53 }],
    ['nonce of 15 bytes', { nonce: encodeBase64url(new Uint8Array(15)) }],
    ['nonce of 17 bytes', { nonce: encodeBase64url(new Uint8Array(17)) }],
    ['nonce not canonical', { nonce: `${'A'.repeat(21)}B` }],
    ['signature padded', { signature: `${'A'.repeat(86)}==` }],
    ['signature of 63 bytes', { signature: 'A'.repeat(84) }],
    ['jkt of another length', { jkt: 'AAAA' }],
    ['aud missing', { aud: undefined }],
    ['aud of 301 characters', { aud: `https://${'a'.repeat(293)}` }],
    ['tenant with a slash', { tenant: 'a/b' }],
  ])('the front refuses with malformed: %s', (_what, changes) => {
    expect(isTaken(fresh())).toBe(true);
    expect(isTaken(JSON.parse(JSON.stringify({ ...fresh(), ...changes })) as object)).toBe(false);
  });

  test.each([
    ['a private key', (jwk: object) => ({ ...jwk, d: 'A'.repeat(43) })],
    ['a kid in the key', (jwk: object) => ({ ...jwk, kid: 'k1' })],
    ['no key', () => undefined],
    ['a list', (jwk: object) => [jwk]],
    ['a key of small order', (jwk: object) => ({ ...jwk, x: encodeBase64url(new Uint8Array(32)) })],
    ['a point off the curve', () => ({ kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) })],
  ])('refuses with malformed, and looks nothing up: %s', async (_what, change) => {
    const body = fresh();
    expect(await outcome({ ...body, jwk: change(body['jwk'] as object) })).toBe('malformed');
    expect([world.store.calls, world.verifications]).toEqual([[], 0]);
  });
});

describe('audience', () => {
  test('relay: a login signed for one site and sent to another is signature_invalid, swapped or not', async () => {
    const elsewhere = fresh({ aud: 'https://other.example.com' });
    expect(await outcome(elsewhere)).toBe('signature_invalid');
    expect(await outcome({ ...elsewhere, aud: AUDIENCE })).toBe('signature_invalid');
    expect(writesOf(world.store)).toEqual([]);
  });

  test('the token is for the site that the login named, and each login for one of the sites', async () => {
    await open({ audiences: [AUDIENCE, 'https://b.example'] });
    const { token } = await login(fresh({ aud: 'https://b.example' }));
    expect(await codeOf(world.judge(carrying(GET, String(token))))).toBe('signature_invalid');
    expect(
      await outcomeOf(world.judge(carrying(GET, String(token)), { policy: { audience: ['https://b.example'] } })),
    ).toBe('allow');
  });

  test.each([
    'https://API.example.com',
    'https://api.example.com/',
    'https://api.example.com:443',
    'http://api.example.com',
  ])('is compared as text: %s is signature_invalid', async (aud) => {
    expect(await outcome(fresh({ aud }))).toBe('signature_invalid');
  });
});

describe('time', () => {
  test.each([
    [-FUTURE_MS - 1, 'not_yet_valid'],
    [-FUTURE_MS, 'allow'],
    [0, 'allow'],
    [WINDOW_MS, 'allow'],
    [WINDOW_MS + 1, 'stale'],
  ])('a login judged %i ms after it was dated: %s (CT-05)', async (ageMs, wanted) => {
    expect(await outcome(fresh({ tsMs: START_MS - ageMs }))).toBe(wanted);
  });

  test('one that could have been spent before the horizon is stale, at the horizon it passes (CT-06)', async () => {
    world.clock.advance(1);
    world.store.horizon = START_MS - FUTURE_MS + 1;
    expect(await outcome(fresh({ tsMs: START_MS }))).toBe('stale');
    world.store.horizon = START_MS - FUTURE_MS;
    expect(await outcome(fresh({ tsMs: START_MS }))).toBe('allow');
  });

  test('while none made now could pass: recovering, with the seconds to wait', async () => {
    world.store.horizon = START_MS + 1_500;
    const fault = await faultOf(login(fresh()));
    expect([fault.reason, fault.retryAfterSeconds]).toEqual(['recovering', Math.ceil((1_500 + FUTURE_MS) / 1000)]);
    world.clock.advance(fault.retryAfterSeconds * 1000);
    expect(await outcome(fresh())).toBe('allow');
  });

  test('the claim outlives every instant at which the login is fresh, on a clock that is behind by the skew', async () => {
    const body = fresh({ tsMs: START_MS + FUTURE_MS });
    await login(body);
    const [claim] = writesOf(world.store);
    expect(claim?.rest[1]).toBe(START_MS + FUTURE_MS + WINDOW_MS + SKEW_MS + 1);
    world.clock.advance(WINDOW_MS + FUTURE_MS);
    expect(await outcome(body)).toBe('replayed');
  });
});

describe('once', () => {
  test('a second time it is replayed, whatever the issuer is told besides', async () => {
    const body = fresh();
    expect(await outcome(body)).toBe('allow');
    expect(await outcome(body)).toBe('replayed');
    expect(await outcome({ ...body })).toBe('replayed');
  });

  test('another signature over the same bytes is the same login: replayed', async () => {
    const bob = newKey('ES256');
    await registered(world, 'bob', bob);
    const body = strictLogin(bob, START_MS);
    await login(body);
    const bytes = Buffer.from(String(body['signature']), 'base64url');
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const other = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
    const malleated = Buffer.concat([bytes.subarray(0, 32), Buffer.from(other.toString(16).padStart(64, '0'), 'hex')]);
    expect(await outcome({ ...body, signature: malleated.toString('base64url') })).toBe('replayed');
  });

  test('a wrong signature spends nothing, and leaves the nonce to its owner (CT-11)', async () => {
    const body = fresh();
    expect(await outcome({ ...body, signature: encodeBase64url(new Uint8Array(64).fill(1)) })).toBe(
      'signature_invalid',
    );
    expect(await outcome({ ...body, ts: START_MS - 1 })).toBe('signature_invalid');
    expect(writesOf(world.store)).toEqual([]);
    expect(await outcome(body)).toBe('allow');
  });

  test('one nonce of two keys is two logins', async () => {
    const bob = newKey();
    await registered(world, 'bob', bob);
    await login(fresh());
    expect(await outcome(strictLogin(bob, START_MS))).toBe('allow');
  });

  test.each(storesUnderTest.map((store) => [store.title, store] as const))(
    'of 64 concurrent copies of one login exactly one gets a token (CT-09): %s',
    async (_title, under) => {
      const store = await under.open();
      try {
        const real = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
        // A server that has just started refuses what may have been spent before: with no future tolerance, only until now.
        await open({ future: '0s' }, { store, clock: real });
        const body = fresh();
        const outcomes = await Promise.all(Array.from({ length: 64 }, () => outcome(body)));
        expect(outcomes.filter((one) => one === 'allow')).toHaveLength(1);
        expect(new Set(outcomes)).toEqual(new Set(['allow', 'replayed']));
      } finally {
        await store.close();
      }
    },
  );

  test('a call that nobody waits for any more is a fault and spends nothing', async () => {
    const body = fresh();
    const abort = new AbortController();
    abort.abort();
    const call = {
      raw: new Uint8Array(0),
      header: () => undefined,
      source: '',
      owner: newCheckId(),
      receivedAtMs: START_MS,
      signal: abort.signal,
    };
    const judged = async () => endpoint()?.handle({ ...call, body: v.parse(endpoint()?.body ?? v.never(), body) });
    expect((await faultOf(judged())).reason).toBe('deadline');
    expect(writesOf(world.store)).toEqual([]);
    expect(await outcome(body)).toBe('allow');
  });

  test('a ring without a key costs nobody a login: key_source, and the same login passes with one', async () => {
    const { ring } = world;
    const body = fresh();
    world.ring = ring.filter(({ use }) => use !== 'token-signing');
    expect((await faultOf(login(body))).reason).toBe('key_source');
    world.ring = ring;
    expect(await outcome(body)).toBe('allow');
  });

  test('a throw at any call into its surroundings is passed on, and gives no token (CT-14)', async () => {
    const start = world.steps;
    await login(fresh());
    const steps = world.steps - start;
    expect(steps).toBeGreaterThan(5);
    for (let step = 1; step <= steps; step += 1) {
      world.failAtStep = world.steps + step;
      expect(await rejectionOf(login(fresh()))).toBeInstanceOf(Interruption);
      world.failAtStep = undefined;
    }
  });

  test('with the store down nobody logs in, whoever is cached', async () => {
    await login(fresh());
    world.store.before = () => {
      throw new StoreFault('down', 'no connection');
    };
    expect((await faultOf(login(fresh()))).reason).toBe('down');
  });
});

describe('accounts', () => {
  const stranger = newKey();

  test('listed: a key of nobody is unknown_credential, at the verbs and verifications of a wrong signature, and writes nothing', async () => {
    const seen = [];
    const wrong = { ...fresh(), signature: encodeBase64url(new Uint8Array(64).fill(1)) };
    for (const body of [wrong, strictLogin(stranger, START_MS)]) {
      world.clock.advance(5_000); // Nothing is cached.
      world.store.calls.length = 0;
      const before = world.verifications;
      const code = await codeOf(login({ ...body }));
      seen.push({
        code,
        verbs: world.store.calls.map(({ verb, key: name }) => [verb, name.slice(0, 2)]),
        checks: world.verifications - before,
      });
    }
    const verbs = [
      ['get', 'r:'],
      ['get', 'r:'],
    ];
    expect(seen).toEqual([
      { code: 'signature_invalid', verbs, checks: 1 },
      { code: 'unknown_credential', verbs, checks: 1 },
    ]);
  });

  if (isLong) {
    test('times of a wrong signature and of an unknown key do not differ: Welch t below 4.5 over 100,000 interleaved samples (CT-17)', async () => {
      const bodies: [object[], object[]] = [[], []];
      for (let count = 0; count < 1_000; count += 1) {
        const signature = encodeBase64url(randomBytes(64).fill(1, 32));
        bodies[0].push({ ...fresh(), signature });
        bodies[1].push({ ...strictLogin(stranger, START_MS), signature });
      }
      const times: [number[], number[]] = [[], []];
      for (let sample = 0; sample < 102_000; sample += 1) {
        const which = Math.random() < 0.5 ? 0 : 1;
        world.store.calls.length = 0;
        const start = performance.now();
        await rejectionOf(login(bodies[which][sample % 1_000]!));
        // The first ones warm up.
        if (sample >= 2_000) times[which].push(performance.now() - start);
      }
      expect(Math.abs(welchT(cropped(times[0]), cropped(times[1])))).toBeLessThan(4.5);
    }, 600_000);
  }

  test.each([
    ['registered for another scheme', { uses: ['challenge-signature'] }],
    ['expired at this very millisecond', { expiresAt: START_MS }],
    ['of a user who was deleted', { deleted: true }],
  ])('listed: a key %s is unknown_credential', async (_what, changes) => {
    await registered(world, 'bob', stranger, changes);
    expect(await outcome(strictLogin(stranger, START_MS))).toBe('unknown_credential');
  });

  test('listed: a key that expires in a millisecond logs in', async () => {
    await registered(world, 'bob', stranger, { expiresAt: START_MS + 1 });
    expect(await outcome(strictLogin(stranger, START_MS))).toBe('allow');
  });

  test('the record decides, not the index: a key that the user no longer has, or another one under its name, is unknown_credential', async () => {
    await world.users.save(userRecord('alice'));
    expect(await outcome(fresh())).toBe('unknown_credential');
    await world.users.save(userRecord('alice', { keys: [userKey('k1', newKey().publicJwk, [NAME])] }));
    expect(await outcome(fresh())).toBe('unknown_credential');
    const twin = newKey('ES256').publicJwk;
    await world.users.save(userRecord('alice', { keys: [userKey('k1', { ...twin, x: key.publicJwk.x }, [NAME])] }));
    expect(await outcome(fresh())).toBe('unknown_credential');
  });

  test('a key that another replica has taken away buys no token here: unknown_credential, whatever is cached', async () => {
    await login(fresh());
    const other = testUsers(world.store, world.clock);
    await other.save(userRecord('alice', { keys: [userKey('k2', newKey().publicJwk, [NAME])] }));
    expect(await outcome(fresh())).toBe('unknown_credential');
  });

  test('after a revocation that another replica was told of a new login passes at once, and no token of before for longer than the cache', async () => {
    const before = await tokenOf(world, key);
    expect(await outcomeOf(world.judge(carrying(GET, before)))).toBe('allow');
    const other = testUsers(world.store, world.clock);
    await other.save(userRecord('alice', { epoch: 1, keys: [userKey('k1', key.publicJwk, [NAME])] }));
    const after = await tokenOf(world, key);
    expect(claimsOf(after)['epoch']).toBe(1);
    expect(await outcomeOf(world.judge(carrying(GET, after)))).toBe('allow');
    world.clock.advance(CACHE_TTL_MS);
    expect(await outcomeOf(world.judge(carrying(GET, before)))).toBe('revoked');
    expect(await outcomeOf(world.judge(carrying(GET, after)))).toBe('allow');
  });

  test('a disabled user is revoked, and only the holder of the key learns it', async () => {
    await world.users.save(userRecord('alice', { disabled: true, keys: [userKey('k1', key.publicJwk, [NAME])] }));
    expect(await outcome(fresh())).toBe('revoked');
    expect(await outcome({ ...fresh(), ts: START_MS - 1 })).toBe('signature_invalid');
    expect(writesOf(world.store)).toHaveLength(1); // The record above.
  });

  test('after the epoch was raised a login gives a token of the new one, and tokens of before are revoked', async () => {
    const before = await tokenOf(world, key);
    await world.users.save(userRecord('alice', { epoch: 3, keys: [userKey('k1', key.publicJwk, [NAME])] }));
    const after = await tokenOf(world, key);
    expect(claimsOf(after)['epoch']).toBe(3);
    expect(await outcomeOf(world.judge(carrying(GET, before)))).toBe('revoked');
    expect(await outcomeOf(world.judge(carrying(GET, after)))).toBe('allow');
  });

  describe('open', () => {
    beforeEach(() => open({ accounts: 'open' }));

    test('a stranger comes in as the key itself, in epoch 0, and leaves nothing but the claim', async () => {
      const { token, subject } = await login(strictLogin(stranger, START_MS));
      expect(subject).toBe(thumbprintText(stranger));
      expect(claimsOf(String(token))).toMatchObject({ sub: subject, key: subject, epoch: 0 });
      expect(writesOf(world.store).map(({ verb, key: name }) => [verb, name.slice(0, 2)])).toEqual([['claim', 'c:']]);
      expect(await world.judge(carrying(GET, String(token)))).toMatchObject({ subject, attributes: {} });
    });

    test('a key that has a user costs a stranger’s look-ups: time does not tell which keys have one', async () => {
      const verbs = [];
      for (const who of [key, stranger]) {
        world.clock.advance(5_000); // Nothing is cached.
        world.store.calls.length = 0;
        const forged = { ...strictLogin(who, START_MS), signature: encodeBase64url(new Uint8Array(64).fill(1)) };
        expect(await codeOf(login(forged))).toBe('signature_invalid');
        verbs.push(world.store.calls.map(({ verb, key: name }) => [verb, name.slice(0, 2)]));
      }
      expect(verbs[1]).toEqual(verbs[0]);
    });

    test('a listed key is its user still, and one that may not be used here is a stranger', async () => {
      expect(await login(fresh())).toMatchObject({ subject: 'alice' });
      await registered(world, 'bob', stranger, { uses: ['challenge-signature'] });
      expect(await login(strictLogin(stranger, START_MS))).toMatchObject({ subject: thumbprintText(stranger) });
    });

    test('the record of a key’s own name shuts it out, and gives it attributes and an epoch', async () => {
      const own = thumbprintText(stranger);
      await world.users.save(userRecord(own, { disabled: true }));
      expect(await outcome(strictLogin(stranger, START_MS))).toBe('revoked');
      await world.users.save(userRecord(own, { epoch: 2, attributes: { role: 'guest' } }));
      const token = await tokenOf(world, stranger);
      expect(claimsOf(token)).toMatchObject({ sub: own, epoch: 2 });
      expect((await world.judge(carrying(GET, token))).attributes).toEqual({ role: 'guest' });
    });

    test('what another replica was told of a key’s own record counts at its next login, whatever is cached', async () => {
      const own = thumbprintText(stranger);
      await world.users.save(userRecord(own));
      expect(claimsOf(await tokenOf(world, stranger))['epoch']).toBe(0);
      const other = testUsers(world.store, world.clock);
      await other.save(userRecord(own, { epoch: 1 }));
      expect(claimsOf(await tokenOf(world, stranger))['epoch']).toBe(1);
      await other.save(userRecord(own, { epoch: 1, disabled: true }));
      expect(await outcome(strictLogin(stranger, START_MS))).toBe('revoked');
    });

    test('of a tombstone only the epoch counts at the login; its tokens are revoked until the record is made again', async () => {
      const own = thumbprintText(stranger);
      const before = await tokenOf(world, stranger);
      await world.users.save(userRecord(own, { epoch: 1, deleted: true, disabled: true }));
      const { token } = await login(strictLogin(stranger, START_MS));
      expect(claimsOf(String(token))['epoch']).toBe(1);
      for (const text of [before, String(token)])
        expect(await codeOf(world.judge(carrying(GET, text)))).toBe('revoked');
      await world.users.save(userRecord(own, { epoch: 1 }));
      expect(await outcomeOf(world.judge(carrying(GET, String(token))))).toBe('allow');
      expect(await codeOf(world.judge(carrying(GET, before)))).toBe('revoked');
    });
  });
});

describe('tenants', () => {
  test('a key of one is nobody in another, and its token names the other', async () => {
    expect(await outcome(fresh({ tenant: 'other' }))).toBe('unknown_credential');
    await registered(world, 'bob', key, { tenant: 'other' });
    const token = await tokenOf(world, key, 'other');
    expect(claimsOf(token)).toMatchObject({ sub: 'bob', tenant: 'other' });
    expect(await codeOf(world.judge(carrying(GET, token)))).toBe('signature_invalid');
    expect(await world.judge(carrying(GET, token), { policy: { tenant: 'other' } })).toMatchObject({ subject: 'bob' });
  });
});

test('a login that was spent in one tenant is replayed in every other: which one it is for is not signed', async () => {
  await registered(world, 'bob', key, { tenant: 'other' });
  const body = fresh();
  expect(await outcome(body)).toBe('allow');
  expect(await outcome({ ...body, tenant: 'other' })).toBe('replayed');
  expect(await outcome(fresh({ tenant: 'other' }))).toBe('allow');
});

describe('binding', () => {
  const jkt = encodeBase64url(thumbprint(newKey().publicJwk));
  test.each([
    ['off', 'malformed', 'Bearer'],
    ['offered', 'DPoP', 'Bearer'],
    ['required', 'DPoP', 'malformed'],
  ])('%s: a login with jkt is %s, one without %s', async (binding, withJkt, without) => {
    await open({ binding });
    for (const [body, wanted] of [
      [fresh({ jkt }), withJkt],
      [fresh(), without],
    ] as const) {
      const result = await login(body).then(
        ({ tokenType }) => tokenType,
        async (thrown) => codeOf(Promise.reject(thrown)),
      );
      expect(result).toBe(wanted);
    }
  });

  test('jkt is signed: added, changed or taken away it is signature_invalid', async () => {
    await open({ binding: 'offered' });
    expect(await outcome({ ...fresh(), jkt })).toBe('signature_invalid');
    expect(await outcome({ ...fresh({ jkt }), jkt: thumbprintText(key) })).toBe('signature_invalid');
    const { jkt: _gone, ...without } = fresh({ jkt });
    expect(await outcome(without)).toBe('signature_invalid');
  });

  test('a bound token says to which key, and as Bearer it is signature_invalid', async () => {
    await open({ binding: 'offered' });
    const { token } = await login(fresh({ jkt }));
    expect(claimsOf(String(token))['cnf']).toEqual({ jkt });
    expect(await codeOf(world.judge(carrying(GET, String(token))))).toBe('signature_invalid');
  });
});

describe('the signing key', () => {
  const ringOf = (alg: 'Ed25519' | 'ES256') =>
    addKey([], { use: 'token-signing', alg, nowMs: 1, random: randomBytes }).ring;

  test.each([
    ['EdDSA', 'ES256'],
    ['ES256', 'Ed25519'],
  ] as const)('algorithm %s with an active key of %s is refused at start, by name', (algorithm, alg) => {
    const create = () =>
      createSchemeWorld(clientChallenge, { settings: { ...SETTINGS, algorithm }, ring: ringOf(alg) });
    expect(create).toThrow(
      `schemes.client-challenge.algorithm: expected the algorithm of the active token-signing key, which is ${alg}, got "${algorithm}"`,
    );
  });

  test('what is rotated in later signs by its own algorithm', async () => {
    world.ring = ringOf('ES256');
    const token = await tokenOf(world, key);
    expect(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())).toMatchObject({ alg: 'ES256' });
    expect(await outcomeOf(world.judge(carrying(GET, token)))).toBe('allow');
  });

  test('parts of a second are cut off the lifetime, never added', async () => {
    await open({ lifetime: '90500ms' });
    world.clock.advance(999);
    const { token, expiresAtMs } = await login(fresh());
    expect(claimsOf(String(token))).toMatchObject({ iat: START_MS / 1000, exp: START_MS / 1000 + 90 });
    expect(expiresAtMs).toBe(START_MS + 90_000);
  });
});

describe('profiles', () => {
  test('endpoints are those of the enabled profiles alone', async () => {
    const paths = () => world.scheme.endpoints.map(({ path }) => path);
    expect(paths()).toEqual(['token']);
    await open({ profiles: ['seed'] });
    expect(paths()).toEqual(['/auth', '/api/v1/auth']);
    await open({ profiles: ['strict', 'seed'], revokedTokens: true });
    expect(paths()).toEqual(['token', '/auth', '/api/v1/auth', 'revoke-token']);
  });

  test('discovery tells profiles and what a client must know', () => {
    expect(world.scheme.discovery).toEqual({
      profiles: ['strict'],
      parameters: {
        windowMs: 60_000,
        futureMs: 5_000,
        seedWindowMs: 300_000,
        seedLabel: 'ConnectOnion-Auth',
        accounts: 'listed',
        binding: 'off',
      },
    });
  });
});
