/** Login, the nonce chain, rotation and what ends a session (BA-12, 13, 22, 24, 25, and 06 where it concerns them). */
import { describe, expect, test } from '@jest/globals';
import { textDigest } from '../../../../src/crypto/blake3.ts';
import { complete, type RequestParts } from '../../../support/auth-request.ts';
import { codeOf, faultOf, outcomeOf } from '../../../support/refused.ts';
import { createMemoryStore } from '../../../../src/store/memory.ts';
import { createFakeClock } from '../../../support/fake-clock.ts';
import { quietObserver } from '../../../support/quiet-observer.ts';
import { SKEW_MS, type SchemeWorld, START_MS } from '../../../support/scheme-world.ts';
import {
  accessOf,
  admin,
  betterAuthWorld,
  challenge,
  completeMessage,
  completePassphraseMessage,
  type Device,
  endMessage,
  entered,
  envelope,
  loggedIn,
  loggedInByPassphrase,
  newKey,
  nonce,
  passphraseChallenge,
  payloadOf,
  refreshed,
  refreshMessage,
  registered,
  registeredPassphrase,
  rotated,
  rotateMessage,
  send,
  type Session,
  withHeaderProof,
} from './prover.ts';

const REQUEST: RequestParts = {
  method: 'GET',
  scheme: 'https',
  authority: 'api.example.com',
  target: '/reports/7',
  headers: [],
  body: complete(''),
};

const refresh = (world: SchemeWorld, of: Session, current = of.current, next = nonce(), key = newKey()) =>
  send(world, '/refresh', refreshMessage(of, current, next, key));

async function session(world = betterAuthWorld()) {
  const device = await registered(world);
  return { world, device, session: await loggedIn(world, device) };
}

const allOf = (count: number, run: () => Promise<unknown>) =>
  Promise.all(Array.from({ length: count }, () => outcomeOf(run())));

describe('a challenge (BA-12)', () => {
  const completing = (device: Device, challengeNonce: string, key = device.current) =>
    completeMessage(device.deviceId, key, challengeNonce, newKey(), nonce());

  test('opens one session, of 50 copies of one message too', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    const message = completing(device, await challenge(world, device.accountId));
    const outcomes = await allOf(50, () => send(world, '/authenticate/complete', message));
    expect(outcomes.filter((outcome) => outcome === 'allow')).toHaveLength(1);
    expect(outcomes.every((outcome) => ['allow', 'replayed', 'unknown_credential'].includes(outcome))).toBe(true);
    expect(await codeOf(send(world, '/authenticate/complete', message))).toBe('unknown_credential');
  });

  test('is for its account and its kind only', async () => {
    const world = betterAuthWorld();
    const [mine, other] = [await registered(world), await registered(world)];
    const byPassphrase = await registeredPassphrase(world, { kind: 'passphrase', subject: mine.accountId });
    const theirs = await challenge(world, other.accountId);
    expect(await codeOf(send(world, '/authenticate/complete', completing(mine, theirs)))).toBe('unknown_credential');
    const { nonce: forPassphrase } = await passphraseChallenge(world, mine.accountId);
    expect(await codeOf(send(world, '/authenticate/complete', completing(mine, forPassphrase)))).toBe(
      'unknown_credential',
    );
    const forKey = await challenge(world, mine.accountId);
    const message = completePassphraseMessage(byPassphrase.key, forKey, newKey(), nonce());
    expect(await codeOf(send(world, '/authenticate-passphrase/complete', message))).toBe('unknown_credential');
    await send(world, '/authenticate/complete', completing(mine, forKey));
  });

  test('can be answered to its last millisecond and not one later', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    const [first, second] = [await challenge(world, device.accountId), await challenge(world, device.accountId)];
    world.clock.advance(59_999);
    await send(world, '/authenticate/complete', completing(device, first));
    world.clock.advance(2);
    expect(await codeOf(send(world, '/authenticate/complete', completing(device, second)))).toBe('unknown_credential');
  });

  test('from before the horizon is stale, and while no new one could pass it is a fault (BA-31)', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    const message = completing(device, await challenge(world, device.accountId));
    world.clock.advance(10);
    world.store.horizon = world.clock.nowMs();
    expect(await codeOf(send(world, '/authenticate/complete', message))).toBe('stale');
    world.store.horizon = world.clock.nowMs() + 1_500;
    const fault = await faultOf(send(world, '/authenticate/complete', message));
    expect([fault.reason, fault.retryAfterSeconds]).toEqual(['recovering', 2]);
    world.clock.advance(1_500);
    await send(world, '/authenticate/complete', completing(device, await challenge(world, device.accountId)));
  });

  test('is not spent by a message with a wrong signature', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    const given = await challenge(world, device.accountId);
    expect(await codeOf(send(world, '/authenticate/complete', completing(device, given, newKey())))).toBe(
      'signature_invalid',
    );
    await send(world, '/authenticate/complete', completing(device, given));
  });

  test('a refresh key that is a key of the account is malformed (W24)', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    const former = device.current;
    await rotated(world, device);
    for (const key of [former, device.current]) {
      const given = await challenge(world, device.accountId);
      const message = completeMessage(device.deviceId, device.current, given, key, nonce());
      expect(await codeOf(send(world, '/authenticate/complete', message))).toBe('malformed');
    }
  });
});

