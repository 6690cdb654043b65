/** Accounts of v1 from their first message to their last: creation, recovery, deletion, and what the administrator may do. */
import { describe, expect, test } from '@jest/globals';
import { textDigest } from '../../../../src/crypto/blake3.ts';
import { encode } from '../../../../src/encoding/cesr.ts';
import { randomBytes } from '../../../../src/crypto/random.ts';
import { codeOf, outcomeOf } from '../../../support/refused.ts';
import { writesOf } from '../../../support/watched-store.ts';
import { admin, betterAuthWorld, call, newKey } from '../world.ts';
import {
  visit,
  chainMessage,
  challenge,
  changeRecoveryMessage,
  created,
  createMessage,
  createSessionMessage,
  keyAt,
  linked,
  linkMessage,
  loggedIn,
  newActor,
  newSession,
  recoverMessage,
  refresh,
  refreshMessage,
  rotate,
  send,
} from './actor.ts';

describe('creation', () => {
  test.each<readonly [string, object, string]>([
    ['another identity', { identity: textDigest('x') }, 'BA102'],
    ['another device', { device: textDigest('x') }, 'BA103'],
  ])('refuses with malformed %s than its formula', async (_title, authentication, error) => {
    const world = betterAuthWorld();
    const reply = await call(world, '/account/create', createMessage(newActor(), { authentication }));
    expect([reply.status, reply.error]).toEqual([400, error]);
    expect(world.store.calls).toEqual([]);
  });

  test('refuses with BA104 a commitment to the key just shown, and a device key for recovery (BA-08)', async () => {
    const world = betterAuthWorld();
    const actor = newActor();
    const [first, second] = [keyAt(actor.keys, 0).word, keyAt(actor.keys, 1).word];
    const asked = (rotationHash: string, recoveryHash: string) => {
      const device = textDigest(first, rotationHash);
      const identity = textDigest(first, rotationHash, recoveryHash);
      return createMessage(actor, { authentication: { device, identity, rotationHash, recoveryHash } });
    };
    const recoveryHash = textDigest(keyAt(actor.recovery, 0).word);
    for (const text of [
      asked(textDigest(first), recoveryHash),
      asked(textDigest(second), textDigest(first)),
      asked(textDigest(second), textDigest(second)),
    ])
      expect((await call(world, '/account/create', text)).error).toBe('BA104');
    expect(world.store.calls).toEqual([]);
  });

  test('refuses with signature_invalid another signer, before anything is looked up', async () => {
    const world = betterAuthWorld();
    const reply = await call(world, '/account/create', createMessage(newActor(), { signer: newKey() }));
    expect([reply.status, reply.error]).toEqual([401, 'CS401']);
    expect(world.store.calls).toEqual([]);
  });

  test('an account that never made a session is gone after its time; one that did is not', async () => {
    const world = betterAuthWorld({ settings: { v1: { unusedAccountLifetime: '1h' }, refreshLifetime: '12h' } });
    const [unused, used] = [await created(world), await created(world)];
    await loggedIn(world, used);
    world.clock.advance(1_800_000);
    await rotate(world, unused); // Does not begin the hour anew.
    world.clock.advance(1_800_000);
    expect((await call(world, '/device/rotate', chainMessage(unused))).code).toBe('signature_invalid');
    world.clock.advance(365 * 86_400_000);
    await rotate(world, used);
  });

  test('with registration: closed nobody creates, and nothing is looked at', async () => {
    const world = betterAuthWorld({ settings: { v1: { registration: 'closed' } } });
    const reply = await call(world, '/account/create', createMessage(newActor()));
    expect([reply.status, reply.error]).toEqual([403, 'CS403']);
    expect(world.store.calls).toEqual([]);
  });

  describe('with registration: token', () => {
    const settings = { v1: { registration: 'token' } };
    const invite = async (world: ReturnType<typeof betterAuthWorld>, scheme = 'better-auth') => {
      const order = { scheme, user: null, replace: false, ttlMs: 60_000 };
      const { token } = await world.resources.invitations.issue('default', order);
      return { headers: { 'countersign-registration': token } };
    };

    test('an invitation makes one account, of 20 that use it at once', async () => {
      const world = betterAuthWorld({ settings });
      const invited = await invite(world);
      const replies = await Promise.all(
        Array.from({ length: 20 }, () => call(world, '/account/create', createMessage(newActor()), invited)),
      );
      expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200, 401]));
    });

    test('a wrong message does not spend it', async () => {
      const world = betterAuthWorld({ settings });
      const invited = await invite(world);
      const actor = newActor();
      expect((await call(world, '/account/create', createMessage(actor, { signer: newKey() }), invited)).status).toBe(
        401,
      );
      await send(world, '/account/create', createMessage(actor), invited);
    });

    test('without one, with one of another scheme, or one that has expired: signature_invalid', async () => {
      const world = betterAuthWorld({ settings });
      const other = await invite(world, 'opaque-pop');
      const expired = await invite(world);
      world.clock.advance(60_001);
      for (const options of [{}, other, expired, { headers: { 'countersign-registration': 'x' } }]) {
        const reply = await call(world, '/account/create', createMessage(newActor()), options);
        expect([reply.status, reply.code]).toEqual([401, 'signature_invalid']);
      }
    });

    test('whose reply was lost may ask again with the invitation that is spent', async () => {
      const world = betterAuthWorld({ settings });
      const invited = await invite(world);
      const actor = newActor();
      await send(world, '/account/create', createMessage(actor), invited);
      await send(world, '/account/create', createMessage(actor), invited);
      expect((await call(world, '/account/create', createMessage(newActor()), invited)).status).toBe(401);
    });
  });
});

