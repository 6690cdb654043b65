/**
 * What only challenge-signature has. Numbers name the tests that must exist for it; number 1, every case of its vector file, is
 * `test/vectors/challenge-signature.test.ts`.
 */
import { describe, expect, test } from '@jest/globals';
import type { Denial } from '../../../src/core/decision.ts';
import { sha256 } from '../../../src/crypto/digest.ts';
import { randomBytes } from '../../../src/crypto/random.ts';
import { scopedStoreKey } from '../../../src/crypto/store-key.ts';
import { addKey, rotateKey } from '../../../src/keys/ring-changes.ts';
import { createLimits } from '../../../src/limits.ts';
import { challengeSignature } from '../../../src/schemes/challenge-signature/index.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { complete, type RequestParts, withHeader } from '../../support/auth-request.ts';
import { b64 } from '../../support/bytes.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { isLong } from '../../support/long.ts';
import { quietObserver } from '../../support/quiet-observer.ts';
import { codeOf, denialOf, outcomeOf } from '../../support/refused.ts';
import {
  createSchemeWorld,
  SKEW_MS,
  START_MS,
  type SchemeWorld,
  type WorldOptions,
} from '../../support/scheme-world.ts';
import { userKey, userRecord } from '../../support/test-users.ts';
import { NAME, newKey, registered, signed, signedWith } from './prover.ts';

const GET: RequestParts = {
  method: 'GET',
  scheme: 'https',
  authority: 'api.example.com',
  target: '/balance',
  headers: [],
  body: complete(''),
};
const LIFETIME_MS = 30_000;

const world = (options?: WorldOptions) => createSchemeWorld(challengeSignature, options);
const stateless = { challenges: 'stateless' };

async function challengeFor(at: SchemeWorld, user: string, source?: string): Promise<string> {
  const { challenge } = await at.post('challenge', { user }, source);
  return String(challenge);
}

describe('2. any number of challenges may be outstanding', () => {
  test('a second challenge leaves the first usable', async () => {
    const at = world();
    const alice = await registered(at, 'alice');
    const first = await challengeFor(at, 'alice');
    const second = await challengeFor(at, 'alice');
    expect(await outcomeOf(at.judge(await signedWith(first, alice, GET)))).toBe('allow');
    expect(await outcomeOf(at.judge(await signedWith(second, alice, GET)))).toBe('allow');
  });

  test('two requests in parallel on two challenges both pass', async () => {
    const at = world();
    const alice = await registered(at, 'alice');
    const proofs = await Promise.all([signed(at, alice, GET), signed(at, alice, GET)]);
    expect(await Promise.all(proofs.map((proof) => outcomeOf(at.judge(proof))))).toEqual(['allow', 'allow']);
  });
});

describe('3. a stranger who asks 10,000 times for challenges for alice', () => {
  test('neither cancels hers nor keeps her from getting one', async () => {
    const { at } = limited();
    const alice = await registered(at, 'alice');
    const hers = await challengeFor(at, 'alice');
    let refused = 0;
    for (let count = 0; count < 10_000; count += 1) {
      refused += await challengeFor(at, 'alice', '198.51.100.7').then(
        () => 0,
        () => 1,
      );
    }
    expect(refused).toBe(10_000 - 200);
    expect(await outcomeOf(at.judge(await signedWith(hers, alice, GET)))).toBe('allow');
    expect(await outcomeOf(at.judge(await signed(at, alice, GET)))).toBe('allow');
  });

  test('is refused with rate_limited, and the store holds no more than rate x lifetime of them', async () => {
    const { at, clock, inner } = limited();
    const most = 200 + (50 * (LIFETIME_MS + SKEW_MS)) / 1000;
    let largest = 0;
    const codes = new Set<string>();
    for (let count = 0; count < 10_000; count += 1) {
      clock.advance(10);
      codes.add(await outcomeOf(challengeFor(at, 'alice', '198.51.100.7')));
      largest = Math.max(largest, inner.entries());
    }
    expect(codes).toEqual(new Set(['allow', 'rate_limited']));
    expect(largest).toBeLessThanOrEqual(most);
  });
});