describe('a session (BA-24)', () => {
  test('gives a hundred tokens in a row, its end unchanged (BA-13)', async () => {
    const { world, session: mine } = await session();
    for (let count = 0; count < 100; count += 1) {
      world.clock.advance(60_000);
      await refreshed(world, mine);
    }
    world.clock.advance(12 * 3_600_000 - 100 * 60_000 - 1);
    await refreshed(world, mine);
    world.clock.advance(1);
    expect(await codeOf(refresh(world, mine))).toBe('unknown_credential');
  });

  test('no token outlives its session', async () => {
    const { world, session: mine } = await session();
    world.clock.advance(12 * 3_600_000 - 90_500);
    const { json } = await refreshed(world, mine);
    const { issuedAt, expiry } = JSON.parse(json) as { issuedAt: string; expiry: string };
    expect(Date.parse(expiry) - Date.parse(issuedAt)).toBe(91_000);
  });

  test('a copy of a message is replayed, alone or 50 at once, and the session lives on', async () => {
    const { world, session: mine } = await session();
    const [next, key] = [nonce(), newKey()];
    const message = refreshMessage(mine, mine.current, next, key);
    const outcomes = await allOf(50, () => send(world, '/refresh', message));
    expect(outcomes.filter((outcome) => outcome === 'allow')).toHaveLength(1);
    expect(new Set(outcomes)).toEqual(new Set(['allow', 'replayed']));
    expect(await codeOf(send(world, '/refresh', message))).toBe('replayed');
    await refresh(world, mine, next);
  });

  test('another message with a spent nonce is a theft: revoked, told, and the session and its tokens end', async () => {
    const told: string[][] = [];
    const { world, session: mine } = await session();
    Object.assign(world.resources, { notice: (event: string, subject: string) => told.push([event, subject]) });
    const spent = mine.current;
    const access = await refreshed(world, mine);
    expect(await codeOf(refresh(world, mine, spent))).toBe('revoked');
    expect(told).toEqual([['session_theft', JSON.parse(access.json).identification.accountId]]);
    expect(await codeOf(refresh(world, mine))).toBe('unknown_credential');
    expect(await codeOf(world.judge(withHeaderProof(world, access, REQUEST)))).toBe('revoked');
  });

  test('a stranger who copied a spent nonce ends nothing', async () => {
    const { world, session: mine } = await session();
    const spent = mine.current;
    await refreshed(world, mine);
    const forged = refreshMessage({ ...mine, refreshKey: newKey() }, spent, nonce(), newKey());
    expect(await codeOf(send(world, '/refresh', forged))).toBe('signature_invalid');
    await refreshed(world, mine);
  });

  test('a nonce that was never committed to is signature_invalid, and the session lives on', async () => {
    const { world, session: mine } = await session();
    expect(await codeOf(refresh(world, mine, nonce()))).toBe('signature_invalid');
    await refreshed(world, mine);
  });

  test('a nonce of nine refreshes ago is no longer told from one that was never committed to', async () => {
    const { world, session: mine } = await session();
    const first = mine.current;
    for (let count = 0; count < 9; count += 1) await refreshed(world, mine);
    expect(await codeOf(refresh(world, mine, first))).toBe('signature_invalid');
    await refreshed(world, mine);
  });

  test('committing to the nonce shown, or to one shown before, is malformed', async () => {
    const { world, session: mine } = await session();
    const spent = mine.current;
    expect(await codeOf(refresh(world, mine, mine.current, mine.current))).toBe('malformed');
    await refreshed(world, mine);
    expect(await codeOf(refresh(world, mine, mine.current, spent))).toBe('malformed');
    await refreshed(world, mine);
  });

  test('the refresh key as access key is malformed', async () => {
    const { world, session: mine } = await session();
    expect(await codeOf(refresh(world, mine, mine.current, nonce(), mine.refreshKey))).toBe('malformed');
  });

  test('of two different messages at once one gets a token, and both together end the session', async () => {
    const { world, session: mine } = await session();
    const outcomes = await Promise.all([outcomeOf(refresh(world, mine)), outcomeOf(refresh(world, mine))]);
    expect(outcomes.toSorted()).toEqual(['allow', 'revoked']);
  });

  test('the access key of the message that lost is free again', async () => {
    const { world, session: mine } = await session();
    const { session: other } = await session(world);
    const keys = [newKey(), newKey()];
    const outcomes = await Promise.all(keys.map((key) => outcomeOf(refresh(world, mine, mine.current, nonce(), key))));
    const [lost, won] = [keys[outcomes.indexOf('revoked')], keys[outcomes.indexOf('allow')]];
    expect(await codeOf(refresh(world, other, other.current, nonce(), won))).toBe('replayed');
    await refresh(world, other, other.current, nonce(), lost);
  });

  test('is over by our own clock too, whatever the store still holds', async () => {
    const storeClock = createFakeClock(START_MS);
    const store = createMemoryStore({
      clock: storeClock,
      skewMs: SKEW_MS,
      maxEntries: 1000,
      fresh: true,
      observer: quietObserver,
    });
    const { world, session: mine } = await session(betterAuthWorld({ store }));
    world.clock.advance(12 * 3_600_000 + 1);
    expect(await codeOf(refresh(world, mine))).toBe('unknown_credential');
    world.clock.advance(-1);
    await refresh(world, mine);
  });

  test('an access key signs for one token while that lives, in any session (BA-25)', async () => {
    const { world, session: mine } = await session();
    const { session: theirs } = await session(world);
    const key = newKey();
    const next = nonce();
    await refresh(world, mine, mine.current, next, key);
    expect(await codeOf(refresh(world, mine, next, nonce(), key))).toBe('replayed');
    expect(await codeOf(refresh(world, theirs, theirs.current, nonce(), key))).toBe('replayed');
    // Neither session moved.
    await refresh(world, mine, next);
    await refresh(world, theirs);
    world.clock.advance(900_000 + SKEW_MS + 1);
    const again = await registered(world).then((device) => loggedIn(world, device));
    await refresh(world, again, again.current, nonce(), key);
  });

  test('attributes are those of now, not of the login (BA-13)', async () => {
    const world = betterAuthWorld({
      settings: { audience: 'https://api.example.com', defaultAttributes: { tier: 'free', aud: 'x' } },
    });
    const { device, session: mine } = await session(world);
    const attributes = async () => JSON.parse((await refreshed(world, mine)).json).attributes as object;
    expect(await attributes()).toEqual({ tier: 'free', aud: 'https://api.example.com' });
    await admin(world, 'v0/attributes', { subject: device.accountId, attributes: { tier: 'gold', aud: 'y' } });
    expect(await attributes()).toEqual({ tier: 'gold', aud: 'https://api.example.com' });
  });

  test('ended by its client, it is over with its tokens, and a copy of the message finds none', async () => {
    const world = betterAuthWorld();
    const access = await entered(world);
    const message = endMessage(access.session);
    expect(payloadOf(await send(world, '/session/end', message)).success).toBe(true);
    expect(await codeOf(world.judge(withHeaderProof(world, access, REQUEST)))).toBe('revoked');
    expect(await codeOf(send(world, '/session/end', message))).toBe('unknown_credential');
    expect(await codeOf(refresh(world, access.session))).toBe('unknown_credential');
  });

  test('is ended by nobody who lacks its key or its nonce', async () => {
    const { world, session: mine } = await session();
    expect(await codeOf(send(world, '/session/end', endMessage({ ...mine, refreshKey: newKey() })))).toBe(
      'signature_invalid',
    );
    expect(await codeOf(send(world, '/session/end', endMessage({ ...mine, current: nonce() })))).toBe(
      'signature_invalid',
    );
    await refreshed(world, mine);
  });
});

