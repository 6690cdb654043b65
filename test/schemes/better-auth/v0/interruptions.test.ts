/** A store or key ring that throws at any single call of any operation: the client's next attempt succeeds, nothing is half done (BA-30). */
import { describe, expect, test } from '@jest/globals';
import { StoreFault } from '../../../../src/core/fault.ts';
import {
  type ClientSession,
  loginV0Passphrase,
  memoryState,
  registerV0Passphrase,
  type V0Device,
  v0Device,
} from '../../../../src/client/index.ts';
import type { StoreVerb } from '../../../../src/core/store.ts';
import { complete, type RequestParts } from '../../../support/auth-request.ts';
import { outcomeOf } from '../../../support/refused.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import { channelTo, signedBy } from './channel.ts';
import { admin, betterAuthWorld } from './prover.ts';

const REQUEST: RequestParts = {
  method: 'GET',
  scheme: 'https',
  authority: 'api.example.com',
  target: '/reports/7',
  headers: [],
  body: complete(''),
};

const SETTINGS = { v0: { passphraseParameters: '$argon2id$v=19$m=19456,t=2,p=1$' } };
/** In place of Argon2: what is tested is the server. */
const deriving = { derive: async () => new Uint8Array(32).fill(7) };

interface Actor {
  readonly world: SchemeWorld;
  readonly device: V0Device;
  readonly channel: ReturnType<typeof channelTo>;
  session?: ClientSession;
}

async function actor(): Promise<Actor> {
  const world = betterAuthWorld({ settings: SETTINGS });
  const channel = channelTo(world);
  return { world, channel, device: v0Device({ channel, state: memoryState() }) };
}

const material = async (world: SchemeWorld, order: object) =>
  String((await admin(world, 'v0/registrations', order))['material']);

async function registeredActor(): Promise<Actor> {
  const mine = await actor();
  await mine.device.register(await material(mine.world, { kind: 'key' }));
  return mine;
}

interface Action {
  prepare(): Promise<Actor & { readonly subject?: string; readonly given?: string }>;
  attempt(mine: Actor & { readonly subject?: string; readonly given?: string }): Promise<unknown>;
  /** What a client does that got no answer. */
  again(mine: Actor & { readonly subject?: string; readonly given?: string }): Promise<unknown>;
  readonly works: (mine: Actor) => Promise<unknown>;
}

const passes = async ({ world, device, session }: Actor) =>
  expect(await outcomeOf(world.judge(await signedBy(world, (session ?? device).signer, REQUEST)))).toBe('allow');

const isRefused = (thrown: unknown) => (thrown as { code?: string }).code === 'signature_invalid';

