/** EU-04, EU-09: From bytes to bytes: nothing but the grant is an allow, whatever throws, hangs or ends early, and nobody waits for ever. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Denial } from '../../src/core/decision.ts';
import { Fault } from '../../src/core/fault.ts';
import type { Scheme } from '../../src/core/scheme.ts';
import type { Store, StoreVerb } from '../../src/core/store.ts';
import { preparedDeny } from '../../src/envoy/answer.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { quietObserver } from '../support/quiet-observer.ts';
import { SKEW_MS, START_MS } from '../support/scheme-world.ts';
import { encodeCheck } from './check-builder.ts';
import { checkOf, createCheckWorld } from './check-world.ts';
import type { CheckWorldOptions } from './check-world.ts';
import { viewOf } from './proxy-view.ts';

/** A promise that somebody else resolves. */
function createGate(): { passed: Promise<void>; open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { passed: promise, open: resolve };
}

/** A memory store whose reads wait at a gate once the test says so. */
function hangingStore() {
  const clock = createFakeClock(START_MS);
  const inner = createMemoryStore({ clock, skewMs: SKEW_MS, maxEntries: 1000, fresh: true, observer: quietObserver });
  const gate = createGate();
  const state = { isHanging: false, claims: 0 };
  const store: Store = {
    ...inner,
    async get(key) {
      if (state.isHanging) await gate.passed;
      return inner.get(key);
    },
    claim(...args) {
      state.claims += 1;
      return inner.claim(...args);
    },
  };
  return { store, state, release: gate.open };
}

const schemeThat = (verify: Scheme['verify']): Scheme => ({
  name: 'test',
  verify,
  endpoints: [],
  challenges: () => ['Test realm="r"'],
  discovery: { profiles: [], parameters: {} },
});

test('a proven request is allowed, once, and its retry again', async () => {
  const world = await createCheckWorld();
  const proven = await world.proven();
  const check = checkOf(proven);
  expect(await world.send(check)).toMatchObject({
    allowed: true,
    set: [['x-auth-subject', 'alice'], ...[[], [], [], []].map(() => expect.anything())],
  });
  expect(await world.send(check)).toMatchObject({ allowed: true });
  expect(await world.send(checkOf(proven))).toMatchObject({
    allowed: false,
    status: 401,
    metadata: { code: 'replayed' },
  });
  expect(world.decisions.map(({ decision }) => decision.outcome)).toEqual(['allow', 'allow', 'deny']);
});

test('a request without a proof is refused with credentials_missing and a line for each scheme', async () => {
  const world = await createCheckWorld();
  expect(await world.send(encodeCheck())).toMatchObject({
    allowed: false,
    status: 401,
    headers: expect.arrayContaining([
      ['www-authenticate', expect.stringMatching(/^ChallengeSignature realm="countersign"/)],
    ]),
    metadata: { code: 'credentials_missing' },
  });
});

describe('nothing but the grant is an allow', () => {
  const GRANT = { subject: 'alice', attributes: {}, consumed: [] };

  test('the grant is one', async () => {
    const world = await createCheckWorld({ scheme: schemeThat(() => GRANT) });
    expect(await world.send(encodeCheck())).toMatchObject({ allowed: true });
  });

  test.each<[what: string, options: CheckWorldOptions]>([
    [
      'a scheme that throws',
      {
        scheme: schemeThat(() => {
          throw new Error('bug');
        }),
      },
    ],
    [
      'a scheme that throws what is no error',
      {
        scheme: schemeThat(() => {
          throw null as unknown as Error;
        }),
      },
    ],
    ['a scheme that rejects', { scheme: schemeThat(() => Promise.reject(new Error('bug'))) }],
    ['a scheme that returns nothing', { scheme: schemeThat(() => undefined as never) }],
    ['a scheme that returns something else', { scheme: schemeThat(() => true as never) }],
    ['a scheme without a subject', { scheme: schemeThat(() => ({ ...GRANT, subject: undefined as never })) }],
    [
      'a scheme whose identity throws when it is read',
      {
        scheme: schemeThat(() => ({
          ...GRANT,
          get subject(): string {
            throw new Error('bug');
          },
        })),
      },
    ],
    ['a scheme that takes the wrong header away', { scheme: schemeThat(() => ({ ...GRANT, consumed: [':path'] })) }],
    [
      'a scheme whose challenges throw',
      {
        scheme: {
          ...schemeThat(() => {
            throw new Denial('stale', '');
          }),
          challenges: () => {
            throw new Error('bug');
          },
        },
      },
    ],
    [
      'a judgement that throws',
      {
        authenticate: () => {
          throw new Error('bug');
        },
      },
    ],
    ['a judgement that rejects', { authenticate: () => Promise.reject(new Error('bug')) }],
    ['a judgement of nothing', { authenticate: () => Promise.resolve(undefined as never) }],
    [
      'an allow without a route',
      {
        authenticate: async () => ({
          decision: { outcome: 'allow', scheme: 'x', identity: GRANT },
          route: undefined,
          checkId: '',
          request: undefined,
        }),
      },
    ],
  ])('%s is a 503', async (_what, options) => {
    const world = await createCheckWorld({
      scheme: schemeThat(() => GRANT),
      settings: { checkBudget: 20 },
      ...options,
    });
    expect(await world.send(encodeCheck())).toMatchObject({ allowed: false, status: 503, grpcCode: 14 });
  });

  test('a reload that broke the settings is a 503', async () => {
    const world = await createCheckWorld({ settings: { faultResponse: 'nonsense' as never } });
    await expect(
      world.handler.handle(encodeCheck(), {
        receivedAtMs: 1,
        totalMs: undefined,
        thisTryMs: undefined,
        cancelled: { aborted: false },
      }),
    ).resolves.toBeDefined();
  });
});

