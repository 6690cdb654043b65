/** Sessions and the requests made in them. Numbers name the tests that must exist for this scheme. */
import { describe, expect, test } from '@jest/globals';
import { CountersignError } from '../../../src/core/client-error.ts';
import { Secret } from '../../../src/core/secret.ts';
import { hmacSha256 } from '../../../src/crypto/mac.ts';
import { randomBytes } from '../../../src/crypto/random.ts';
import { encodeBase64url } from '../../../src/encoding/base64url.ts';
import { logOut } from '../../../src/schemes/opaque-pop/client.ts';
import { formatStrictProof, logoutMessage, strictMessage } from '../../../src/schemes/opaque-pop/message.ts';
import { sha256 } from '../../../src/crypto/digest.ts';
import { createSessions } from '../../../src/schemes/opaque-pop/state.ts';
import { complete, type RequestParts, withHeader } from '../../support/auth-request.ts';
import { ringWith } from '../../support/key-ring.ts';
import { codeOf, faultOf, outcomeOf, rejectionOf } from '../../support/refused.ts';
import { createSchemeWorld, START_MS } from '../../support/scheme-world.ts';
import { headerOf } from '../../conformance/scheme.ts';
import { opaquePop } from '../../../src/schemes/opaque-pop/index.ts';
import { GET, popWorld } from './pop-world.ts';
import { loggedIn, newClient, signed, type Client } from './prover.ts';
import { altered } from '../../support/bytes.ts';

const MINUTE_MS = 60_000;
const IDLE_MS = 15 * MINUTE_MS;
const ABSOLUTE_MS = 12 * 60 * MINUTE_MS;

const errorCode = async (run: Promise<unknown>): Promise<string> => {
  const thrown = await rejectionOf(run);
  if (thrown instanceof CountersignError) return thrown.code;
  throw thrown;
};

/** Body of a logout, as a client makes it now. */
function logoutBody(tsMs: number, { sid, key }: Client, nonce = randomBytes(16)) {
  const mac16 = hmacSha256(key, logoutMessage({ sid, tsMs, nonce }));
  return { sid, ts: tsMs, nonce: encodeBase64url(nonce), mac: encodeBase64url(mac16) };
}

