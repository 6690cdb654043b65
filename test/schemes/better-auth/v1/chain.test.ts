/** The operations that show a committed key: what they refuse, and what asking again does. */
import { describe, expect, test } from '@jest/globals';
import { StoreFault } from '../../../../src/core/fault.ts';
import { textDigest } from '../../../../src/crypto/blake3.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import { writesOf } from '../../../support/watched-store.ts';
import { betterAuthWorld, call, type Key, newKey } from '../world.ts';
import {
  type Actor,
  chainMessage,
  changeRecoveryMessage,
  type Changes,
  container,
  created,
  createMessage,
  keyAt,
  linked,
  linkMessage,
  loggedIn,
  visit,
  newActor,
  nonce,
  recoverMessage,
  rotate,
  send,
  unlinkMessage,
} from './actor.ts';
import { codeOf, outcomeOf } from '../../../support/refused.ts';

interface Row {
  readonly path: string;
  /** A right message of the operation, but for the changes. */
  text(actor: Actor, second: Actor, changes?: Changes): string;
}

const OPERATIONS: readonly (readonly [string, Row])[] = [
  ['rotate', { path: '/device/rotate', text: (actor, _second, changes) => chainMessage(actor, {}, changes) }],
  [
    'link',
    { path: '/device/link', text: (actor, _second, changes) => linkMessage(actor, newActor(actor.identity), changes) },
  ],
  [
    'unlink',
    { path: '/device/unlink', text: (actor, second, changes) => unlinkMessage(actor, second.device, changes) },
  ],
  [
    'change recovery',
    { path: '/recovery/change', text: (actor, _second, changes) => changeRecoveryMessage(actor, changes) },
  ],
  ['delete', { path: '/account/delete', text: (actor, _second, changes) => chainMessage(actor, {}, changes) }],
];

/** Two devices, the first of which has rotated twice. */
async function enter(): Promise<{
  world: SchemeWorld;
  actor: Actor;
  second: Actor;
  record: () => Promise<string | null>;
}> {
  const world = betterAuthWorld();
  const actor = await created(world);
  const second = await linked(world, actor);
  await rotate(world, actor);
  const key = world.resources.storeKey('r', 'default', 'v1-identity', actor.identity);
  return { world, actor, second, record: () => world.store.get(key) };
}

/** Everything in the message is right for this key, only that the key is not the one committed to. */
function shown(key: Key): Changes {
  return { signer: key, authentication: { publicKey: key.word } };
}

