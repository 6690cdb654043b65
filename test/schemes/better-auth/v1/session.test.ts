/** Challenges, sessions and refreshes of v1 (BA-12, BA-13). */
import { describe, expect, test } from '@jest/globals';
import { textDigest } from '../../../../src/crypto/blake3.ts';
import { outcomeOf } from '../../../support/refused.ts';
import { writesOf } from '../../../support/watched-store.ts';
import { betterAuthWorld, call, newKey } from '../world.ts';
import {
  visit,
  challenge,
  created,
  createSessionMessage,
  keyAt,
  linked,
  loggedIn,
  newSession,
  nonce,
  refresh,
  refreshMessage,
  rotate,
  send,
  tokenOf,
  unlinkMessage,
} from './actor.ts';

describe('challenges (BA-12)', () => {
  test('one answers once', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    const issued = await challenge(world, actor.identity);
    await send(world, '/session/create', createSessionMessage(actor, newSession(), issued));
    const reply = await call(world, '/session/create', createSessionMessage(actor, newSession(), issued));
    expect([reply.status, reply.error]).toEqual([401, 'CS401']);
  });

  test.each([
    [60_000, 200],
    [60_001, 401],
  ])('after %i ms its answer is %i', async (ageMs, status) => {
    const world = betterAuthWorld();
    const actor = await created(world);
    const text = createSessionMessage(actor, newSession(), await challenge(world, actor.identity));
    world.clock.advance(ageMs);
    expect((await call(world, '/session/create', text)).status).toBe(status);
  });

  test('one is for its account only', async () => {
    const world = betterAuthWorld();
    const [actor, other] = [await created(world), await created(world)];
    const text = createSessionMessage(actor, newSession(), await challenge(world, other.identity));
    world.store.calls.length = 0;
    expect((await call(world, '/session/create', text)).code).toBe('signature_invalid');
    expect(writesOf(world.store)).toEqual([]);
  });

  test('one that nobody issued is refused', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    expect((await call(world, '/session/create', createSessionMessage(actor, newSession(), nonce()))).code).toBe(
      'signature_invalid',
    );
  });

  test('one from before the horizon is refused, one from after it is not (BA-31)', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    const issued = await challenge(world, actor.identity);
    world.clock.advance(1);
    world.store.horizon = world.clock.nowMs();
    const reply = await call(world, '/session/create', createSessionMessage(actor, newSession(), issued));
    expect([reply.status, reply.error, reply.code]).toEqual([401, 'CS401', 'stale']);
    await loggedIn(world, actor);
  });

  test('a wrong answer leaves it to its owner', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    const issued = await challenge(world, actor.identity);
    const wrong = createSessionMessage(actor, newSession(), issued, { signer: newKey() });
    expect((await call(world, '/session/create', wrong)).status).toBe(401);
    expect((await call(world, '/session/create', createSessionMessage(actor, newSession(), issued))).status).toBe(200);
  });
});

describe('a session', () => {
  test('is made by the current key of the device, not by one of before, nor by the next', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    await rotate(world, actor);
    for (const at of [0, 2]) {
      const signer = keyAt(actor.keys, at);
      const text = createSessionMessage(actor, newSession(), await challenge(world, actor.identity), { signer });
      expect((await call(world, '/session/create', text)).code).toBe('signature_invalid');
    }
    await loggedIn(world, actor);
  });

  test('may not use a device key, nor commit to the key it shows, nor to one in use: BA104', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    const asked = async (changed: object) => {
      const issued = await challenge(world, actor.identity);
      const request = (given: Record<string, unknown>) => ({
        ...given,
        access: { ...(given['access'] as object), ...changed },
      });
      return call(world, '/session/create', createSessionMessage(actor, newSession(), issued, { request }));
    };
    expect((await asked({ publicKey: keyAt(actor.keys, 0).word })).error).toBe('BA104');
    const session = newSession();
    const { word } = keyAt(session.keys, 0);
    expect((await asked({ publicKey: word, rotationHash: textDigest(word) })).error).toBe('BA104');
    const rotationHash = textDigest(newKey().word);
    expect((await asked({ rotationHash })).status).toBe(200);
    expect((await asked({ rotationHash })).error).toBe('BA104');
  });

  test('survives rotation of its device and the end of another one (BA-18)', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    const second = await linked(world, actor);
    const session = await loggedIn(world, actor);
    await rotate(world, actor);
    await send(world, '/device/unlink', unlinkMessage(actor, second.device));
    expect(await outcomeOf(visit(world, session))).toBe('allow');
    await refresh(world, session);
    expect(await outcomeOf(visit(world, session))).toBe('allow');
  });
});

