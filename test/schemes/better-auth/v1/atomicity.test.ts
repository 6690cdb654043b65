/**
 * Nothing is ever half done: of parallel copies one wins, and wherever the store throws, before a verb or after it, the account is as
 * it was or wholly changed, no message passes twice, and the client that asks again as a client does gets what it wanted.
 */
import { describe, expect, test } from '@jest/globals';
import { StoreFault } from '../../../../src/core/fault.ts';
import type { StoreVerb } from '../../../../src/core/store.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import { outcomeOf } from '../../../support/refused.ts';
import { storesUnderTest } from '../../../support/stores.ts';
import { createMemoryStore } from '../../../../src/store/memory.ts';
import { createFakeClock } from '../../../support/fake-clock.ts';
import { quietObserver } from '../../../support/quiet-observer.ts';
import { SKEW_MS } from '../../../support/scheme-world.ts';
import { betterAuthWorld, call, START_MS } from '../world.ts';
import {
  type Actor,
  chainMessage,
  challenge,
  changeRecoveryMessage,
  type Changes,
  created,
  createMessage,
  createSessionMessage,
  linked,
  linkMessage,
  loggedIn,
  newActor,
  newSession,
  recoverMessage,
  refreshMessage,
  rotate,
  type Session,
  tokenOf,
  unlinkMessage,
  visit,
} from './actor.ts';

interface Scene {
  readonly path: string;
  /** The same wish, each time in a new message. */
  text(changes?: Changes): string | Promise<string>;
  /** Of the account that is concerned. */
  readonly identity: string;
  /** Who must be able to go on afterwards, by rotating. */
  readonly after: Actor | undefined;
  readonly session?: Session;
}

const SCENES: readonly (readonly [string, (world: SchemeWorld) => Promise<Scene>])[] = [
  [
    'account/create',
    async () => {
      const actor = newActor();
      return { path: '/account/create', text: (c) => createMessage(actor, c), identity: actor.identity, after: actor };
    },
  ],
  [
    'device/rotate',
    async (world) => {
      const actor = await created(world);
      const text = (c?: Changes) => chainMessage({ ...actor, at: 0 }, {}, c);
      return { path: '/device/rotate', text, identity: actor.identity, after: { ...actor, at: 1 } };
    },
  ],
  [
    'device/link',
    async (world) => {
      const actor = await created(world);
      const other = newActor(actor.identity);
      const text = (c?: Changes) => linkMessage(actor, other, c);
      return { path: '/device/link', text, identity: actor.identity, after: { ...actor, at: 1 } };
    },
  ],
  [
    'device/unlink',
    async (world) => {
      const actor = await created(world);
      const { device } = await linked(world, actor);
      const text = (c?: Changes) => unlinkMessage(actor, device, c);
      return { path: '/device/unlink', text, identity: actor.identity, after: { ...actor, at: 2 } };
    },
  ],
  [
    'recovery/change',
    async (world) => {
      const actor = await created(world);
      const text = (c?: Changes) => changeRecoveryMessage(actor, c);
      return { path: '/recovery/change', text, identity: actor.identity, after: { ...actor, at: 1 } };
    },
  ],
  [
    'account/recover',
    async (world) => {
      const actor = await created(world);
      const device = newActor(actor.identity);
      const text = (c?: Changes) => recoverMessage(actor, device, c);
      return { path: '/account/recover', text, identity: actor.identity, after: device };
    },
  ],
  [
    'account/delete',
    async (world) => {
      const actor = await created(world);
      const text = (c?: Changes) => chainMessage(actor, {}, c);
      return { path: '/account/delete', text, identity: actor.identity, after: undefined };
    },
  ],
  [
    'session/create',
    async (world) => {
      const actor = await created(world);
      const text = async (c?: Changes) =>
        createSessionMessage(actor, newSession(), await challenge(world, actor.identity), c);
      return { path: '/session/create', text, identity: actor.identity, after: actor };
    },
  ],
  [
    'session/refresh',
    async (world) => {
      const actor = await created(world);
      const session = await loggedIn(world, actor);
      const text = (c?: Changes) => refreshMessage(session, c);
      return { path: '/session/refresh', text, identity: actor.identity, after: actor, session };
    },
  ],
];

