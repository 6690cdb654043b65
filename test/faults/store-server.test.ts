/** What an operator or a server can do to a running store: fill it, change its policy, its users, its certificate, its role. */
import { afterEach, expect, test } from '@jest/globals';
import { inspect } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/core/clock.ts';
import type { StoreFault } from '../../src/core/fault.ts';
import type { Store } from '../../src/core/store.ts';
import { storeKey } from '../../src/crypto/store-key.ts';
import { WATCH_INTERVALS } from '../../src/store/redis-watch.ts';
import { SERVER_ACL } from '../support/acl.ts';
import { isLong } from '../support/long.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { redisStoreOn, SKEW_MS, type StoreOverrides, until, untilServing } from '../support/redis-store.ts';
import { faultOf } from '../support/refused.ts';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function server(args?: readonly string[]): Promise<TestRedis> {
  const redis = await startRedis(args);
  closers.push(() => redis.stop());
  return redis;
}

async function open(redis: TestRedis, overrides?: StoreOverrides): Promise<Store> {
  const store = redisStoreOn(redis.url, overrides);
  closers.push(() => store.close());
  await untilServing(store);
  return store;
}

const key = (id: string | number) => storeKey('c', 'server', String(id));
const soon = () => Date.now() + 600_000;
const OFTEN = { ...WATCH_INTERVALS, pulseMs: 50, inspectMs: 200 };

test('maxmemory reached: full, reads and spent proofs go on, no claim is lost, and it recovers (SF-06)', async () => {
  const redis = await server();
  const store = await open(redis);
  const spent: string[] = [];
  for (let index = 0; index < 200; index += 1) {
    expect(await store.claim(key(index), 'first', soon())).toBe('claimed');
    spent.push(String(index));
  }
  await redis.admin.config('SET', 'maxmemory', '1');
  expect((await faultOf(store.claim(key('one too many'), 'me', soon()))).reason).toBe('full');
  expect((await faultOf(store.put(key('p'), 'x', 1_000))).reason).toBe('full');
  expect(store.state()).toMatch(/^(ok|recovering)$/);
  expect(await store.get(key('none'))).toBeNull();
  await redis.admin.config('SET', 'maxmemory', '0');
  expect(await store.claim(key('one too many'), 'me', soon())).toBe('claimed');
  for (const id of spent) expect(await store.claim(key(id), 'second', soon())).toBe('taken');
});

test('a policy that evicts, set at run time: unsafe, and safe again when it is put right (SF-07)', async () => {
  const redis = await server();
  const store = await open(redis, isLong ? {} : { intervals: OFTEN });
  await redis.admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
  await until('the policy is seen', () => store.state() === 'unsafe', 61_000);
  expect((await faultOf(store.claim(key(1), 'me', soon()))).reason).toBe('unsafe');
  expect((await faultOf(store.get(key(1)))).reason).toBe('unsafe');
  await redis.admin.config('SET', 'maxmemory-policy', 'noeviction');
  await untilServing(store);
  expect(await store.claim(key(1), 'me', soon())).toBe('claimed');
}, 90_000);

test('SCRIPT FLUSH in a loop under load: no fault at all (SF-08)', async () => {
  const redis = await server();
  const store = await open(redis);
  const over = new AbortController();
  const flushing = (async () => {
    while (!over.signal.aborted) await redis.admin.script('FLUSH');
  })();
  const verdicts = await Promise.all(
    Array.from({ length: 16 }, async (_, worker) => {
      const seen = new Set<string>();
      for (let index = 0; index < (isLong ? 5_000 : 200); index += 1) {
        seen.add(await store.claim(key(`${worker} ${index}`), 'me', soon()));
        expect(
          await store.swap(key(`s ${worker}`), index === 0 ? null : String(index - 1), String(index), 60_000),
        ).toBe(true);
      }
      return seen;
    }),
  );
  over.abort();
  await flushing;
  for (const seen of verdicts) expect([...seen]).toStrictEqual(['claimed']);
});