describe('rotation (BA-22)', () => {
  test('replaces the key and ends the sessions of the device, not those of others', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    const mine = await loggedIn(world, device);
    const byPassphrase = await registeredPassphrase(world, { kind: 'passphrase', subject: device.accountId });
    const other = await loggedInByPassphrase(world, byPassphrase);
    const former = device.current;
    await rotated(world, device);
    expect(await codeOf(refresh(world, mine))).toBe('revoked');
    await refreshed(world, other);
    expect(await codeOf(loggedIn(world, { ...device, current: former }))).toBe('signature_invalid');
    await loggedIn(world, device);
  });

  test('leaves sessions alone where the settings say so', async () => {
    const world = betterAuthWorld({ settings: { v0: { rotationEndsSessions: false } } });
    const { device, session: mine } = await session(world);
    await rotated(world, device);
    await refreshed(world, mine);
    await admin(world, 'v0/revoke', { subject: device.accountId, device: device.deviceId });
    expect(await codeOf(refresh(world, mine))).toBe('revoked');
  });

  test('the same message again is replayed, of 50 at once one succeeds', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    const message = rotateMessage(device, device.next, newKey());
    const outcomes = await allOf(50, () => send(world, '/rotate/key', message));
    expect(outcomes.filter((outcome) => outcome === 'allow')).toHaveLength(1);
    expect(new Set(outcomes)).toEqual(new Set(['allow', 'replayed']));
  });

  test('by any key but the one committed to is refused, and nothing changes (BA-05)', async () => {
    const world = betterAuthWorld();
    const [device, other] = [await registered(world), await registered(world)];
    const former = device.current;
    await rotated(world, device);
    world.store.calls.length = 0;
    const codes: string[] = [];
    for (const key of [newKey(), device.current, former, other.next, other.current]) {
      codes.push(await codeOf(send(world, '/rotate/key', rotateMessage(device, key, newKey()))));
    }
    expect(codes).toEqual([
      'signature_invalid',
      'replayed',
      'signature_invalid',
      'signature_invalid',
      'signature_invalid',
    ]);
    expect(world.store.calls.every(({ verb }) => verb === 'get')).toBe(true);
    await rotated(world, device);
  });

  test('to a former key, up to fifteen back, or to the key shown is malformed (BA-08)', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    const former = [device.current];
    for (let count = 0; count < 15; count += 1) {
      await rotated(world, device);
      former.push(device.current);
    }
    for (const key of [...former.slice(0, 1), ...former.slice(-2), device.next]) {
      expect(await codeOf(send(world, '/rotate/key', rotateMessage(device, device.next, key)))).toBe('malformed');
    }
    await rotated(world, device);
  });

  test('a digest that differs in letter case only is another one (W23)', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    const shouted = textDigest(device.next.word).toUpperCase();
    const { accountId, deviceId } = device;
    // The commitment is to a digest; the key it names is what must come, whatever the case of something else.
    const message = envelope(
      {
        identification: { accountId, deviceId: deviceId.toLowerCase() },
        authentication: { publicKeys: { current: device.next.word, nextDigest: shouted } },
      },
      device.next,
    );
    expect(['malformed', 'unknown_credential']).toContain(await codeOf(send(world, '/rotate/key', message)));
  });

  test('without a next digest it is the last one', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    await send(world, '/rotate/key', rotateMessage(device, device.next, undefined));
    device.current = device.next;
    expect(await codeOf(send(world, '/rotate/key', rotateMessage(device, newKey(), newKey())))).toBe(
      'unknown_credential',
    );
    await loggedIn(world, device);
  });

  test("the reply is bound when the client asks for it, and is the seed's when not", async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    const message = rotateMessage(device, device.next, newKey());
    const bound = payloadOf(await send(world, '/rotate/key', message, { headers: { 'better-auth-reply': 'bound' } }));
    const signed = JSON.stringify(JSON.parse(message).payload);
    expect(Object.keys(bound)).toEqual(['success', 'publicKeyDigest', 'requestDigest']);
    expect(bound.requestDigest).toBe(textDigest(signed));
    const begin = JSON.stringify({ identification: { accountId: device.accountId } });
    const plain = payloadOf(await send(world, '/authenticate/begin', begin));
    expect(Object.keys(plain)).toEqual(['authentication', 'publicKeyDigest']);
    const spaced = JSON.stringify(JSON.parse(begin), undefined, 2);
    const asked = payloadOf(
      await send(world, '/authenticate/begin', spaced, { headers: { 'better-auth-reply': 'bound' } }),
    );
    expect(asked.requestDigest).toBe(textDigest(begin));
  });
});

describe('all sessions ended by the administrator', () => {
  test('those there are end, new ones are 503 until the clocks have passed, then they work', async () => {
    const { world, device, session: mine } = await session();
    await admin(world, 'v0/revoke', { subject: device.accountId, sessions: true });
    expect(await codeOf(refresh(world, mine))).toBe('revoked');
    const fault = await faultOf(loggedIn(world, device));
    expect([fault.reason, fault.retryAfterSeconds]).toEqual(['recovering', 6]);
    world.clock.advance(SKEW_MS + 1);
    const fresh = await loggedIn(world, device);
    await refreshed(world, fresh);
    expect(accessOf(await refresh(world, fresh), newKey()).token).toMatch(/^0I/);
  });
});
