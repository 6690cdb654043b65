/** The server is absent, killed, hung, away for long: verbs fail at once, nothing is claimed twice, and all is well afterwards. */
import { afterEach, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { StoreFault } from '../../src/core/fault.ts';
import type { Key, Store } from '../../src/core/store.ts';
import { storeKey } from '../../src/crypto/store-key.ts';
import { isLong } from '../support/long.ts';
import { freePort } from '../../scripts/processes.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { redisStoreOn, type StoreOverrides, until, untilServing } from '../support/redis-store.ts';
import { faultOf } from '../support/refused.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

/** As in the defaults: what is tested is how soon a verb fails. */
const DEFAULTS: StoreOverrides = { settings: { commandTimeout: 50, socketTimeout: 500 } };

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function server(): Promise<TestRedis> {
  const redis = await startRedis();
  closers.push(() => redis.stop());
  return redis;
}

function open(url: string, overrides: StoreOverrides = DEFAULTS): Store {
  const store = redisStoreOn(url, overrides);
  closers.push(() => store.close());
  return store;
}

async function proxy(redis: TestRedis): Promise<TcpProxy> {
  const between = await startTcpProxy(redis.port);
  closers.push(() => between.close());
  return between;
}

const key = (id: string | number) => storeKey('c', 'outage', String(id));
const soon = () => Date.now() + 600_000;

interface Load {
  readonly claimed: Set<string>;
  readonly reasons: Map<string, number>;
  /** Slowest call, ms. */
  slowestMs: number;
  stop(): Promise<void>;
}

/** Claims new values all the time, `width` at once. */
function load(store: Store, width = 20): Load {
  const over = new AbortController();
  let count = 0;
  const run: Load = {
    claimed: new Set(),
    reasons: new Map(),
    slowestMs: 0,
    async stop() {
      over.abort();
      await done;
    },
  };
  const one = async () => {
    while (!over.signal.aborted) {
      const id = `load ${(count += 1)}`;
      const startMs = performance.now();
      try {
        if ((await judgedTwice(() => store.claim(key(id), 'first', soon()))) === 'claimed') run.claimed.add(id);
      } catch (thrown) {
        const { reason } = thrown as StoreFault;
        run.reasons.set(reason, (run.reasons.get(reason) ?? 0) + 1);
      }
      run.slowestMs = Math.max(run.slowestMs, performance.now() - startMs);
      await sleep(2);
    }
  };
  const done = Promise.all(Array.from({ length: width }, one));
  return run;
}

test('no server at start: not ready, every verb down; it appears later: ready (SF-01)', async () => {
  const redis = await server();
  await redis.kill();
  const store = open(redis.url);
  expect(store.state()).toBe('down');
  expect((await faultOf(store.claim(key(1), 'me', soon()))).reason).toBe('down');
  await sleep(200);
  expect(store.provenOnce()).toBe(false);
  await redis.restart();
  await untilServing(store);
  expect(store.provenOnce()).toBe(true);
  expect(await store.claim(key(1), 'me', soon())).toBe('claimed');
});

test('kill -9 under load: faults only, at once when the breaker is open, and the proofs spent before are refused after (SF-02)', async () => {
  const redis = await server();
  const store = open(redis.url);
  await untilServing(store);
  const running = load(store);
  await until('some are claimed', () => running.claimed.size > 200);
  await redis.kill();
  await until('the store is down', () => store.state() === 'down');
  const times: number[] = [];
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const startMs = performance.now();
    expect((await faultOf(store.claim(key('while down'), 'me', soon()))).reason).toBe('down');
    times.push(performance.now() - startMs);
  }
  times.sort((a, b) => a - b);
  expect(times[100]).toBeLessThan(5);
  const spentUntilMs = Date.now();
  const spent = running.claimed.size;
  await redis.restart();
  await untilServing(store);
  await until('the load is served again', () => running.claimed.size > spent);
  await running.stop();
  expect([...running.reasons.keys()].every((reason) => ['down', 'horizon_moved', 'timeout'].includes(reason))).toBe(
    true,
  );
  expect(store.horizonMs()).toBeGreaterThan(spentUntilMs);
});

test('SIGSTOP: verbs time out instead of hanging, and what ran late is mine or taken, never claimed twice (SF-03)', async () => {
  const redis = await server();
  const store = open(redis.url);
  await untilServing(store);
  await until('the horizon is reached', () => store.state() === 'ok');
  redis.signal('SIGSTOP');
  const startMs = performance.now();
  const hung = await Promise.allSettled(
    Array.from({ length: 50 }, (_, index) => store.claim(key(`hung ${index}`), 'first', soon())),
  );
  // The limit is 50 ms; the rest is for a machine that has more to do.
  expect(performance.now() - startMs).toBeLessThan(isLong ? 150 : 5_000);
  for (const settled of hung) {
    expect(settled.status).toBe('rejected');
    expect((settled as PromiseRejectedResult).reason).toMatchObject({ reason: 'timeout' });
  }
  expect((await faultOf(store.claim(key('open'), 'me', soon()))).reason).toBe('down');
  await sleep(isLong ? 10_000 : 1_000);
  redis.signal('SIGCONT');
  await untilServing(store);
  // Twice, since a ramp follows: until each has been answered.
  for (let index = 0; index < 50; index += 1) {
    const answers = [
      await answered(store, key(`hung ${index}`), 'first'),
      await answered(store, key(`hung ${index}`), 'second'),
    ];
    expect(answers[0]).toMatch(/^(claimed|mine)$/);
    expect(answers[1]).toBe('taken');
  }
});

