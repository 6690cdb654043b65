/** Known and unknown cost the same and are told the same (BA-28), and nothing that a client sends shows up where it should not (BA-34). */
import { describe, expect, test } from '@jest/globals';
import { textDigest } from '../../../../src/crypto/blake3.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import { betterAuthWorld, call, newKey } from '../world.ts';
import {
  type Actor,
  chainMessage,
  challenge,
  changeRecoveryMessage,
  container,
  created,
  createSessionMessage,
  linked,
  newActor,
  newSession,
  nonce,
  recoverMessage,
  requestSessionMessage,
  unlinkMessage,
  linkMessage,
} from './actor.ts';

const NOBODY = textDigest('nobody');

/** What one call does, as far as anyone could see. */
async function watch(world: SchemeWorld, path: string, text: string) {
  world.store.calls.length = 0;
  const before = world.verifications;
  const reply = await call(world, path, text);
  return {
    status: reply.status,
    text: reply.text.replaceAll(/0[AI][A-Za-z0-9_-]{22,}/g, (word) => word.slice(0, 2) + word.length),
    headers: [...reply.headers],
    verbs: world.store.calls.map(({ verb, key }) => `${verb} ${key[0]}`),
    verifications: world.verifications - before,
  };
}

type Messages = (actor: Actor, world: SchemeWorld) => Promise<{ path: string; known: string; unknown: string }>;

const wrongKey = () => {
  const key = newKey();
  return { signer: key, authentication: { publicKey: key.word } };
};
const unknownDevice = () => ({ authentication: { device: NOBODY } });

const ROWS: readonly (readonly [string, Messages])[] = [
  ...(
    [
      ['/device/rotate', (actor: Actor, changes: object) => chainMessage(actor, {}, changes)],
      ['/device/unlink', (actor: Actor, changes: object) => unlinkMessage(actor, actor.device, changes)],
      ['/recovery/change', (actor: Actor, changes: object) => changeRecoveryMessage(actor, changes)],
      ['/account/delete', (actor: Actor, changes: object) => chainMessage(actor, {}, changes)],
    ] as const
  ).flatMap(([path, text]): (readonly [string, Messages])[] => [
    [
      `${path}: account`,
      async (actor) => ({ path, known: text(actor, wrongKey()), unknown: text({ ...actor, identity: NOBODY }, {}) }),
    ],
    [
      `${path}: device`,
      async (actor) => ({ path, known: text(actor, wrongKey()), unknown: text(actor, unknownDevice()) }),
    ],
  ]),
  [
    '/device/link: account',
    async (actor) => {
      const fresh = newActor(NOBODY);
      const unknown = chainMessage({ ...actor, identity: NOBODY }, { link: container(fresh) });
      return { path: '/device/link', known: linkMessage(actor, newActor(actor.identity), wrongKey()), unknown };
    },
  ],
  [
    '/account/recover: account',
    async (actor) => {
      const key = newKey();
      const known = recoverMessage(actor, newActor(), { signer: key, authentication: { recoveryKey: key.word } });
      const unknown = recoverMessage(actor, newActor(), { authentication: { identity: NOBODY } });
      return { path: '/account/recover', known, unknown };
    },
  ],
  [
    '/session/request: account',
    async (actor) => ({
      path: '/session/request',
      known: requestSessionMessage(actor.identity),
      unknown: requestSessionMessage(NOBODY),
    }),
  ],
  [
    '/session/create: account',
    async (actor, world) => ({
      path: '/session/create',
      known: createSessionMessage(actor, newSession(), await challenge(world, actor.identity), { signer: newKey() }),
      unknown: createSessionMessage(actor, newSession(), await challenge(world, NOBODY)),
    }),
  ],
  [
    '/session/create: device',
    async (actor, world) => ({
      path: '/session/create',
      known: createSessionMessage(actor, newSession(), await challenge(world, actor.identity), { signer: newKey() }),
      unknown: createSessionMessage(actor, newSession(), await challenge(world, actor.identity), unknownDevice()),
    }),
  ],
  [
    '/session/create: challenge',
    async (actor, world) => ({
      path: '/session/create',
      known: createSessionMessage(actor, newSession(), await challenge(world, actor.identity), { signer: newKey() }),
      unknown: createSessionMessage(actor, newSession(), nonce()),
    }),
  ],
];

describe('unknown against known (BA-28)', () => {
  test.each(ROWS)(
    '%s: same status, headers, body, store verbs and signature verifications',
    async (_title, messages) => {
      const world = betterAuthWorld();
      const actor = await created(world);
      await linked(world, actor);
      const { path, known, unknown } = await messages(actor, world);
      const seen = await watch(world, path, known);
      expect(await watch(world, path, unknown)).toEqual(seen);
      expect(seen.verbs.length).toBeGreaterThan(0);
    },
  );

  test('a deleted account, one that exists and one that does not create alike', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    const { createMessage } = await import('./actor.ts');
    const existing = await watch(world, '/account/create', createMessage(actor, { nonce: nonce(), signer: newKey() }));
    const fresh = await watch(world, '/account/create', createMessage(newActor(), { signer: newKey() }));
    expect(fresh).toEqual(existing);
  });
});

test('no word of a message is in an error body, in what is counted, noted or named (BA-34)', async () => {
  const world = betterAuthWorld();
  const told: unknown[] = [];
  Object.assign(world.resources, {
    count: (...args: unknown[]) => told.push(args),
    notice: (event: string) => told.push(event),
  });
  const actor = await created(world);
  const session = newSession();
  const messages: readonly (readonly [string, string])[] = [
    ['/device/rotate', chainMessage(actor, {}, wrongKey())],
    ['/device/rotate', chainMessage(actor, {}, { authentication: { rotationHash: 'CANARY' } })],
    ['/device/link', linkMessage(actor, newActor(actor.identity), wrongKey())],
    ['/session/create', createSessionMessage(actor, session, nonce(), { signer: newKey() })],
    ['/recovery/change', changeRecoveryMessage(actor, wrongKey())],
    ['/account/recover', recoverMessage(actor, newActor(), wrongKey())],
    ['/session/request', '{"payload":"CANARY"}'],
  ];
  for (const [path, text] of messages) {
    const reply = await call(world, path, text);
    expect(reply.status).toBeGreaterThanOrEqual(400);
    const words = text.match(/[A-Za-z0-9_-]{16,}/g) ?? [];
    for (const word of [...words, 'CANARY']) expect(reply.text + JSON.stringify(told)).not.toContain(word);
    expect(reply.text).toMatch(/"context":\{\}/);
  }
});

test('the store holds no private key, no token, and no identity in a key', async () => {
  const world = betterAuthWorld();
  const actor = await created(world);
  const session = newSession();
  const issued = await challenge(world, actor.identity);
  const reply = await call(world, '/session/create', createSessionMessage(actor, session, issued));
  const token = /"token":"([^"]+)"/.exec(reply.text)?.[1] ?? '';
  const dump = JSON.stringify(world.store.calls.map(({ key, rest }) => [key, rest]));
  expect(token).not.toBe('');
  expect(dump).not.toContain(token.slice(0, 88));
  for (const { key } of world.store.calls) {
    expect(key).toMatch(/^[cosrhx]:[A-Za-z0-9_-]{43}$/);
    expect(key).not.toContain(actor.identity);
  }
  for (const { privateJwk } of [...actor.keys, ...session.keys]) expect(dump).not.toContain(privateJwk.d);
});