function recordOf(world: SchemeWorld, identity: string): Promise<string | null> {
  return world.store.get(world.resources.storeKey('r', 'default', 'v1-identity', identity));
}

describe.each(SCENES)('%s', (operation, enter) => {
  test.each(storesUnderTest.map((store) => [store.title, store] as const))(
    'of 50 parallel copies one succeeds, the rest are refused, on %s (BA-06)',
    async (_title, under) => {
      const store = await under.open();
      try {
        const world = betterAuthWorld({
          store,
          clock: { nowMs: () => Date.now(), monotonicMs: () => performance.now() },
        });
        await pastHorizon(world);
        const scene = await enter(world);
        const text = await scene.text();
        const replies = await Promise.all(Array.from({ length: 50 }, () => call(world, scene.path, text)));
        expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
        const codes = new Set(replies.map(({ code }) => code));
        codes.delete(undefined);
        for (const code of codes) expect(['replayed', 'signature_invalid', 'fault busy']).toContain(code);
        expect((await call(world, scene.path, text)).status).toBe(401);
      } finally {
        await store.close();
      }
    },
    20_000,
  );

  test('a store that throws at any one verb, before or after it ran: 503, nothing half done, and asking again succeeds (BA-30)', async () => {
    const verbs = await verbsOf(enter);
    expect(verbs.length).toBeGreaterThan(0);
    for (let at = 0; at < verbs.length; at += 1) {
      for (const when of ['before', 'after'] as const) {
        const world = betterAuthWorld();
        const scene = await enter(world);
        const text = await scene.text();
        const before = await recordOf(world, scene.identity);
        const mend = breakAt(world, at, when);
        const reply = await call(world, scene.path, text);
        mend();
        expect([operation, at, when, reply.status, reply.error]).toEqual([operation, at, when, 503, 'CS503']);

        const record = await recordOf(world, scene.identity);
        const copy = await call(world, scene.path, text);
        // Applied: a copy is refused. Not applied: it is the first.
        const wasApplied = record !== before;
        if (wasApplied) expect([copy.status, copy.error]).toEqual([401, 'CS401']);
        if (operation === 'account/delete' || operation.startsWith('session')) {
          await expectEnd(world, scene, copy.status);
          continue;
        }
        expect((await call(world, scene.path, await scene.text())).status).toBe(200);
        if (scene.after !== undefined) await rotate(world, { ...scene.after });
      }
    }
  });

  test('a process that dies at any one verb leaves a store on which another one goes on (BA-30)', async () => {
    const verbs = await verbsOf(enter);
    for (let at = 0; at < verbs.length; at += 1) {
      const clock = createFakeClock(START_MS);
      const store = createMemoryStore({
        clock,
        skewMs: SKEW_MS,
        maxEntries: 1000,
        fresh: true,
        observer: quietObserver,
      });
      const dying = betterAuthWorld({ store, clock });
      const scene = await enter(dying);
      const text = await scene.text();
      const died = hangAt(dying, at);
      void call(dying, scene.path, text);
      await died;
      const world = betterAuthWorld({ store, clock });
      const repeated = await call(world, scene.path, text);
      if (repeated.status === 200) expect((await call(world, scene.path, text)).status).toBe(401);
      if (operation === 'account/delete' || operation.startsWith('session')) {
        expect((await call(world, '/session/request', requestFor(scene.identity))).status).toBe(200);
        continue;
      }
      expect((await call(world, scene.path, await scene.text())).status).toBe(200);
      if (scene.after !== undefined) await rotate(world, { ...scene.after });
    }
  });
});