describe('6. a nonce is spent by a right MAC alone', () => {
  test.each(['strict', 'seed'] as const)(
    '%s: a wrong one first, then the right one with the same nonce passes',
    async (profile) => {
      const at = createSchemeWorld(opaquePop, { settings: { profiles: [profile] } });
      const client = await loggedIn(at, profile);
      const right = await signed(at, client, GET);
      const name = profile === 'strict' ? 'authorization' : 'x-pop';
      const place = profile === 'strict' ? /(mac=")(.)/ : /^()(.)/;
      const swap = (value: string) =>
        value.replace(place, (_, head: string, one: string) => head + (one === 'A' ? 'B' : 'A'));
      expect(await codeOf(at.judge(withHeader(right, name, swap(headerOf(right, name)))))).toBe('signature_invalid');
      expect(await outcomeOf(at.judge(right))).toBe('allow');
      expect(await codeOf(at.judge(right))).toBe('replayed');
    },
  );

  test('the same nonce in two sessions passes twice, also for text that reads alike', async () => {
    const at = createSchemeWorld(opaquePop);
    const [alice, bob] = [await loggedIn(at, 'strict'), await loggedIn(at, 'strict', 'default', 'bob')];
    expect(await outcomeOf(at.judge(await signed(at, alice, GET)))).toBe('allow');
    expect(await outcomeOf(at.judge(await signed(at, bob, GET)))).toBe('allow');
  });
});

describe('7. the idle time and the end of a session', () => {
  test('a session used once per tenth of idle lives to its end and not longer', async () => {
    const at = createSchemeWorld(opaquePop);
    const client = await loggedIn(at, 'strict');
    for (let usedMs = 0; usedMs + IDLE_MS / 10 < ABSOLUTE_MS; usedMs += IDLE_MS / 10) {
      expect(await outcomeOf(at.judge(await signed(at, client, GET)))).toBe('allow');
      at.clock.advance(IDLE_MS / 10);
    }
    at.clock.set(START_MS + ABSOLUTE_MS - 1);
    expect(await outcomeOf(at.judge(await signed(at, client, GET)))).toBe('allow');
    at.clock.set(START_MS + ABSOLUTE_MS);
    // Gone from the store at the same instant; were it still there it would be `revoked`.
    expect(['unknown_credential', 'revoked']).toContain(await codeOf(at.judge(await signed(at, client, GET))));
  });

  test('unused for longer than idle it is gone, one that is used at the last moment goes on', async () => {
    const at = createSchemeWorld(opaquePop);
    const [one, two] = [await loggedIn(at, 'strict'), await loggedIn(at, 'strict')];
    at.clock.advance(IDLE_MS - 1);
    expect(await outcomeOf(at.judge(await signed(at, one, GET)))).toBe('allow');
    at.clock.advance(1);
    expect(await codeOf(at.judge(await signed(at, two, GET)))).toBe('unknown_credential');
    at.clock.advance(IDLE_MS - 2);
    expect(await outcomeOf(at.judge(await signed(at, one, GET)))).toBe('allow');
  });

  test('it slides when more than a tenth of idle has passed, by a swap of what was read', async () => {
    const at = createSchemeWorld(opaquePop);
    const client = await loggedIn(at, 'strict');
    const verbs = async () => {
      const proven = await signed(at, client, GET);
      at.store.calls.length = 0;
      await at.judge(proven);
      return at.store.calls.map(({ verb }) => verb).filter((verb) => verb !== 'get');
    };
    await at.judge(await signed(at, client, GET)); // The user is cached from now on.
    at.clock.advance(IDLE_MS / 10);
    expect(await verbs()).toEqual(['claim']);
    at.clock.advance(1);
    expect(await verbs()).toEqual(['claim', 'swap']);
    expect(await verbs()).toEqual(['claim']);
  });

  test('it slides no more often when a tenth of idle is no whole number', async () => {
    const at = createSchemeWorld(opaquePop, { settings: { idle: '60001ms' } });
    const client = await loggedIn(at, 'strict');
    await at.judge(await signed(at, client, GET));
    at.store.calls.length = 0;
    at.clock.advance(6_000);
    await at.judge(await signed(at, client, GET));
    expect(at.store.calls.map(({ verb }) => verb)).not.toContain('swap');
  });

  test('a replay slides nothing', async () => {
    const at = createSchemeWorld(opaquePop);
    const client = await loggedIn(at, 'strict');
    at.clock.advance(2 * MINUTE_MS);
    const proven = await signed(at, client, GET);
    await at.judge(proven);
    at.clock.advance(59_000);
    at.store.calls.length = 0;
    expect(await codeOf(at.judge(proven))).toBe('replayed');
    expect(at.store.calls.map(({ verb }) => verb)).not.toContain('swap');
  });

  test('a session of seed never slides and ends after an hour', async () => {
    const at = createSchemeWorld(opaquePop, { settings: { profiles: ['seed'] } });
    const client = await loggedIn(at, 'seed');
    at.store.calls.length = 0;
    at.clock.advance(59 * MINUTE_MS);
    expect(await outcomeOf(at.judge(await signed(at, client, GET)))).toBe('allow');
    expect(at.store.calls.map(({ verb }) => verb)).not.toContain('swap');
    at.clock.advance(MINUTE_MS);
    expect(await codeOf(at.judge(await signed(at, client, GET)))).toBe('unknown_credential');
  });

  test('a logout racing 64 requests and their slides: the session is gone afterwards', async () => {
    for (let round = 0; round < 8; round += 1) {
      const at = createSchemeWorld(opaquePop);
      const client = await loggedIn(at, 'strict');
      at.clock.advance(2 * MINUTE_MS);
      const proofs = await Promise.all(Array.from({ length: 64 }, () => signed(at, client, GET)));
      const logout = at.post('logout', logoutBody(at.clock.nowMs(), client));
      const outcomes = await Promise.all(
        proofs.map((proof, index) => Promise.resolve(index % (round + 1)).then(() => outcomeOf(at.judge(proof)))),
      );
      await logout;
      expect(new Set(outcomes).size).toBeGreaterThan(0);
      expect(await codeOf(at.judge(await signed(at, client, GET)))).toBe('unknown_credential');
    }
  });

  test('a slide between the read and the deletion of a logout does not bring the session back', async () => {
    const at = createSchemeWorld(opaquePop);
    const client = await loggedIn(at, 'strict');
    at.clock.advance(2 * MINUTE_MS);
    const late = await signed(at, client, GET);
    // The logout ends between the request's claim and its slide.
    const swap = at.store.swap;
    at.store.swap = async (...args) => {
      at.store.swap = swap;
      await at.post('logout', logoutBody(at.clock.nowMs(), client));
      return swap(...args);
    };
    expect(await outcomeOf(at.judge(late))).toBe('allow');
    expect(await codeOf(at.judge(await signed(at, client, GET)))).toBe('unknown_credential');
  });
});

describe('logout', () => {
  const open = async () => {
    const at = createSchemeWorld(opaquePop);
    return { at, client: await loggedIn(at, 'strict') };
  };

  test('the library ends a session; a second logout is signature_invalid', async () => {
    const world = await popWorld();
    await world.register('alice');
    const session = await world.logIn('alice');
    const issuer = { ...world.issuer, nowMs: () => world.clock.nowMs() };
    await logOut(issuer, session);
    expect(await outcomeOf(world.judge(await world.sign(session)))).toBe('unknown_credential');
    expect(await errorCode(logOut(issuer, session))).toBe('signature_invalid');
  });

  test('signature_invalid with a MAC of a request, of another time, nonce or key; the session lives', async () => {
    const { at, client } = await open();
    const body = logoutBody(START_MS, client);
    const wrong = [
      { ...body, ts: START_MS + 1 },
      { ...body, nonce: encodeBase64url(randomBytes(16)) },
      { ...body, mac: encodeBase64url(randomBytes(32)) },
      logoutBody(START_MS, { ...client, key: randomBytes(64) }),
      { ...body, mac: /mac="([^"]*)"/.exec(headerOf(await signed(at, client, GET), 'authorization'))?.[1] ?? '' },
    ];
    for (const one of wrong) expect(await codeOf(at.post('logout', one))).toBe('signature_invalid');
    expect(await codeOf(at.post('logout', logoutBody(START_MS, newClient('strict'))))).toBe('unknown_credential');
    expect(await outcomeOf(at.judge(await signed(at, client, GET)))).toBe('allow');
  });

  test('has the window, the horizon and the nonces of a request', async () => {
    const { at, client } = await open();
    expect(await codeOf(at.post('logout', logoutBody(START_MS - 60_001, client)))).toBe('stale');
    expect(await codeOf(at.post('logout', logoutBody(START_MS + 5_001, client)))).toBe('not_yet_valid');
    at.store.horizon = START_MS - 5_000 + 1;
    expect((await faultOf(at.post('logout', logoutBody(START_MS, client)))).reason).toBe('recovering');
    at.store.horizon = undefined;
    const nonce = randomBytes(16);
    const spent = withNonce(await signed(at, client, GET), nonce, client);
    expect(await outcomeOf(at.judge(spent))).toBe('allow');
    expect(await codeOf(at.post('logout', logoutBody(START_MS, client, nonce)))).toBe('replayed');
    await at.post('logout', logoutBody(START_MS - 60_000, client));
  });

  test('of a tenant ends the session there and nowhere else', async () => {
    const at = createSchemeWorld(opaquePop);
    const client = await loggedIn(at, 'strict', 'acme');
    expect(await codeOf(at.post('logout', logoutBody(START_MS, client)))).toBe('unknown_credential');
    await at.post('logout', { ...logoutBody(START_MS, client), tenant: 'acme' });
    const later = at.judge(await signed(at, client, GET), { policy: { tenant: 'acme' } });
    expect(await codeOf(later)).toBe('unknown_credential');
  });

  test('a session of seed can not be ended by it', async () => {
    const at = createSchemeWorld(opaquePop, { settings: { profiles: ['strict', 'seed'] } });
    const client = await loggedIn(at, 'seed');
    expect(await codeOf(at.post('logout', logoutBody(START_MS, client)))).toBe('unknown_credential');
  });
});