describe('a store that fails', () => {
  const modes = ['throws', 'rejects', 'hangs', 'aborts'] as const;
  const VERBS: readonly StoreVerb[] = ['get', 'put', 'claim', 'take', 'swap', 'delete'];

  /** The memory store, whose nth verb from now goes wrong. */
  function failing() {
    const inner = createMemoryStore({
      clock: createFakeClock(START_MS),
      skewMs: SKEW_MS,
      maxEntries: 1000,
      fresh: true,
      observer: quietObserver,
    });
    const plan = { at: Number.NaN, mode: 'throws' as (typeof modes)[number], calls: 0, cancelled: { aborted: false } };
    const store = new Proxy<Store>(inner, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (!VERBS.includes(name as StoreVerb)) return member;
        return (...args: unknown[]): unknown => {
          plan.calls += 1;
          if (plan.calls === plan.at) {
            if (plan.mode === 'throws') throw new Error('bug');
            if (plan.mode === 'rejects') return Promise.reject(new Error('gone'));
            if (plan.mode === 'hangs') return new Promise(() => undefined);
            plan.cancelled.aborted = true;
          }
          return Reflect.apply(member as () => unknown, target, args);
        };
      },
    });
    return { store, plan };
  }

  test.each(modes)('%s at any of the verbs of a Check: never an allow', async (mode) => {
    const { store, plan } = failing();
    const world = await createCheckWorld({ store, settings: { checkBudget: 30 } });
    const first = checkOf(await world.proven());
    world.scheme.clock.advance(6000); // Out of the directory's cache, so that the Check asks for everything.
    plan.calls = 0;
    expect((await world.send(first)).allowed).toBe(true);
    const verbsOfACheck = plan.calls;
    expect(verbsOfACheck).toBeGreaterThanOrEqual(2);
    const proofs = await Promise.all(Array.from({ length: verbsOfACheck }, () => world.proven()));
    for (const [i, proven] of proofs.entries()) {
      world.scheme.clock.advance(6000);
      const fresh = mode === 'aborts' ? { cancelled: plan.cancelled } : {};
      Object.assign(plan, { at: i + 1, calls: 0, mode, cancelled: Object.assign(plan.cancelled, { aborted: false }) });
      expect((await world.send(checkOf(proven), fresh)).allowed).toBe(false);
    }
  });
});

describe('a Check that takes too long', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  test('is answered with fault deadline when its budget is over, and what completes later neither answers nor claims', async () => {
    const { store, state, release } = hangingStore();
    const world = await createCheckWorld({ store });
    const check = checkOf(await world.proven());
    world.scheme.clock.advance(6000);
    state.isHanging = true;
    const answers: unknown[] = [];
    const sending = world.send(check).then((view) => answers.push(view));
    await jest.advanceTimersByTimeAsync(149);
    expect(answers).toEqual([]);
    await jest.advanceTimersByTimeAsync(1);
    expect(answers).toMatchObject([{ allowed: false, status: 503, metadata: { code: 'deadline' } }]);
    release();
    await jest.advanceTimersByTimeAsync(1000);
    await sending;
    expect(world.decisions).toHaveLength(1);
    expect(state.claims).toBe(0);
    expect(world.handler.inFlight()).toBe(0);
  });

  test.each([
    [undefined, undefined, 150],
    [500, undefined, 150],
    [100, undefined, 70],
    [500, 90, 60],
    [60, 250, 30],
    [30, 30, 10],
    [0, undefined, 10],
  ])('gets, with a total of %s ms and %s ms for this try, %s ms', async (totalMs, thisTryMs, expected) => {
    const budgets: number[] = [];
    const spied = await createCheckWorld({
      authenticate: (_open, { budgetMs }) => {
        budgets.push(budgetMs);
        return Promise.reject(new Error('enough'));
      },
    });
    await spied.send(encodeCheck(), { totalMs, thisTryMs });
    expect(budgets).toEqual([expected]);
  });
});