describe.each(OPERATIONS)('%s', (_name, { path, text }) => {
  test.each<readonly [string, (actor: Actor, second: Actor, stranger: Actor) => Key]>([
    ['an unknown key', () => newKey()],
    ['the current key', (actor) => keyAt(actor.keys, actor.at)],
    ['a former key', (actor) => keyAt(actor.keys, actor.at - 1)],
    ['the next key of another device', (_actor, second) => keyAt(second.keys, second.at + 1)],
    ['the next key of another account', (_actor, _second, stranger) => keyAt(stranger.keys, stranger.at + 1)],
  ])(
    'refuses with signature_invalid %s, and the record stays as it is, byte for byte (BA-05)',
    async (_title, pick) => {
      const { world, actor, second, record } = await enter();
      const stranger = await created(world);
      const before = await record();
      world.store.calls.length = 0;
      const reply = await call(world, path, text(actor, second, shown(pick(actor, second, stranger))));
      expect([reply.status, reply.error, reply.code]).toEqual([401, 'CS401', 'signature_invalid']);
      expect(writesOf(world.store)).toEqual([]);
      expect(await record()).toBe(before);
    },
  );

  test('refuses with signature_invalid the right key signed for by another (BA-05)', async () => {
    const { world, actor, second, record } = await enter();
    const before = await record();
    const reply = await call(world, path, text(actor, second, { signer: newKey() }));
    expect([reply.status, reply.code]).toEqual([401, 'signature_invalid']);
    expect(await record()).toBe(before);
  });

  test('refuses with signature_invalid an account, and a device, that do not exist', async () => {
    const { world, actor, second } = await enter();
    for (const authentication of [{ identity: textDigest('nobody') }, { device: textDigest('nothing') }]) {
      const link = path === '/device/link' ? container(newActor(), { authentication }) : undefined;
      const request = (given: Record<string, unknown>) => (link === undefined ? given : { ...given, link });
      const reply = await call(world, path, text(actor, second, { authentication, request }));
      // A container of another device than its formula's says so: it is no secret.
      expect(['signature_invalid', 'malformed']).toContain(reply.code);
      expect(reply.status).not.toBe(200);
    }
  });

  test('refuses with malformed, as BA104, a commitment to the key just shown and to each of 16 keys shown before (BA-08)', async () => {
    const { world, actor, second } = await enter();
    while (actor.at < 16) await rotate(world, actor);
    const next = keyAt(actor.keys, actor.at + 1).word;
    const former = actor.keys.slice(actor.at - 15, actor.at + 1).map(({ word }) => word);
    expect(former).toHaveLength(16);
    for (const word of [next, ...former]) {
      const reply = await call(
        world,
        path,
        text(actor, second, { authentication: { rotationHash: textDigest(word) } }),
      );
      expect([reply.status, reply.error]).toEqual([400, 'BA104']);
    }
    await send(world, path, text(actor, second));
  });

  test('a commitment that differs in case only is no commitment: signature_invalid (BA-08)', async () => {
    const { world, actor, second, record } = await enter();
    const key = world.resources.storeKey('r', 'default', 'v1-identity', actor.identity);
    const held = await record();
    const committed = textDigest(keyAt(actor.keys, actor.at + 1).word);
    const swapped = committed.replaceAll(/[a-z]/gi, (letter) =>
      letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
    );
    await world.store.swap(key, held, held?.replaceAll(committed, swapped) ?? '', Infinity);
    const reply = await call(world, path, text(actor, second));
    expect([reply.status, reply.code]).toEqual([401, 'signature_invalid']);
  });

  test('the same bytes again are refused with replayed, or as unknown when the device is gone (BA-07)', async () => {
    const { world, actor, second, record } = await enter();
    const sent = text(actor, second);
    await send(world, path, sent);
    const after = await record();
    const reply = await call(world, path, sent);
    expect([reply.status, reply.error]).toEqual([401, 'CS401']);
    expect(reply.code).toBe(path === '/account/delete' ? 'signature_invalid' : 'replayed');
    expect(await record()).toBe(after);
  });
});

describe('a lost reply', () => {
  test('the same effect under a fresh nonce succeeds without a write (BA-07)', async () => {
    const { world, actor, second } = await enter();
    const other = newActor(actor.identity);
    const effects: readonly (readonly [string, (changes: Changes) => string])[] = [
      ['/device/rotate', (changes) => chainMessage(actor, {}, changes)],
      ['/device/link', (changes) => linkMessage(actor, other, changes)],
      ['/device/unlink', (changes) => unlinkMessage(actor, second.device, changes)],
      ['/recovery/change', (changes) => changeRecoveryMessage(actor, changes)],
    ];
    for (const [path, text] of effects) {
      await send(world, path, text({}));
      for (let again = 0; again < 3; again += 1) {
        world.store.calls.length = 0;
        const fresh = nonce();
        const reply = await send(world, path, text({ nonce: fresh }));
        expect(reply.text).toContain(`"nonce":"${fresh}"`);
        expect(writesOf(world.store)).toEqual([]);
      }
      actor.at += 1;
    }
  });

  test('creation and recovery may be asked for again too (BA-07)', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    world.store.calls.length = 0;
    await send(world, '/account/create', createMessage(actor));
    const changes = writesOf(world.store).filter(({ answer }) => answer !== false);
    expect(changes).toEqual([]);

    const device = newActor(actor.identity);
    await send(world, '/account/recover', recoverMessage(actor, device));
    world.store.calls.length = 0;
    await send(world, '/account/recover', recoverMessage(actor, device));
    expect(writesOf(world.store)).toEqual([]);
    // Another effect by the same, now replaced, recovery key is none of the device's.
    const reply = await call(world, '/account/recover', recoverMessage(actor, newActor(actor.identity)));
    expect(reply.code).toBe('signature_invalid');
  });

  test('is not granted when what was asked for was undone since: signature_invalid', async () => {
    const { world, actor, second } = await enter();
    const third = newActor(actor.identity);
    await send(world, '/device/link', linkMessage(actor, third));
    await send(world, '/device/unlink', unlinkMessage(second, third.device));
    const reply = await call(world, '/device/link', linkMessage(actor, third));
    expect([reply.status, reply.code]).toEqual([401, 'signature_invalid']);
  });

  test('another effect by the key that was shown is no repetition: signature_invalid', async () => {
    const { world, actor, second } = await enter();
    await send(world, '/device/rotate', chainMessage(actor));
    const reply = await call(world, '/device/unlink', unlinkMessage(actor, second.device));
    expect(reply.code).toBe('signature_invalid');
    const otherNext = { authentication: { rotationHash: textDigest(newKey().word) } };
    expect((await call(world, '/device/rotate', chainMessage(actor, {}, otherNext))).code).toBe('signature_invalid');
  });
});

