/**
 * The store that replicas share: Redis or Valkey. Put together here from its parts: the connection (`redis-link.ts`), deadlines and
 * breaker (`redis-commands.ts`), fence and horizon (`redis-fence.ts`), waiting for replicas (`redis-durable.ts`), and the watch that
 * decides whether the server may be asked at all (`redis-watch.ts`).
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { StoreFault } from '../core/fault.ts';
import type { ClaimResult, Key, Store, StoreObserver } from '../core/store.ts';
import { requireOwner, requireTime, requireTtl, requireValue } from './arguments.ts';
import { createBreaker } from './breaker.ts';
import { createDeadline } from './deadline.ts';
import { createHealth } from './health.ts';
import { createMarks } from './marks.ts';
import { observed } from './observed.ts';
import { createCommands, type Commands } from './redis-commands.ts';
import { createDurableWrites } from './redis-durable.ts';
import { createFence, type Evaluator, type Fence } from './redis-fence.ts';
import { createRedisClusterLink } from './redis-cluster-link.ts';
import { createRedisLink, type Arguments } from './redis-link.ts';
import type { ReadSecret } from './redis-options.ts';
import { CLAIM, SWAP, TAKE, type Script } from './redis-scripts.ts';
import { durableReplicasOf, lanesOf, type RedisSettings } from './redis-settings.ts';
import { createWatch, WATCH_INTERVALS, type Watch, type WatchIntervals } from './redis-watch.ts';
import { createRejudge } from './rejudge.ts';
import { createStoreClock } from './store-clock.ts';

export interface RedisStoreOptions {
  readonly settings: RedisSettings;
  readonly skewMs: number;
  /** `clock.maxStoreOffset`. */
  readonly maxStoreOffsetMs: number;
  readonly clock: Clock;
  readonly readSecret: ReadSecret;
  readonly observer: StoreObserver;
  /** Tests look more often. */
  readonly intervals?: WatchIntervals;
}