describe('recovery (BA-10)', () => {
  test('ends every other device at once: rotate, session, refresh, access', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    const second = await linked(world, actor);
    const sessions = [await loggedIn(world, actor), await loggedIn(world, second)];
    const device = newActor(actor.identity);
    await send(world, '/account/recover', recoverMessage(actor, device));

    for (const [at, gone] of [actor, second].entries()) {
      const session = sessions[at]!;
      expect((await call(world, '/device/rotate', chainMessage(gone))).code).toBe('signature_invalid');
      const answered = createSessionMessage(gone, newSession(), await challenge(world, actor.identity));
      expect((await call(world, '/session/create', answered)).code).toBe('signature_invalid');
      expect((await call(world, '/session/refresh', refreshMessage(session))).code).toBe('revoked');
      expect(await codeOf(visit(world, session))).toBe('revoked');
    }
    expect(await outcomeOf(visit(world, await loggedIn(world, device)))).toBe('allow');
    await rotate(world, device);
  });

  test('refuses with signature_invalid another key, another account, and a device key', async () => {
    const world = betterAuthWorld();
    const [actor, other] = [await created(world), await created(world)];
    const device = newActor(actor.identity);
    const key = newKey();
    const wrong = [
      recoverMessage(actor, device, { signer: key, authentication: { recoveryKey: key.word } }),
      recoverMessage(actor, device, { signer: key }),
      recoverMessage(other, device, { authentication: { identity: actor.identity } }),
      recoverMessage(actor, device, { authentication: { identity: textDigest('nobody') } }),
      recoverMessage(actor, device, {
        signer: keyAt(actor.keys, 1),
        authentication: { recoveryKey: keyAt(actor.keys, 1).word },
      }),
    ];
    for (const text of wrong) {
      world.store.calls.length = 0;
      const reply = await call(world, '/account/recover', text);
      expect([reply.status, reply.error]).toEqual([401, 'CS401']);
      expect(writesOf(world.store)).toEqual([]);
    }
    await rotate(world, actor);
  });

  test('refuses with BA103 and BA104 what a new device and recovery key may not be (BA-08)', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    const device = newActor(actor.identity);
    const recoveryKey = keyAt(actor.recovery, 0);
    const first = keyAt(device.keys, 0).word;
    const rotationHash = textDigest(first);
    const twin = textDigest(recoveryKey.word, textDigest(keyAt(device.keys, 1).word));
    const wrong: readonly (readonly [object, string])[] = [
      [{ device: textDigest('x') }, 'BA103'],
      [{ rotationHash, device: textDigest(first, rotationHash) }, 'BA104'],
      [{ publicKey: recoveryKey.word, device: twin }, 'BA104'],
      [{ recoveryHash: textDigest(recoveryKey.word) }, 'BA104'],
      [{ recoveryHash: textDigest(first) }, 'BA104'],
      [{ recoveryHash: textDigest(keyAt(device.keys, 1).word) }, 'BA104'],
    ];
    for (const [authentication, error] of wrong)
      expect((await call(world, '/account/recover', recoverMessage(actor, device, { authentication }))).error).toBe(
        error,
      );
    await send(world, '/account/recover', recoverMessage(actor, device));
  });

  test('refuses with BA104 a device that is known or was revoked, and a recovery hash of before', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    expect((await call(world, '/account/recover', recoverMessage(actor, actor))).error).toBe('BA104');
    const device = newActor(actor.identity);
    await send(world, '/account/recover', recoverMessage(actor, device));
    const former = textDigest(keyAt(actor.recovery, 0).word);
    actor.recoveryAt += 1;
    expect((await call(world, '/account/recover', recoverMessage(actor, actor))).error).toBe('BA104');
    const back = recoverMessage(actor, newActor(actor.identity), { authentication: { recoveryHash: former } });
    expect((await call(world, '/account/recover', back)).error).toBe('BA104');
  });

  test('the replaced recovery key is refused', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    await send(world, '/recovery/change', changeRecoveryMessage(actor));
    const device = newActor(actor.identity);
    const text = recoverMessage(actor, device, { authentication: { recoveryHash: textDigest(newKey().word) } });
    expect((await call(world, '/account/recover', text)).code).toBe('signature_invalid');
    actor.recoveryAt += 1;
    await send(world, '/account/recover', recoverMessage(actor, device));
  });

  test.each([
    [0, 200],
    [1, 401],
  ])('within recoveryGrace it is taken, %i ms later: %i', async (lateMs, status) => {
    const world = betterAuthWorld({ settings: { v1: { recoveryGrace: '7d' } } });
    const actor = await created(world);
    await send(world, '/recovery/change', changeRecoveryMessage(actor));
    world.clock.advance(7 * 86_400_000 + lateMs);
    const changed = { authentication: { recoveryHash: textDigest(newKey().word) } };
    const text = recoverMessage(actor, newActor(actor.identity), changed);
    expect((await call(world, '/account/recover', text)).status).toBe(status);
  });
});