describe('link', () => {
  test.each<readonly [string, (actor: Actor, fresh: Actor) => unknown, number, string]>([
    [
      'a device that is not its formula',
      (_, fresh) => container(fresh, { authentication: { device: textDigest('x') } }),
      400,
      'BA103',
    ],
    [
      'another identity',
      (_, fresh) => container(fresh, { authentication: { identity: textDigest('x') } }),
      401,
      'BA302',
    ],
    [
      'a commitment to the key just shown',
      (_, fresh) => {
        const rotationHash = textDigest(keyAt(fresh.keys, 0).word);
        const device = textDigest(keyAt(fresh.keys, 0).word, rotationHash);
        return container(fresh, { authentication: { rotationHash, device } });
      },
      400,
      'BA104',
    ],
    [
      'the key of the acting device',
      (actor) => {
        const shownNow = keyAt(actor.keys, actor.at + 1);
        const rotationHash = textDigest(newKey().word);
        const device = textDigest(shownNow.word, rotationHash);
        return container(actor, {
          signer: shownNow,
          authentication: { publicKey: shownNow.word, rotationHash, device },
        });
      },
      400,
      'BA104',
    ],
    ['a signature by another key', (_, fresh) => container(fresh, { signer: newKey() }), 401, 'CS401'],
  ])('refuses a container with %s', async (_title, link, status, error) => {
    const { world, actor, record } = await enter();
    const before = await record();
    const text = chainMessage(actor, { link: link(actor, newActor(actor.identity)) });
    const reply = await call(world, '/device/link', text);
    expect([reply.status, reply.error]).toEqual([status, error]);
    expect(await record()).toBe(before);
  });

  test('refuses with BA104 a device that is known, one that was revoked, and a current key under another device', async () => {
    const { world, actor, second } = await enter();
    expect((await call(world, '/device/link', linkMessage(actor, second))).error).toBe('BA104');

    const current = keyAt(second.keys, second.at);
    const rotationHash = textDigest(newKey().word);
    const twin = { publicKey: current.word, rotationHash, device: textDigest(current.word, rotationHash) };
    const text = chainMessage(actor, { link: container(second, { authentication: twin }) });
    expect((await call(world, '/device/link', text)).error).toBe('BA104');

    await send(world, '/device/unlink', unlinkMessage(actor, second.device));
    actor.at += 1;
    expect((await call(world, '/device/link', linkMessage(actor, second))).error).toBe('BA104');
  });
});

describe('unlink (BA-09)', () => {
  test('refuses with BA103 a device that is not known', async () => {
    const { world, actor, record } = await enter();
    const before = await record();
    const reply = await call(world, '/device/unlink', unlinkMessage(actor, textDigest('nothing')));
    expect([reply.status, reply.error]).toEqual([400, 'BA103']);
    expect(await record()).toBe(before);
  });

  test('a device unlinks itself with H(H(next)), and nothing it signs passes any more', async () => {
    const { world, actor, second } = await enter();
    const session = await loggedIn(world, second);
    const rotationHash = textDigest(textDigest(keyAt(second.keys, second.at + 2).word));
    const sent = unlinkMessage(second, second.device, { authentication: { rotationHash } });
    await send(world, '/device/unlink', sent);
    second.at += 1;
    expect((await call(world, '/device/unlink', sent)).code).toBe('signature_invalid');
    expect((await call(world, '/device/rotate', chainMessage(second))).code).toBe('signature_invalid');
    expect(await codeOf(visit(world, session))).toBe('revoked');
    await rotate(world, actor);
  });

  test('after the last device only the recovery key gets in', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    await send(world, '/device/unlink', unlinkMessage(actor, actor.device));
    actor.at += 1;
    expect((await call(world, '/device/rotate', chainMessage(actor))).code).toBe('signature_invalid');
    const device = newActor(actor.identity);
    await send(world, '/account/recover', recoverMessage(actor, device));
    const session = await loggedIn(world, device);
    expect(await outcomeOf(visit(world, session))).toBe('allow');
  });
});