/** The proof made anew with this nonce. */
function withNonce(parts: RequestParts, nonce: Uint8Array, client: Client): RequestParts {
  const tsMs = Number(/ts=([0-9]+)/.exec(headerOf(parts, 'authorization'))?.[1]);
  const message = strictMessage({ sid: client.sid, tsMs, nonce }, parts, sha256(new Uint8Array(0)));
  return withHeader(
    parts,
    'authorization',
    formatStrictProof({ sid: client.sid, tsMs, nonce, mac: hmacSha256(client.key, message) }),
  );
}

describe('11. who reads the store', () => {
  test('learns no session id, no key and no user, and what is sealed moves nowhere', async () => {
    const world = await popWorld();
    await world.register('alice');
    const session = await world.logIn('alice');
    await world.judge(await world.sign(session));
    const written = JSON.stringify(world.store.calls.map(({ key, rest }) => [key, rest]));
    expect(written).not.toContain(session.sid);
    for (const { key } of world.store.calls) expect(key).not.toContain('alice');

    const keyOf = (sid: string) => world.resources.storeKey('s', 'default', 'session', sid);
    const text = (await world.store.get(keyOf(session.sid))) ?? '';
    expect(text).not.toBe('');
    // Moved to another session id: a fault, not a session.
    const other = newClient('strict');
    await world.store.put(keyOf(other.sid), text, MINUTE_MS);
    expect((await faultOf(world.judge(await signed(world, other, GET)))).reason).toBe('sealed');
    // Altered in place, and with the key gone.
    await world.store.put(keyOf(session.sid), altered(text, text.length - 3), MINUTE_MS);
    expect((await faultOf(world.judge(await world.sign(session)))).reason).toBe('sealed');
    await world.store.put(keyOf(session.sid), text, MINUTE_MS);
    const ring = world.ring;
    world.ring = ringWith('wrap', 'opaque-setup');
    expect((await faultOf(world.judge(await world.sign(session)))).reason).toBe('sealed');
    world.ring = ring;
    expect(await outcomeOf(world.judge(await world.sign(session)))).toBe('allow');
  });

  test.each(['strict', 'seed'] as const)(
    '%s: a session without a whole key is a fault sealed, never one whose key everybody has',
    async (profile) => {
      const at = createSchemeWorld(opaquePop, { settings: { profiles: ['strict', 'seed'] } });
      const client = await loggedIn(at, profile);
      for (const key of [new Uint8Array(0), client.key.subarray(1)]) {
        await createSessions(at.resources, IDLE_MS).start('default', client.sid, {
          user: 'alice',
          profile,
          key: new Secret(key),
          epoch: 0,
          atMs: START_MS,
          absUntilMs: START_MS + ABSOLUTE_MS,
        });
        const proof = profile === 'seed' ? await signed(at, { ...client, key }, GET) : await signed(at, client, GET);
        expect((await faultOf(at.judge(proof))).reason).toBe('sealed');
      }
    },
  );

  test('a dump and a recorded login give no MAC that is accepted: without the ring nothing opens', async () => {
    const world = await popWorld();
    await world.register('alice');
    const session = await world.logIn('alice');
    const dump = new Map<string, string>();
    for (const { verb, key, rest } of world.store.calls) {
      const value = verb === 'put' ? rest[0] : verb === 'swap' ? rest[1] : undefined;
      if (typeof value === 'string') dump.set(key, value);
    }
    expect(dump.size).toBeGreaterThan(2);
    // All that lies in the store, and every piece of it of a key's length, tried as the session's key.
    for (const value of dump.values()) {
      const bytes = Buffer.from(value, 'base64url');
      for (const key of [bytes, bytes.subarray(0, 64), bytes.subarray(-64), Buffer.from(value)]) {
        const forged = await signed(world, { profile: 'strict', sid: session.sid, key: new Uint8Array(key) }, GET);
        expect(await codeOf(world.judge(forged))).toBe('signature_invalid');
      }
    }
  });
});