/** Dials at once and for as long as it lives; until the self-test has passed every verb throws. */
export function createRedisStore(options: RedisStoreOptions): Store {
  const { settings, skewMs, clock, observer } = options;
  const monotonicMs = () => clock.monotonicMs();
  const lanes = lanesOf(settings);
  const durableReplicas = durableReplicasOf(settings);
  const rejudge = createRejudge(monotonicMs);
  let watch: Watch | undefined;
  const marks = createMarks(lanes, (horizonMs, raised) => {
    observer.horizon(horizonMs, raised);
    if (!raised) return;
    rejudge.horizonRose();
    // The other lanes of a new process have new marks too: raised together, the horizon moves once.
    if (lanes > 1) watch?.lookNow();
  });
  const storeClock = createStoreClock(lanes, options.maxStoreOffsetMs, skewMs);
  const breaker = createBreaker(monotonicMs, (isOpen) => observer.breaker(isOpen));
  const health = createHealth({ clock, observer, breaker, storeClock, marks });
  // In a Cluster one verb may take several commands: redirects multiply.
  const verbTimeoutMs = settings.commandTimeout + (settings.mode === 'cluster' ? 10 : 0);
  const deadline = createDeadline(verbTimeoutMs, monotonicMs);

  const { readSecret } = options;
  const createLink = settings.mode === 'cluster' ? createRedisClusterLink : createRedisLink;
  const link = createLink({
    settings,
    socketTimeoutMs: settings.socketTimeout,
    readSecret,
    events: {
      up: () => watch?.up(),
      down: (fault) => watch?.down(fault),
      count: (connections) => observer.connections('request', connections),
    },
  });
  const commands = createCommands({ link, deadline, breaker, onFault: (fault) => watch?.doubt(fault) });
  const fence = createFence({
    commands,
    marks,
    storeClock,
    clock,
    skewMs,
    keyPrefix: settings.keyPrefix,
    lanes,
    onClock: () => watch?.lookNow(),
  });

  // WAIT blocks the connection it runs on; without replicas there is nothing to wait for.
  const durableLink =
    durableReplicas === 0
      ? undefined
      : createLink({
          settings,
          socketTimeoutMs: settings.socketTimeout + settings.durable.timeout,
          readSecret,
          events: { up() {}, down() {}, count: (connections) => observer.connections('durable', connections) },
        });
  const durableDeadline = createDeadline(verbTimeoutMs + settings.durable.timeout, monotonicMs);
  const durable =
    durableLink === undefined
      ? undefined
      : createDurableWrites({
          link: durableLink,
          deadline: durableDeadline,
          replicas: durableReplicas,
          timeoutMs: settings.durable.timeout,
          onFault: () => health.tell(),
        });

  watch = createWatch({
    link,
    commands,
    fence,
    marks,
    storeClock,
    breaker,
    health,
    observer,
    lanes,
    durableReplicas,
    intervals: options.intervals ?? WATCH_INTERVALS,
    monotonicMs,
    verbCycle: () =>
      verbCycle(commands, fence, `${settings.keyPrefix}{0}:probe:${randomUUID()}`, clock.nowMs() + 2 * skewMs),
  });

  let isClosed = false;
  const begin = () => {
    if (isClosed) throw new StoreFault('down', 'the store is closed');
    const standing = health.standing();
    if (standing !== 'ok') throw new StoreFault(standing, 'the server has not proven itself');
    if (!breaker.admits()) throw new StoreFault('down', 'the server did not answer; it is being probed');
  };
  /** One fenced script; a caller that judged by an older horizon is refused once. */
  const fenced = async (call: string, script: Script, key: Key, args: Arguments, via?: Evaluator) => {
    begin();
    if (storeClock.state() !== 'good')
      throw new StoreFault('clock', 'the clock of the server is not yet trusted again');
    if (rejudge.mustJudgeAgain(call)) throw new StoreFault('horizon_moved', 'the horizon rose during the judgement');
    try {
      return await fence.run(script, laneOf(key), nameOf(key), args, via);
    } catch (thrown) {
      if (thrown instanceof StoreFault && thrown.reason === 'horizon_moved') rejudge.wasTold(call);
      throw thrown;
    }
  };
  const laneOf = (key: Key) => key.firstByte % lanes;
  const nameOf = (key: Key) => `${settings.keyPrefix}{${laneOf(key)}}:${key.text}`;
  const writer = (isDurable: boolean) => (isDurable ? durable : undefined);

  const verbs = observed(
    {
      async get(key) {
        begin();
        return textOrNull(await commands.call('get', [nameOf(key)]));
      },
      async put(key, value, ttlMs) {
        requireValue(value);
        requireTtl(ttlMs);
        begin();
        const expiry = ttlMs === Number.POSITIVE_INFINITY ? [] : ['PX', ttlMs];
        const reply = await (writer(key.durable) ?? commands).call('set', [nameOf(key), value, ...expiry]);
        if (reply !== 'OK') throw new StoreFault('protocol', 'SET was answered by something else than OK');
      },
      async claim(key, owner, expiresAtMs) {
        requireOwner(owner);
        requireTime(expiresAtMs);
        const [name] = await fenced(`${key.text} ${owner}`, CLAIM, key, [owner, expiresAtMs]);
        if (name !== 'claimed' && name !== 'mine' && name !== 'taken')
          throw new StoreFault('protocol', 'a claim was answered by something else');
        return name satisfies ClaimResult;
      },
      async take(key) {
        const [name, , value] = await fenced(key.text, TAKE, key, []);
        if (name !== 'value') throw new StoreFault('protocol', 'a take was answered by something else');
        return textOrNull(value ?? null);
      },
      async swap(key, expected, next, ttlMs) {
        if (expected !== null) requireValue(expected);
        requireValue(next);
        requireTtl(ttlMs);
        const ttl = ttlMs === Number.POSITIVE_INFINITY ? '0' : String(ttlMs);
        const args = [expected === null ? '0' : '1', expected ?? '', next, ttl];
        const [name] = await fenced(`${key.text} ${next}`, SWAP, key, args, writer(key.durable));
        if (name !== 'swapped' && name !== 'differs')
          throw new StoreFault('protocol', 'a swap was answered by something else');
        return name === 'swapped';
      },
      async delete(key) {
        begin();
        const reply = await (writer(key.durable || key.class === 's') ?? commands).call('del', [nameOf(key)]);
        if (reply !== 0 && reply !== 1)
          throw new StoreFault('protocol', 'DEL was answered by something else than 0 or 1');
      },
    },
    observer,
    clock,
  );

  health.tell();
  link.open();
  durableLink?.open();
  return {
    ...verbs,
    // As long as no server was asked: nothing made before now passes.
    horizonMs: () => marks.horizonMs() ?? clock.nowMs() + skewMs,
    state: () => (isClosed ? 'down' : health.state()),
    provenOnce: () => health.provenOnce(),
    async close() {
      if (isClosed) return;
      isClosed = true;
      watch.stop();
      await Promise.all([deadline.drained(), durableDeadline.drained()]);
      await Promise.all([link.close(), durableLink?.close()]);
    },
  };
}

/** Part of the self-test: one value is given once, and every command of the verbs is allowed. @throws {StoreFault} */
async function verbCycle(commands: Commands, fence: Fence, key: string, expiresAtMs: number): Promise<void> {
  const name = async (script: Script, args: Arguments) => (await fence.run(script, 0, key, args))[0];
  expect('claim', (await name(CLAIM, ['a', expiresAtMs])) === 'claimed');
  expect('the same claim', (await name(CLAIM, ['a', expiresAtMs])) === 'mine');
  expect('a rival claim', (await name(CLAIM, ['b', expiresAtMs])) === 'taken');
  expect('get', (await commands.call('get', [key])) === 'a');
  expect('swap', (await name(SWAP, ['1', 'a', 'b', '10000'])) === 'swapped');
  expect('take', (await fence.run(TAKE, 0, key, []))[2] === 'b');
  expect('put', (await commands.call('set', [key, 'c', 'PX', 10_000])) === 'OK');
  expect('delete', (await commands.call('del', [key])) === 1);
}

function expect(step: string, isAsExpected: boolean): void {
  if (!isAsExpected) throw new StoreFault('unsafe', `the self-test failed at ${step}`);
}

function textOrNull(reply: unknown): string | null {
  if (reply === null || typeof reply === 'string') return reply;
  throw new StoreFault('protocol', 'a read was answered by something else than text');
}