describe('recovery/change', () => {
  test('refuses with BA104 a device key, the hash committed to, and every recovery hash of before (BA-08)', async () => {
    const { world, actor } = await enter();
    const key = keyAt(actor.keys, actor.at + 1).word;
    const first = textDigest(keyAt(actor.recovery, 0).word);
    const change = (recoveryHash: string) => changeRecoveryMessage(actor, { authentication: { recoveryHash } });
    for (const hash of [textDigest(key), textDigest(keyAt(actor.keys, actor.at + 2).word), first])
      expect((await call(world, '/recovery/change', change(hash))).error).toBe('BA104');

    await send(world, '/recovery/change', changeRecoveryMessage(actor));
    actor.at += 1;
    actor.recoveryAt += 1;
    expect((await call(world, '/recovery/change', change(first))).error).toBe('BA104');
  });

  test('tells of itself: a thief of a device may have asked (W11)', async () => {
    const { world, actor } = await enter();
    const told: unknown[] = [];
    Object.assign(world.resources, { notice: (...args: unknown[]) => told.push(args) });
    await send(world, '/recovery/change', changeRecoveryMessage(actor));
    expect(told).toEqual([['recovery_changed', actor.identity]]);
  });

  test('tells of itself too when the store made the change and did not answer in time', async () => {
    const { world, actor } = await enter();
    const told: unknown[] = [];
    Object.assign(world.resources, { notice: (...args: unknown[]) => told.push(args) });
    const swap = world.store.swap.bind(world.store);
    world.store.swap = async (...args) => {
      world.store.swap = swap;
      await swap(...args);
      throw new StoreFault('timeout', 'no answer');
    };
    expect((await call(world, '/recovery/change', changeRecoveryMessage(actor))).status).toBe(503);
    expect(told).toEqual([['recovery_changed', actor.identity]]);
  });
});

test('a message that names its members in another order, with escapes and blanks, is as good (BA-04)', async () => {
  const { world, actor } = await enter();
  const { word, sign } = keyAt(actor.keys, actor.at + 1);
  const next = textDigest(keyAt(actor.keys, actor.at + 2).word);
  const payload = `{ "request": {"authentication":\t{"rotationHash":"${next}","publicKey":"\\u0031${word.slice(1)}",
    "identity":"${actor.identity}", "device":"${actor.device}"}}, "access":{"nonce":"${nonce()}"} }`;
  await send(world, '/device/rotate', ` {"signature": "${sign(payload)}", "payload" :${payload}}\n`);
});

test('a link container that no re-serialiser reproduces is verified as it was written (BA-04)', async () => {
  const { world, actor } = await enter();
  const fresh = newActor(actor.identity);
  const { payload } = container(fresh) as { payload: { authentication: Record<string, string> } };
  const members = Object.entries(payload.authentication).toReversed();
  const inner = `{ "authentication" : {${members.map(([name, value]) => `"${name}": "${value.replace('E', '\\u0045')}"`).join(' , ')}}}`;
  const link = `{"signature":"${keyAt(fresh.keys, 0).sign(inner)}","payload":${inner}}`;
  const outer = JSON.parse(chainMessage(actor)) as { payload: { request: object; access: object } };
  const request = JSON.stringify(outer.payload.request).replace(/\}$/, `,"link":${link}}`);
  const text = `{"access":${JSON.stringify(outer.payload.access)},"request":${request}}`;
  const signature = keyAt(actor.keys, actor.at + 1).sign(text);
  await send(world, '/device/link', `{"payload":${text},"signature":"${signature}"}`);
});