const ACTIONS: Readonly<Record<string, Action>> = {
  'registering a device': {
    async prepare() {
      const mine = await actor();
      const { subject, material: given } = await admin(mine.world, 'v0/registrations', { kind: 'key' });
      return { ...mine, subject: String(subject), given: String(given) };
    },
    attempt: ({ device, given = '' }) => device.register(given),
    async again({ world, device, given = '', subject }) {
      if ((await device.account()) !== undefined) return;
      await device.register(given).catch(async (thrown: unknown) => {
        if (!isRefused(thrown)) throw thrown;
        await device.register(await material(world, { kind: 'key', subject }));
      });
    },
    works: passes,
  },
  'registering a passphrase': {
    async prepare() {
      const mine = await actor();
      const { subject, material: given } = await admin(mine.world, 'v0/registrations', { kind: 'passphrase' });
      return { ...mine, subject: String(subject), given: String(given) };
    },
    attempt: ({ channel, given = '' }) => registerV0Passphrase({ channel }, given, 'x', deriving),
    async again({ channel, given = '' }) {
      // Already there: the same passphrase is the same key.
      await registerV0Passphrase({ channel }, given, 'x', deriving).catch((thrown: unknown) => {
        if (!isRefused(thrown)) throw thrown;
      });
    },
    async works(mine) {
      const { subject: accountId = '' } = mine as { subject?: string };
      const state = memoryState();
      mine.session = await loginV0Passphrase(
        { channel: mine.channel, state },
        { accountId, passphrase: 'x' },
        deriving,
      );
      await passes(mine);
    },
  },
  'login and refresh': {
    prepare: registeredActor,
    attempt: ({ world, device }) => signedBy(world, device.signer, REQUEST),
    again: async () => undefined,
    works: passes,
  },
  'refresh alone': {
    async prepare() {
      const mine = await registeredActor();
      await signedBy(mine.world, mine.device.signer, REQUEST);
      mine.world.clock.advance(15 * 60_000);
      return mine;
    },
    attempt: ({ world, device }) => signedBy(world, device.signer, REQUEST),
    again: async () => undefined,
    async works(mine) {
      await passes(mine);
      // No theft was seen.
      expect(mine.channel.sent.filter((line) => line.startsWith('/authenticate/complete'))).toHaveLength(1);
    },
  },
  rotation: {
    async prepare() {
      const mine = await registeredActor();
      await signedBy(mine.world, mine.device.signer, REQUEST);
      return mine;
    },
    attempt: ({ device }) => device.rotate(),
    again: ({ device }) => device.rotate(),
    works: passes,
  },
  'a request for registration': {
    prepare: registeredActor,
    attempt: ({ device }) => device.requestRegistration('key'),
    async again({ channel, device }) {
      const second = v0Device({ channel, state: memoryState() });
      await second.register(await device.requestRegistration('key'));
    },
    works: passes,
  },
  'the end of a session': {
    async prepare() {
      const mine = await registeredActor();
      await signedBy(mine.world, mine.device.signer, REQUEST);
      return mine;
    },
    attempt: ({ device }) => device.end(),
    again: ({ device }) => device.end(),
    works: passes,
  },
};

const VERBS: readonly StoreVerb[] = ['get', 'put', 'take', 'swap', 'delete'];

/** The call of this number runs, and its answer is lost. */
function loseAnswer(world: SchemeWorld, number: number): () => boolean {
  const { store } = world;
  let calls = 0;
  for (const verb of VERBS) {
    const run = store[verb];
    store[verb] = ((...args: unknown[]) => {
      calls += 1;
      const isLost = calls === number;
      const answered = Reflect.apply(run, store, args) as Promise<unknown>;
      return isLost
        ? answered.then(() => {
            throw new StoreFault(verb === 'swap' ? 'not_replicated' : 'timeout', 'no answer');
          })
        : answered;
    }) as never;
  }
  return () => calls >= number;
}

async function devicesOf({ world, device }: Actor): Promise<number> {
  const account = await device.account();
  if (account === undefined) return 0;
  return ((await admin(world, 'v0/lookup', { subject: account.accountId }))['devices'] as unknown[]).length;
}

describe.each(Object.entries(ACTIONS))('%s', (what, action) => {
  test('a throw at any call into the surroundings: the next attempt succeeds', async () => {
    let isOver = false;
    let step = 0;
    while (!isOver) {
      step += 1;
      const mine = await action.prepare();
      mine.world.failAtStep = mine.world.steps + step;
      await action.attempt(mine).catch(() => undefined);
      isOver = mine.world.steps < mine.world.failAtStep;
      mine.world.failAtStep = undefined;
      await action.again(mine);
      await action.works(mine);
    }
    expect(step).toBeGreaterThan(4);
  }, 60_000);

  test('a call of the store that ran and was not answered: the next attempt succeeds', async () => {
    for (let number = 1; ; number += 1) {
      const mine = await action.prepare();
      const wasReached = loseAnswer(mine.world, number);
      await action.attempt(mine).catch(() => undefined);
      if (!wasReached()) break;
      await action.again(mine);
      await action.works(mine);
      if (what === 'registering a device') expect(await devicesOf(mine)).toBeLessThanOrEqual(2);
    }
  }, 60_000);
});