test('a deleted account never rises again, also after a restart on the same store (BA-11)', async () => {
  const first = betterAuthWorld();
  const actor = await created(first);
  const session = await loggedIn(first, actor);
  const before = await challenge(first, actor.identity);
  await send(first, '/account/delete', chainMessage(actor));
  actor.at += 1;
  for (const world of [first, betterAuthWorld({ store: first.store, clock: first.clock })]) {
    const refused: readonly (readonly [string, string])[] = [
      ['/account/create', createMessage(actor)],
      ['/account/recover', recoverMessage(actor, newActor(actor.identity))],
      ['/device/link', linkMessage(actor, newActor(actor.identity))],
      ['/device/rotate', chainMessage(actor)],
      ['/session/create', createSessionMessage(actor, newSession(), before)],
      ['/session/create', createSessionMessage(actor, newSession(), await challenge(world, actor.identity))],
      ['/session/refresh', refreshMessage(session)],
    ];
    for (const [path, text] of refused) expect([path, (await call(world, path, text)).status]).toEqual([path, 401]);
    expect(await codeOf(visit(world, session))).toBe('revoked');
  }
  first.clock.advance(100 * 365 * 86_400_000);
  expect((await call(first, '/account/create', createMessage(actor))).status).toBe(401);
});

describe('the administrator', () => {
  const enter = async (settings: object = {}) => {
    const world = betterAuthWorld({ settings });
    const actor = await created(world);
    const second = await linked(world, actor);
    return { world, actor, second };
  };

  test('takes back a device, by either call: the next access is revoked, the other device goes on (BA-18)', async () => {
    for (const path of ['better-auth/v1/revoke', 'credentials/better-auth/revoke']) {
      const { world, actor, second } = await enter();
      const [mine, its] = [await loggedIn(world, actor), await loggedIn(world, second)];
      expect(await outcomeOf(visit(world, its))).toBe('allow');
      const member = path.startsWith('credentials') ? 'keyId' : 'device';
      expect((await admin(world, path, { subject: actor.identity, [member]: second.device })).status).toBe(200);
      expect(await codeOf(visit(world, its))).toBe('revoked');
      expect(await outcomeOf(visit(world, mine))).toBe('allow');
      expect((await call(world, '/session/refresh', refreshMessage(its))).code).toBe('revoked');
    }
  });

  test('ends all sessions: tokens and refreshes of before are revoked, new sessions wait as long as a clock may be ahead (BA-18)', async () => {
    const { world, actor } = await enter();
    const session = await loggedIn(world, actor);
    await admin(world, 'better-auth/v1/revoke', { subject: actor.identity, sessions: true });
    expect(await codeOf(visit(world, session))).toBe('revoked');
    expect((await call(world, '/session/refresh', refreshMessage(session))).code).toBe('revoked');

    const early = createSessionMessage(actor, newSession(), await challenge(world, actor.identity));
    const reply = await call(world, '/session/create', early);
    expect([reply.status, reply.error, reply.code]).toEqual([503, 'CS503', 'fault recovering']);
    world.clock.advance(5_001);
    // The challenge was not spent.
    expect((await call(world, '/session/create', early)).status).toBe(200);
    expect(await outcomeOf(visit(world, await loggedIn(world, actor)))).toBe('allow');
    expect(await codeOf(visit(world, session))).toBe('revoked');
  });

  test('deletes an account (BA-18)', async () => {
    const { world, actor } = await enter();
    const session = await loggedIn(world, actor);
    await admin(world, 'better-auth/v1/revoke', { subject: actor.identity, account: true });
    expect(await codeOf(visit(world, session))).toBe('revoked');
    expect((await admin(world, 'better-auth/v1/lookup', { subject: actor.identity })).json).toEqual({
      subject: actor.identity,
      state: 'deleted',
      deletedAtMs: world.clock.nowMs(),
    });
  });

  test('sets attributes, which the next token has; what is no plain JSON is malformed', async () => {
    const { world, actor } = await enter({ defaultAttributes: { plan: 'free', beta: true } });
    const session = await loggedIn(world, actor);
    const set = { plan: 'paid', roles: ['reader'], limits: { daily: 5 } };
    expect((await admin(world, 'better-auth/v1/attributes', { subject: actor.identity, attributes: set })).status).toBe(
      200,
    );
    expect((await visit(world, session)).attributes).toMatchObject({ plan: 'free' });
    await refresh(world, session);
    expect((await visit(world, session)).attributes).toEqual({
      ...set,
      beta: true,
      aud: 'https://api.example.com',
      auth: expect.any(Object),
    });

    const wrong = [{ auth: {} }, { 1: 'x' }, { a: 'é' }, { a: '<b>' }, { a: 1.5 }, { a: 'x'.repeat(4096) }, 5, [1], []];
    for (const attributes of [...wrong, nested(8)])
      expect((await admin(world, 'better-auth/v1/attributes', { subject: actor.identity, attributes })).status).toBe(
        400,
      );
    expect(
      (await admin(world, 'better-auth/v1/attributes', { subject: actor.identity, attributes: nested(7) })).status,
    ).toBe(200);
  });

  test('is told 400 when attributes and defaults together have no room in a token', async () => {
    const { world, actor } = await enter({ defaultAttributes: { text: 'x'.repeat(3000) } });
    const set = (length: number) =>
      admin(world, 'better-auth/v1/attributes', { subject: actor.identity, attributes: { more: 'y'.repeat(length) } });
    expect((await set(900)).status).toBe(200);
    expect((await set(1100)).status).toBe(400);
  });

  test('looks up states and times, no digest and no key', async () => {
    const { world, actor, second } = await enter();
    const { text, json } = await admin(world, 'better-auth/v1/lookup', { subject: actor.identity });
    expect(json).toMatchObject({
      subject: actor.identity,
      state: 'active',
      unused: true,
      devices: [{ device: actor.device }, { device: second.device }],
    });
    for (const { keys } of [actor, second])
      for (const { word } of keys.slice(0, 4))
        for (const secret of [word, textDigest(word)]) expect(text).not.toContain(secret);
    expect(text).not.toContain(textDigest(keyAt(actor.recovery, 0).word));
  });

  test('is told 404 of what is not there', async () => {
    const { world, actor } = await enter();
    const nobody = encode('E', randomBytes(32));
    for (const [path, body] of [
      ['revoke', { subject: nobody, account: true }],
      ['revoke', { subject: actor.identity, device: nobody }],
      ['attributes', { subject: nobody, attributes: {} }],
      ['lookup', { subject: nobody }],
    ] as const)
      expect((await admin(world, `better-auth/v1/${path}`, body)).status).toBe(404);
    expect(
      (await admin(world, 'credentials/better-auth/revoke', { subject: actor.identity, keyId: nobody })).status,
    ).toBe(404);
    expect(
      (await admin(world, 'credentials/better-auth/revoke', { subject: actor.identity, keyId: 'passphrase' })).status,
    ).toBe(404);
  });

  test.each([{}, { device: textDigest('x'), account: true }, { sessions: false }, { account: 'yes' }])(
    'must say one thing to take back: %j is malformed',
    async (what) => {
      const { world, actor } = await enter();
      expect((await admin(world, 'better-auth/v1/revoke', { subject: actor.identity, ...what })).status).toBe(400);
    },
  );
});

function nested(depth: number): object {
  return depth === 0 ? {} : { a: nested(depth - 1) };
}