describe('a Check that is cancelled', () => {
  test('before it is judged claims nothing, and the next one works', async () => {
    const world = await createCheckWorld();
    const proven = await world.proven();
    expect((await world.send(checkOf(proven), { cancelled: { aborted: true } })).allowed).toBe(false);
    expect(world.scheme.store.calls.some(({ verb }) => verb === 'claim')).toBe(false);
    expect((await world.send(checkOf(proven))).allowed).toBe(true);
  });
});

describe('too many Checks', () => {
  test('are faults overload at once, beyond maxInFlight, counted once as shed and once as decisions', async () => {
    const gate = createGate();
    const scheme: Scheme = {
      name: 'slow',
      verify: async () => {
        await gate.passed;
        return { subject: 'alice', attributes: {}, consumed: [] };
      },
      endpoints: [],
      challenges: () => [],
      discovery: { profiles: [], parameters: {} },
    };
    const world = await createCheckWorld({ scheme, maxInFlight: 2 });
    const accepted = [world.send(encodeCheck()), world.send(encodeCheck())];
    expect(await world.send(encodeCheck())).toMatchObject({
      allowed: false,
      status: 503,
      metadata: { code: 'overload' },
    });
    expect(world.events).toEqual(['shed in_flight']);
    expect(world.handler.inFlight()).toBe(2);
    gate.open();
    expect((await Promise.all(accepted)).map(({ allowed }) => allowed)).toEqual([true, true]);
    expect(world.decisions.map(({ decision }) => decision.outcome)).toEqual(['fault', 'allow', 'allow']);
    expect((await world.send(encodeCheck())).allowed).toBe(true);
  });

  test('are turned away while the event loop is late', async () => {
    let isLate = true;
    const world = await createCheckWorld({ mustShed: () => isLate });
    const proven = await world.proven();
    expect(await world.send(checkOf(proven))).toMatchObject({ status: 503, metadata: { code: 'overload' } });
    expect(world.events).toEqual(['shed delay']);
    isLate = false;
    expect((await world.send(checkOf(proven))).allowed).toBe(true);
  });
});

describe('a message that is none', () => {
  test('is answered as what it is, and counted', async () => {
    const world = await createCheckWorld();
    expect(await world.send(new Denial('malformed', 'too long', { oversized: true }))).toMatchObject({
      status: 413,
      grpcCode: 8,
    });
    expect(await world.send(new Fault('overload', 'too much'))).toMatchObject({ status: 503 });
    expect(await world.send(new Uint8Array())).toMatchObject({ status: 503, metadata: { code: 'check_invalid' } });
    expect(await world.send(Uint8Array.of(0xff))).toMatchObject({ status: 503, metadata: { code: 'check_invalid' } });
    expect(world.decisions).toHaveLength(4);
  });

  test('of HEAD has no body, even when the request was refused unread', async () => {
    const world = await createCheckWorld();
    expect(await world.send(encodeCheck({ method: 'HEAD', authority: 'a,b' }))).toMatchObject({
      status: 401,
      body: '',
      metadata: { code: 'malformed' },
    });
  });
});

test('the largest message is the largest body and 256 KiB, at least 512 KiB', async () => {
  expect((await createCheckWorld({ settings: { maxRequestBytes: 1024 * 1024 } })).handler.maxMessageBytes()).toBe(
    1280 * 1024,
  );
  expect((await createCheckWorld({ settings: { maxRequestBytes: 1024 } })).handler.maxMessageBytes()).toBe(512 * 1024);
});

test('the prepared deny is of the configured kind', async () => {
  expect((await createCheckWorld({ settings: { faultResponse: 'error' } })).handler.prepared()).toEqual(
    preparedDeny('error'),
  );
  expect(viewOf((await createCheckWorld()).handler.prepared()).kinds).toEqual(['denied_response']);
});