test('too few replicas: fenced, and the state stays; enough again: claimed (SF-14)', async () => {
  const redis = await server();
  const store = await open(redis);
  await redis.admin.config('SET', 'min-replicas-to-write', '1');
  expect((await faultOf(store.claim(key(1), 'me', soon()))).reason).toBe('fenced');
  expect(store.state()).toMatch(/^(ok|recovering)$/);
  await redis.admin.config('SET', 'min-replicas-to-write', '0');
  expect(await store.claim(key(1), 'me', soon())).toBe('claimed');
});

test('a primary that becomes a replica: readonly, then not ready; a primary again: serving, with a raised horizon never lowered (SF-14)', async () => {
  const [redis, other] = [await server(), await server()];
  const store = await open(redis);
  const before = store.horizonMs();
  await redis.admin.replicaof('127.0.0.1', String(other.port));
  const reasons = new Set<string>();
  await until('it is noticed', () => {
    void store.claim(key(Math.random()), 'me', soon()).catch((thrown: StoreFault) => reasons.add(thrown.reason));
    return store.state() === 'down';
  });
  expect([...reasons].every((reason) => ['readonly', 'down', 'loading', 'horizon_moved'].includes(reason))).toBe(true);
  await redis.admin.replicaof('NO', 'ONE');
  await untilServing(store);
  expect(store.horizonMs()).toBeGreaterThanOrEqual(before);
});

test('a durable write without a replica: not_replicated; with one it is repeated and succeeds; claims never wait (SF-19)', async () => {
  const [redis, replica] = [await server(), await server()];
  await redis.admin.config('SET', 'repl-diskless-sync-delay', '0');
  const store = await open(redis, { settings: { commandTimeout: 200, durable: { replicas: 1, timeout: 2_500 } } });
  const record = storeKey('r', 'server', 'account');
  const chain = { ...storeKey('h', 'server', 'chain'), durable: true };
  const session = storeKey('s', 'server', 'session');
  await sleep(100);
  expect((await faultOf(store.swap(record, null, 'v1', 60_000))).reason).toBe('not_replicated');
  expect((await faultOf(store.put(storeKey('x', 'server', 'mark'), '1', 60_000))).reason).toBe('not_replicated');
  expect((await faultOf(store.delete(session))).reason).toBe('not_replicated');
  expect(await store.claim(key(1), 'me', soon())).toBe('claimed');
  await store.put(session, 'x', 60_000);
  // The write may exist: nothing else than what it wrote, and a swap that finds another value waits for nobody.
  expect(await store.get(record)).toBe('v1');
  expect(await store.swap(record, 'other', 'v2', 60_000)).toBe(false);

  await replica.admin.replicaof('127.0.0.1', String(redis.port));
  // What a repetition by the caller is: until the replica has what was written before.
  for (let attempt = 0; ; attempt += 1) {
    if (attempt > 100) throw new Error('the replica acknowledged nothing');
    try {
      await store.put(storeKey('x', 'server', 'mark'), '1', 60_000);
      break;
    } catch (thrown) {
      expect((thrown as StoreFault).reason).toBe('not_replicated');
    }
  }
  expect(await store.swap(record, 'v1', 'v2', 60_000)).toBe(true);
  expect(await store.swap(chain, null, 'head', 60_000)).toBe(true);
  await store.delete(session);
  expect(await store.get(session)).toBeNull();
});

test('a wrong password: auth and unsafe, no crash; rotated, it is picked up on the next dial (SF-15)', async () => {
  const redis = await server();
  await redis.admin.call('ACL', 'SETUSER', 'countersign', 'on', '>right-password', ...SERVER_ACL);
  let password = 'wrong-password';
  const files = (file: string) => (file === 'password' ? password : 'countersign');
  const settings = { usernameFile: 'username', passwordFile: 'password' };
  const store = redisStoreOn(redis.url, { settings, readSecret: files });
  closers.push(() => store.close());
  await until('it was refused', () => store.state() === 'unsafe');
  const fault = await faultOf(store.claim(key(1), 'me', soon()));
  expect(fault.reason).toBe('auth');
  expect(inspect(fault, { depth: 10, showHidden: true })).not.toContain('wrong-password');
  password = 'right-password';
  await untilServing(store);
  expect(await store.claim(key(1), 'me', soon())).toBe('claimed');

  await redis.admin.call('ACL', 'SETUSER', 'countersign', 'resetpass', '>third-password');
  await redis.admin.call('CLIENT', 'KILL', 'USER', 'countersign');
  await until('it was refused', () => store.state() === 'unsafe');
  password = 'third-password';
  await untilServing(store);
});