describe.each(['stored', 'stateless'])('%s', (challenges) => {
  test("4. a challenge of alice with bob's name and key is stale, and alice can still use it", async () => {
    const at = world({ settings: { challenges } });
    const alice = await registered(at, 'alice');
    const bob = await registered(at, 'bob');
    const hers = await challengeFor(at, 'alice');
    expect(await codeOf(at.judge(await signedWith(hers, bob, GET)))).toBe('stale');
    expect(await codeOf(at.judge(await signedWith(hers, { ...alice, key: bob.key }, GET)))).toBe('signature_invalid');
    expect(await outcomeOf(at.judge(await signedWith(hers, alice, GET)))).toBe('allow');
  });

  test('5. a wrong signature first is signature_invalid, the right one after it passes', async () => {
    const at = world({ settings: { challenges } });
    const alice = await registered(at, 'alice');
    const challenge = await challengeFor(at, 'alice');
    expect(await codeOf(at.judge(await signedWith(challenge, { ...alice, key: newKey() }, GET)))).toBe(
      'signature_invalid',
    );
    expect(await outcomeOf(at.judge(await signedWith(challenge, alice, GET)))).toBe('allow');
  });
});

test('6. changing from stored to stateless, replica by replica, with accept of both: no refusal under load', async () => {
  const common = { accept: ['stored', 'stateless'], limits: { challenge: { rate: '1000000/s', burst: 1_000_000 } } };
  const before = world({ settings: { challenges: 'stored', ...common } });
  const { clock, store, ring } = before;
  const after = world({ settings: { challenges: 'stateless', ...common }, clock, store, ring });
  const users = await Promise.all(Array.from({ length: 20 }, (_, index) => registered(before, `user${index}`)));
  const load = Array.from({ length: isLong ? 20_000 : 400 }, async (_, index) => {
    const issuer = index % 2 === 0 ? before : after;
    const verifier = index % 3 === 0 ? before : after;
    return outcomeOf(verifier.judge(await signed(issuer, users[index % users.length]!, GET)));
  });
  expect(new Set(await Promise.all(load))).toEqual(new Set(['allow']));
});

test('what is not in accept is stale, on this route alone', async () => {
  const at = world({ settings: { challenges: 'stored', accept: ['stored', 'stateless'] } });
  const alice = await registered(at, 'alice');
  const proof = await signed(at, alice, GET);
  const options = { ...(at.settings as object), accept: ['stateless'] };
  expect(await codeOf(at.judge(proof, { policy: { options } }))).toBe('stale');
  expect(await outcomeOf(at.judge(proof))).toBe('allow');
});

describe('7. rotation of the challenge-mac key', () => {
  const order = { use: 'challenge-mac', random: randomBytes } as const;
  const old = addKey([], { ...order, nowMs: START_MS - 3_600_000 }).ring;
  const published = addKey(old, { ...order, nowMs: START_MS - 3_600_000 }).ring;
  const rotated = rotateKey(published, { ...order, nowMs: START_MS }).ring;

  test('challenges minted before pass until their lifetime ends, then they are stale', async () => {
    const at = world({ settings: stateless, ring: published });
    const alice = await registered(at, 'alice');
    const proofs = [await signed(at, alice, GET), await signed(at, alice, GET)] as const;
    at.ring = rotated;
    at.clock.advance(LIFETIME_MS);
    expect(await outcomeOf(at.judge(proofs[0]))).toBe('allow');
    at.clock.advance(1);
    expect(await codeOf(at.judge(proofs[1]))).toBe('stale');
  });

  test('a replica that still calls the key next accepts what it made; one without the key says stale', async () => {
    const minting = world({ settings: stateless, ring: rotated });
    const alice = await registered(minting, 'alice');
    const proof = await signed(minting, alice, GET);
    const { clock, store } = minting;
    const behind = world({ settings: stateless, ring: published, clock, store });
    const without = world({ settings: stateless, ring: old, clock, store });
    expect(await codeOf(without.judge(proof))).toBe('stale');
    expect(await outcomeOf(behind.judge(proof))).toBe('allow');
  });

  test('a key that is gone from the ring ends its challenges', async () => {
    const at = world({ settings: stateless, ring: published });
    const alice = await registered(at, 'alice');
    const proof = await signed(at, alice, GET);
    at.ring = rotated.filter(({ state }) => state !== 'retired');
    expect(await codeOf(at.judge(proof))).toBe('stale');
  });
});