describe('refreshing (BA-13)', () => {
  test('works once per key', async () => {
    const world = betterAuthWorld();
    const session = await loggedIn(world, await created(world));
    const text = refreshMessage(session);
    await send(world, '/session/refresh', text);
    const again = await call(world, '/session/refresh', text);
    expect([again.status, again.code]).toEqual([401, 'replayed']);
    expect((await call(world, '/session/refresh', refreshMessage(session))).code).toBe('replayed');
  });

  test("a copy stays replayed when a stranger commits his session to the owner's spent key", async () => {
    const world = betterAuthWorld();
    const session = await loggedIn(world, await created(world));
    const text = refreshMessage(session);
    const rotationHash = textDigest(keyAt(session.keys, 1).word);
    const reply = await send(world, '/session/refresh', text);
    await refresh(world, Object.assign(session, { at: 1, token: tokenOf(reply) }));
    const stranger = await created(world);
    const request = (given: Record<string, unknown>) => ({
      ...given,
      access: { ...(given['access'] as object), rotationHash },
    });
    const issued = await challenge(world, stranger.identity);
    await send(world, '/session/create', createSessionMessage(stranger, newSession(), issued, { request }));
    expect((await call(world, '/session/refresh', text)).code).toBe('replayed');
  });

  test.each([
    [12 * 3_600_000, 200, undefined],
    [12 * 3_600_000 + 1, 401, 'BA401'],
  ])('%i ms after the first token, whose own time has passed, its answer is %i', async (ageMs, status, error) => {
    const world = betterAuthWorld();
    const session = await loggedIn(world, await created(world));
    world.clock.advance(ageMs);
    const reply = await call(world, '/session/refresh', refreshMessage(session));
    expect([reply.status, reply.error]).toEqual([status, error]);
  });

  test('does not move the end of the session', async () => {
    const world = betterAuthWorld();
    const session = await loggedIn(world, await created(world));
    for (let hour = 0; hour < 11; hour += 1) {
      world.clock.advance(3_600_000);
      await refresh(world, session);
    }
    expect(await outcomeOf(visit(world, session))).toBe('allow');
    world.clock.advance(3_600_001);
    expect((await call(world, '/session/refresh', refreshMessage(session))).error).toBe('BA401');
  });

  test.each([
    ['the key that the token commits to', 1],
    ['the key of the token', 0],
  ])('refuses with BA104 a commitment to %s', async (_title, at) => {
    const world = betterAuthWorld();
    const session = await loggedIn(world, await created(world));
    const rotationHash = textDigest(keyAt(session.keys, at).word);
    const request = ({ access: asked }: Record<string, unknown>) => ({
      access: { ...(asked as object), rotationHash },
    });
    expect((await call(world, '/session/refresh', refreshMessage(session, { request }))).error).toBe('BA104');
  });

  test('refuses with BA104 whoever has a token but not the key that it commits to', async () => {
    const world = betterAuthWorld();
    const session = await loggedIn(world, await created(world));
    const thief = { ...newSession(), token: session.token };
    const reply = await call(world, '/session/refresh', refreshMessage(thief));
    expect([reply.status, reply.error]).toEqual([400, 'BA104']);
    // The key of the token itself is not that key either.
    const current = { ...session, at: -1 };
    expect((await call(world, '/session/refresh', refreshMessage(current))).error).toBe('BA104');
    await refresh(world, session);
  });

  test('refuses with signature_invalid another signer, and a token that no key of ours signed', async () => {
    const world = betterAuthWorld();
    const session = await loggedIn(world, await created(world));
    const token = session.token;
    session.token = (token.startsWith('0IA') ? '0IB' : '0IA') + token.slice(3);
    expect((await call(world, '/session/refresh', refreshMessage(session))).code).toBe('signature_invalid');
    session.token = token;
    expect((await call(world, '/session/refresh', refreshMessage(session, { signer: newKey() }))).code).toBe(
      'signature_invalid',
    );
    await refresh(world, session);
  });

  test('refuses with BA403 a token from further ahead than a clock may be', async () => {
    const world = betterAuthWorld();
    const session = await loggedIn(world, await created(world));
    world.clock.set(world.clock.nowMs() - 5_001);
    expect((await call(world, '/session/refresh', refreshMessage(session))).error).toBe('BA403');
    world.clock.set(world.clock.nowMs() + 1);
    await refresh(world, session);
  });
});