test('a session of one profile is unknown to the other, and its MAC is computed all the same', async () => {
  const at = createSchemeWorld(opaquePop, { settings: { profiles: ['strict', 'seed'] } });
  const seed = await loggedIn(at, 'seed');
  const strict = await loggedIn(at, 'strict');
  expect(await codeOf(at.judge(await signed(at, { ...seed, profile: 'strict' }, GET)))).toBe('unknown_credential');
  expect(await codeOf(at.judge(await signed(at, { ...strict, profile: 'seed' }, GET)))).toBe('unknown_credential');
});

test('a route may take one profile of two: the other is credentials_missing there', async () => {
  const at = createSchemeWorld(opaquePop, { settings: { profiles: ['strict', 'seed'] } });
  const seed = await loggedIn(at, 'seed');
  const strictOnly = { ...(at.settings as object), profiles: ['strict'] };
  const policy = { options: strictOnly };
  expect(await codeOf(at.judge(await signed(at, seed, GET), { policy }))).toBe('credentials_missing');
  expect(at.scheme.challenges(at.policy(policy))).toEqual(['OpaquePoP realm="countersign"']);
});

test('www-authenticate has a line per profile, and the refused one tells the error', async () => {
  const at = createSchemeWorld(opaquePop, { settings: { profiles: ['strict', 'seed'] } });
  const linesOf = async (parts: RequestParts) => {
    const denial = (await rejectionOf(at.judge(parts))) as never;
    return at.scheme.challenges(at.policy({ realm: 'bank' }), { denial, nowMs: START_MS });
  };
  expect(at.scheme.challenges(at.policy({ realm: 'bank' }))).toEqual(['OpaquePoP realm="bank"', 'Bearer realm="bank"']);
  expect(await linesOf(await signed(at, newClient('strict'), GET))).toEqual([
    'OpaquePoP realm="bank", error="signature_invalid"',
    'Bearer realm="bank"',
  ]);
  expect(await linesOf(await signed(at, newClient('seed'), GET))).toEqual([
    'OpaquePoP realm="bank"',
    'Bearer realm="bank", error="invalid_token"',
  ]);
});