test('a server away for long: at most twice the usual connections when it returns, and full service (SF-16)', async () => {
  const redis = await server();
  const between = await proxy(redis);
  const store = open(between.url);
  await untilServing(store);
  const running = load(store, 4);
  const usual = between.open();
  await redis.kill();
  await sleep(isLong ? 60_000 : 3_000);
  const dialsMs = isLong ? 60_000 : 3_000;
  // One second at most between two dials, half of it at least when the wait is longest.
  expect(between.accepted()).toBeLessThan(10 + dialsMs / 400);
  await redis.restart();
  await untilServing(store);
  expect(between.open()).toBeLessThanOrEqual(2 * usual);
  running.reasons.clear();
  const before = running.claimed.size;
  await until('full service', () => running.claimed.size > before + 500, 5_000);
  await running.stop();
});

test('dials do not end the process, whatever the address does', async () => {
  const store = open(`redis://127.0.0.1:${await freePort()}`);
  await sleep(500);
  expect(store.state()).toBe('down');
});

test('a half-open connection is given up after the socket timeout, and service goes on over a new one', async () => {
  const redis = await server();
  const between = await proxy(redis);
  const store = open(between.url);
  await untilServing(store);
  between.faults.isHalfOpen = true;
  expect((await faultOf(store.claim(key('half'), 'first', soon()))).reason).toBe('timeout');
  const dialled = between.accepted();
  await until('it dials anew', () => between.accepted() > dialled);
  between.faults.isHalfOpen = false;
  await untilServing(store);
  expect(await answered(store, key('half'), 'second')).toBe('taken');
});

test('bytes one by one are answers all the same; cut off in the middle they are faults, never answers (SF-04)', async () => {
  const redis = await server();
  const between = await proxy(redis);
  const store = open(between.url, { settings: { commandTimeout: 1_000 } });
  await untilServing(store);
  between.faults.dribbles = true;
  for (let index = 0; index < 20; index += 1) {
    expect(await answered(store, key(`dribble ${index}`), 'a')).toBe('claimed');
    expect(await answered(store, key(`dribble ${index}`), 'b')).toBe('taken');
  }
  between.faults.dribbles = false;
  for (let bytes = 1; bytes <= 24; bytes += 1) {
    await untilServing(store);
    const id = key(`broken ${bytes}`);
    const armed = store.claim(id, 'first', soon());
    between.faults.breaksOffAfterBytes = bytes;
    const first = await armed.catch((thrown: unknown) => (thrown as StoreFault).reason);
    delete between.faults.breaksOffAfterBytes;
    await until('the store serves', () => store.state() === 'ok' || store.state() === 'recovering');
    const second = await answered(store, id, 'second');
    // Whoever has not been told "claimed" may have spent it; whoever has been, has.
    expect(['claimed', 'down', 'protocol']).toContain(first);
    if (first === 'claimed') expect(second).toBe('taken');
    expect(['claimed', 'taken']).toContain(second);
  }
});

test.each([20, 100, 200])('answers delayed by %i ms: right or a timeout, nothing else (SF-04)', async (delayMs) => {
  const redis = await server();
  const between = await proxy(redis);
  const store = open(between.url, { settings: { commandTimeout: 60, socketTimeout: 500 } });
  await untilServing(store);
  between.faults.delayMs = delayMs;
  const id = key(`slow ${delayMs}`);
  const first = await store.claim(id, 'first', soon()).catch((thrown: unknown) => (thrown as StoreFault).reason);
  expect(['claimed', 'timeout', 'down']).toContain(first);
  delete between.faults.delayMs;
  await untilServing(store);
  expect(await answered(store, id, 'second')).toBe('taken');
});

test('CLIENT PAUSE: timeouts, then the late ones have run once (SF-04)', async () => {
  const redis = await server();
  const store = open(redis.url);
  await untilServing(store);
  await redis.admin.client('PAUSE', 300, 'ALL');
  const paused = await Promise.allSettled([1, 2, 3].map((n) => store.claim(key(`paused ${n}`), 'first', soon())));
  expect(paused.every((settled) => settled.status === 'rejected')).toBe(true);
  await sleep(400);
  await untilServing(store);
  for (const n of [1, 2, 3]) expect(await answered(store, key(`paused ${n}`), 'second')).toBe('taken');
});

/** Once more after `horizon_moved`, as every Check is. */
async function judgedTwice<Result>(judge: () => Promise<Result>): Promise<Result> {
  try {
    return await judge();
  } catch (thrown) {
    if ((thrown as StoreFault).reason !== 'horizon_moved') throw thrown;
    return judge();
  }
}

/** The verdict, faults of the recovery set aside. */
async function answered(store: Store, id: Key, owner: string): Promise<string> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    try {
      return await store.claim(id, owner, soon());
    } catch (thrown) {
      if (!(thrown instanceof StoreFault)) throw thrown;
      await sleep(10);
    }
  }
  throw new Error('no verdict');
}