describe('8. in band', () => {
  test('a 401 carries a challenge that its user can use, with its expiry', async () => {
    const at = world({ settings: stateless });
    const alice = await registered(at, 'alice');
    const spent = await signed(at, alice, GET);
    await at.judge(spent);
    const [challenge = '', expiresAt] = challengeIn(lineOf(at, await denialOf(at.judge(spent))));
    expect(Number(expiresAt)).toBe(START_MS + LIFETIME_MS);
    expect(await outcomeOf(at.judge(await signedWith(challenge, alice, GET)))).toBe('allow');
  });

  test('so does a malformed proof whose user could be read, and none whose user could not', async () => {
    const at = world({ settings: stateless });
    const broken = (value: string) => denialOf(at.judge(withHeader(GET, 'authorization', value)));
    const readable = await broken('ChallengeSignature user="alice"');
    expect(lineOf(at, readable)).toMatch(/^ChallengeSignature realm="countersign", error="malformed", challenge="/);
    expect(lineOf(at, await broken('ChallengeSignature kid="k1"'))).toBe(
      'ChallengeSignature realm="countersign", error="malformed"',
    );
  });

  test('an allow carries the next one, and it works', async () => {
    const at = world({ settings: stateless });
    const alice = await registered(at, 'alice');
    const { replyHeaders = [] } = await at.judge(await signed(at, alice, GET));
    const [[name, value] = ['', '']] = replyHeaders;
    expect([replyHeaders.length, name]).toEqual([1, 'authentication-info']);
    const [challenge = ''] = challengeIn(value);
    expect(await outcomeOf(at.judge(await signedWith(challenge, alice, GET)))).toBe('allow');
  });

  test.each([{ challenges: 'stored' }, { challenges: 'stateless', inBand: false }])(
    '%j carries none',
    async (settings) => {
      const at = world({ settings });
      const alice = await registered(at, 'alice');
      const proof = await signed(at, alice, GET);
      expect((await at.judge(proof)).replyHeaders).toEqual([]);
      expect(lineOf(at, await denialOf(at.judge(proof)))).toBe(
        'ChallengeSignature realm="countersign", error="replayed"',
      );
    },
  );

  test('a refusal that is no 401 carries none', async () => {
    const at = world({ settings: stateless });
    const alice = await registered(at, 'alice');
    const proof = await signed(at, alice, GET);
    const denial = await denialOf(at.judge({ ...proof, body: { kind: 'unverifiable', why: 'partial' } }));
    expect([denial.form.status, denial.options.hint]).toEqual([413, undefined]);
  });
});

describe('9. keys of a user', () => {
  test('each of 16 keys of both algorithms signs', async () => {
    const at = world();
    const keys = Array.from({ length: 16 }, (_, index) => newKey(index % 2 === 0 ? 'Ed25519' : 'ES256'));
    await at.users.save(
      userRecord('alice', { keys: keys.map((key, index) => userKey(`k${index}`, key.publicJwk, [NAME])) }),
    );
    for (const [index, key] of keys.entries()) {
      const { keyId } = await at.judge(await signed(at, { user: 'alice', kid: `k${index}`, key }, GET));
      expect(keyId).toBe(`k${index}`);
    }
  });

  test('a key removed while a challenge is out is unknown_credential', async () => {
    const at = world();
    const alice = await registered(at, 'alice');
    const proof = await signed(at, alice, GET);
    await at.users.save(userRecord('alice'));
    expect(await codeOf(at.judge(proof))).toBe('unknown_credential');
  });

  test('expiry is exclusive: valid 1 ms before, revoked at it', async () => {
    const at = world();
    const alice = await registered(at, 'alice');
    const proof = await signed(at, alice, GET);
    const expiring = (expiresAt: number) =>
      at.users.save(userRecord('alice', { keys: [userKey('k1', alice.key.publicJwk, [NAME], expiresAt)] }));
    await expiring(START_MS);
    expect(await codeOf(at.judge(proof))).toBe('revoked');
    await expiring(START_MS + 1);
    expect(await outcomeOf(at.judge(proof))).toBe('allow');
  });

  test('a proof by the very dummy key of an unknown user is unknown_credential', async () => {
    const at = world();
    const dummy = newKey();
    Object.assign(at.users, { dummyKey: userKey('dummy', dummy.publicJwk) });
    const proof = await signed(at, { user: 'mallory', kid: 'k1', key: dummy }, GET);
    expect(await codeOf(at.judge(proof))).toBe('unknown_credential');
    expect(at.verifications).toBe(1);
  });
});

describe('10. the challenge endpoint', () => {
  test.each(['stored', 'stateless'])(
    '%s: the same store verbs, sizes and members for known, unknown and disabled users',
    async (challenges) => {
      const at = await threeUsers({ challenges });
      const seen = [];
      for (const user of ['known', 'nobody', 'barred']) {
        at.store.calls.length = 0;
        const before = at.steps;
        const body = await at.post('challenge', { user });
        const verbs = at.store.calls.map(({ verb, key, rest }) => [verb, key.slice(0, 2), ...rest]);
        seen.push({ verbs, steps: at.steps - before, members: Object.keys(body), size: JSON.stringify(body).length });
        expect(body).toMatchObject({ expiresAtMs: START_MS + LIFETIME_MS, timeMs: START_MS });
      }
      expect(seen[1]).toEqual(seen[0]);
      expect(seen[2]).toEqual(seen[0]);
      expect(seen[0]?.verbs).toEqual(challenges === 'stored' ? [['put', 'o:', '1', LIFETIME_MS + SKEW_MS]] : []);
    },
  );

  test('refuses what is no identifier, and members it does not know', async () => {
    const at = await threeUsers({});
    for (const body of [{ user: 'a/b' }, { user: '' }, { user: 'a', kid: 'k1' }, {}, { user: 1 }]) {
      await expect(at.post('challenge', body)).rejects.toThrow('');
    }
    expect(at.store.calls).toEqual([]);
  });

  test('a challenge of one tenant is stale in another, whoever signs it', async () => {
    for (const challenges of ['stored', 'stateless']) {
      const at = world({ settings: { challenges } });
      const alice = await registered(at, 'alice');
      await at.users.save(userRecord('alice', { keys: [userKey('k1', alice.key.publicJwk, [NAME])] }), 'other');
      const { challenge } = await at.post('challenge', { user: 'alice', tenant: 'other' });
      const proof = await signedWith(String(challenge), alice, GET);
      expect(await codeOf(at.judge(proof))).toBe('stale');
      expect(await outcomeOf(at.judge(proof, { policy: { tenant: 'other' } }))).toBe('allow');
      const digest = sha256(b64(String(challenge)));
      const spent = scopedStoreKey(NAME)('c', 'other', 'spent', 'alice', digest).text;
      expect(at.store.calls.filter(({ verb }) => verb === 'claim').map(({ key }) => key)).toEqual([spent]);
    }
  });

  if (isLong) {
    test('median times for known, unknown and disabled users lie within 5 %', async () => {
      const at = await threeUsers({
        challenges: 'stateless',
        limits: { challenge: { rate: '1000000/s', burst: 1_000_000 } },
      });
      const users = ['known', 'nobody', 'barred'];
      const times: number[][] = [[], [], []];
      for (let round = 0; round < 20_000; round += 1) {
        for (const [index, user] of users.entries()) {
          const start = performance.now();
          await at.post('challenge', { user });
          times[index]?.push(performance.now() - start);
        }
      }
      const medians = times.map((list) => list.toSorted((a, b) => a - b)[list.length / 2] ?? 0);
      expect(Math.max(...medians) / Math.min(...medians)).toBeLessThan(1.05);
    });
  }
});

function limited() {
  const clock = createFakeClock(START_MS);
  const inner = createMemoryStore({
    clock,
    skewMs: SKEW_MS,
    maxEntries: 100_000,
    fresh: true,
    observer: quietObserver,
  });
  const limits = createLimits({ clock, maxBuckets: 1000, perCredential: { periodMs: 1, burst: 1000 } });
  return { at: world({ clock, store: inner, limits }), clock, inner };
}

const lineOf = (at: SchemeWorld, denial: Denial) =>
  at.scheme.challenges(at.policy(), { denial, nowMs: at.clock.nowMs() }).join();
const challengeIn = (text: string) =>
  /challenge="([A-Za-z0-9_-]{55})", expires_at=([0-9]+)$/.exec(text)?.slice(1) ?? [];

async function threeUsers(settings: object) {
  const at = world({ settings });
  await registered(at, 'known');
  await at.users.save(userRecord('barred', { disabled: true }));
  at.store.calls.length = 0;
  return at;
}