test('a session sealed before a rotation of the wrap key serves on', async () => {
  const at = createSchemeWorld(opaquePop);
  const client = await loggedIn(at, 'strict');
  at.ring = [
    ...ringWith('wrap'),
    ...at.ring.map((key) =>
      key.use === 'wrap' ? { ...key, state: 'retired' as const, retireAtMs: START_MS + ABSOLUTE_MS } : key,
    ),
  ];
  expect(await outcomeOf(at.judge(await signed(at, client, GET)))).toBe('allow');
  at.clock.advance(2 * MINUTE_MS); // Slides, and is sealed anew.
  expect(await outcomeOf(at.judge(await signed(at, client, GET)))).toBe('allow');
  at.ring = at.ring.filter(({ use, state }) => use !== 'wrap' || state === 'active');
  expect(await outcomeOf(at.judge(await signed(at, client, GET)))).toBe('allow');
  expect(await codeOf(at.judge(await signed(at, newClient('strict'), GET)))).toBe('unknown_credential');
});

test('a session is never written by put again: a store without it stays without it', async () => {
  const at = createSchemeWorld(opaquePop);
  const sessions = createSessions(at.resources, IDLE_MS);
  const client = await loggedIn(at, 'strict');
  const found = await sessions.find('default', client.sid, 'strict');
  await sessions.end('default', client.sid);
  await sessions.slide('default', client.sid, found, START_MS + 2 * MINUTE_MS);
  expect((await sessions.find('default', client.sid, 'strict')).isKnown).toBe(false);
});

test('the identity names the user, a digest of the session, and the headers that carried the proof', async () => {
  const at = createSchemeWorld(opaquePop, { settings: { profiles: ['strict', 'seed'] } });
  const strict = await loggedIn(at, 'strict');
  const identity = await at.judge(await signed(at, strict, { ...GET, method: 'POST', body: complete('x') }));
  expect(identity).toMatchObject({ subject: 'alice', attributes: { role: 'admin' }, consumed: ['authorization'] });
  expect(identity.keyId).toMatch(/^[A-Za-z0-9_-]{16}$/);
  expect(identity.keyId).not.toBe(strict.sid.slice(0, 16));
  const seed = await at.judge(await signed(at, await loggedIn(at, 'seed'), GET));
  expect(seed.consumed).toEqual(['authorization', 'x-ts', 'x-nonce', 'x-pop']);
});