test('a secret file that can’t be read: auth, and served when it can (SF-15)', async () => {
  const redis = await server();
  await redis.admin.config('SET', 'requirepass', 'p');
  let isThere = false;
  const readSecret = () => {
    if (!isThere) throw new Error('ENOENT secret-content');
    return 'p';
  };
  const store = redisStoreOn(redis.url, { settings: { passwordFile: 'password' }, readSecret });
  closers.push(() => store.close());
  expect(store.state()).toBe('unsafe');
  expect(inspect(await faultOf(store.get(key(1))))).not.toContain('secret-content');
  isThere = true;
  await untilServing(store);
}, 20_000);

test('the ACL loses a command: auth and unsafe, not a crash loop; given back: serving (SF-15)', async () => {
  const redis = await server();
  await redis.admin.call('ACL', 'SETUSER', 'countersign', 'on', '>p', ...SERVER_ACL);
  const settings = { usernameFile: 'countersign', passwordFile: 'p' };
  const store = await open(redis, { settings, readSecret: (file) => file });
  for (const command of ['get', 'set', 'getdel', 'evalsha', 'del', 'info', 'time']) {
    await redis.admin.call('ACL', 'SETUSER', 'countersign', `-${command}`);
    await until(`-${command} is seen`, () => {
      void Promise.allSettled([
        store.claim(key(Math.random()), 'me', soon()),
        store.take(key('t')),
        store.get(key('t')),
        store.delete(key('t')),
      ]);
      return store.state() === 'unsafe';
    });
    expect(store.state()).toBe('unsafe');
    await redis.admin.call('ACL', 'SETUSER', 'countersign', `+${command}`);
    await untilServing(store);
  }
}, 60_000);

test('the clock steps ahead or back: clock, not ready, nothing consumed; back in bounds: raised, then serving (SF-13)', async () => {
  const redis = await server();
  let offsetMs = 0;
  const clock = { nowMs: () => Date.now() + offsetMs, monotonicMs: systemClock.monotonicMs };
  const store = await open(redis, { clock });
  for (const stepMs of [600_000, -600_000, SKEW_MS + 200, -SKEW_MS - 200]) {
    const before = store.horizonMs();
    offsetMs = stepMs;
    const id = key(`step ${stepMs}`);
    expect(await reasonAfterRejudging(() => store.claim(id, 'first', Date.now() + 2_000_000))).toBe('clock');
    expect(store.state()).toBe('clock');
    // Further ones are refused before anything is sent.
    expect((await faultOf(store.claim(key(`unsent ${stepMs}`), 'first', Date.now() + 2_000_000))).reason).toBe('clock');
    offsetMs = 0;
    await untilServing(store);
    expect(store.horizonMs()).toBeGreaterThan(before);
    expect(store.horizonMs()).toBeLessThanOrEqual(Date.now() + 3 * SKEW_MS);
    expect(await redis.admin.get(`cs:{0}:${key(`unsent ${stepMs}`).text}`)).toBeNull();
  }
});

test('the clock steps and an idle replica is told by its pulse (SF-13)', async () => {
  const redis = await server();
  let offsetMs = 0;
  const clock = { nowMs: () => Date.now() + offsetMs, monotonicMs: systemClock.monotonicMs };
  const offsets: number[] = [];
  const store = await open(redis, { clock, observer: { clockOffset: (ms) => offsets.push(ms) } });
  offsetMs = 600_000;
  await until('it is seen', () => store.state() === 'clock');
  expect(Math.abs((offsets.at(-1) ?? 0) + 600_000)).toBeLessThan(1_000);
  offsetMs = 0;
  await untilServing(store);
});

/** Once more after `horizon_moved`, as every Check is. */
async function reasonAfterRejudging(judge: () => Promise<unknown>): Promise<string> {
  const { reason } = await faultOf(judge());
  return reason === 'horizon_moved' ? (await faultOf(judge())).reason : reason;
}