/** What a client does where the same effect can't be asked for again. */
async function expectEnd(world: SchemeWorld, scene: Scene, copyStatus: number): Promise<void> {
  if (scene.path === '/account/delete') {
    // Deleted, by this message or the one before: refused for ever, which is what was wanted.
    expect([200, 401]).toContain(copyStatus);
    expect((await call(world, scene.path, await scene.text())).status).toBe(401);
    return;
  }
  if (scene.session !== undefined && copyStatus === 200) expect(scene.after).toBeDefined();
  const actor = scene.after;
  if (actor === undefined) throw new Error('no actor');
  const session = await loggedIn(world, actor);
  expect(await outcomeOf(visit(world, session))).toBe('allow');
}

test('refresh: a spent commitment yields one token or none, never two', async () => {
  for (let at = 0; at < 4; at += 1) {
    const world = betterAuthWorld();
    const session = await loggedIn(world, await created(world));
    const text = refreshMessage(session);
    const mend = breakAt(world, at, 'after');
    const first = await call(world, '/session/refresh', text);
    mend();
    const second = await call(world, '/session/refresh', text);
    const tokens = [first, second].filter(({ status }) => status === 200).map(tokenOf);
    expect(tokens.length).toBeLessThanOrEqual(1);
  }
});

test('a race that is lost three times is a fault, and asking again succeeds', async () => {
  const world = betterAuthWorld();
  const actor = await created(world);
  const { swap } = world.store;
  let lost = 0;
  world.store.swap = async (...args) => {
    lost += 1;
    return lost > 3 && swap(...args);
  };
  const reply = await call(world, '/device/rotate', chainMessage(actor));
  expect([reply.status, reply.code]).toEqual([503, 'fault busy']);
  world.store.swap = swap;
  await rotate(world, actor);
});

async function verbsOf(enter: (world: SchemeWorld) => Promise<Scene>): Promise<readonly StoreVerb[]> {
  const world = betterAuthWorld();
  const scene = await enter(world);
  const text = await scene.text();
  world.store.calls.length = 0;
  expect((await call(world, scene.path, text)).status).toBe(200);
  return world.store.calls.map(({ verb }) => verb);
}

const VERBS = ['get', 'put', 'take', 'swap', 'claim', 'delete'] as const;

/** The verb of this number throws. @returns what mends it. */
function breakAt(world: SchemeWorld, at: number, when: 'before' | 'after'): () => void {
  return wrapVerbs(world, async (count, run) => {
    if (count === at && when === 'before') throw new StoreFault('down', 'no connection');
    const answer = await run();
    if (count === at) throw new StoreFault('timeout', 'no answer');
    return answer;
  });
}

/** The verb of this number runs, and its caller never hears of it. @returns when that has happened. */
function hangAt(world: SchemeWorld, at: number): Promise<void> {
  return new Promise((resolve) => {
    wrapVerbs(world, async (count, run) => {
      const answer = await run();
      if (count !== at) return answer;
      resolve();
      return new Promise(() => {});
    });
  });
}

function wrapVerbs(
  world: SchemeWorld,
  around: (count: number, run: () => Promise<unknown>) => Promise<unknown>,
): () => void {
  const store = world.store as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  const before = VERBS.map((verb) => [verb, store[verb]] as const);
  let count = -1;
  for (const [verb, run] of before) {
    store[verb] = (...args) => {
      count += 1;
      return around(count, () => run!(...args));
    };
  }
  return () => before.forEach(([verb, run]) => void (store[verb] = run!));
}

function requestFor(identity: string): string {
  return JSON.stringify({
    payload: { access: { nonce: '0AAAAAAAAAAAAAAAAAAAAAAA' }, request: { authentication: { identity } } },
  });
}

/** A server that has just started has a horizon, before which no challenge counts. */
async function pastHorizon(world: SchemeWorld): Promise<void> {
  while (world.clock.nowMs() < world.store.horizonMs()) await new Promise((resolve) => setTimeout(resolve, 50));
}
