/** Which events raise the horizon, and that nothing spent before one is accepted after it (ST-15, SF-09). */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { requireAfterHorizon } from '../../src/core/clock.ts';
import type { Store } from '../../src/core/store.ts';
import { storeKey } from '../../src/crypto/store-key.ts';
import { type TestRedis, startRedis } from '../support/redis.ts';
import { redisStoreOn, SKEW_MS, type StoreOverrides, until, untilServing } from '../support/redis-store.ts';
import { faultOf } from '../support/refused.ts';

let redis: TestRedis;
const stores: Store[] = [];

beforeEach(async () => {
  redis = await startRedis();
});

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
  await redis.stop();
});

async function open(overrides?: StoreOverrides): Promise<Store> {
  const store = redisStoreOn(redis.url, overrides);
  stores.push(store);
  await untilServing(store);
  return store;
}

const key = (id: string) => storeKey('c', 'horizon', id);
const soon = () => Date.now() + 60_000;

/** Spends a proof made now, lets `loss` happen, and presents the same proof once more. */
async function replayAfter(store: Store, loss: () => Promise<unknown>): Promise<void> {
  const madeAtMs = Date.now();
  expect(await store.claim(key('proof'), 'first', soon())).toBe('claimed');
  const before = store.horizonMs();
  await loss();
  await until('the store serves', () => store.state() === 'ok' || store.state() === 'recovering');
  await store.claim(key('other'), 'any', soon()).catch(() => undefined);
  expect(store.horizonMs()).toBeGreaterThan(before);
  expect(store.horizonMs()).toBeGreaterThan(madeAtMs);
  expect(() => requireAfterHorizon({ madeAtMs, leadMs: 0, nowMs: Date.now() }, store.horizonMs())).toThrow(
    'the store lost state',
  );
}

test('a first start: the horizon is the start plus skew', async () => {
  const startMs = Date.now();
  const store = await open();
  expect(store.horizonMs()).toBeGreaterThanOrEqual(startMs + SKEW_MS);
  expect(store.horizonMs()).toBeLessThanOrEqual(Date.now() + 2 * SKEW_MS);
  expect(store.state()).toBe('recovering');
  await until('the horizon is reached', () => store.state() === 'ok');
});

test('until a server has been asked nothing made before now passes', async () => {
  const store = redisStoreOn('redis://127.0.0.1:1');
  stores.push(store);
  expect(store.horizonMs()).toBeGreaterThan(Date.now());
  expect(store.provenOnce()).toBe(false);
});

test('a restart of countersign leaves the horizon alone, and what was spent stays spent', async () => {
  const first = await open();
  await first.claim(key('a'), 'first', soon());
  const second = await open();
  expect(second.horizonMs()).toBe(first.horizonMs());
  expect(await second.claim(key('a'), 'second', soon())).toBe('taken');
});

test('FLUSHALL raises it at the first verb, horizon_moved, and the spent proof is before it', async () => {
  const store = await open();
  await replayAfter(store, () => redis.admin.flushall());
});

test('FLUSHALL: the claim that meets it is horizon_moved and has consumed nothing', async () => {
  const store = await open();
  await redis.admin.flushall();
  expect((await faultOf(store.claim(key('a'), 'me', soon()))).reason).toBe('horizon_moved');
  expect(await store.claim(key('a'), 'me', soon())).toBe('claimed');
});

test('after a raise, who judged by the old horizon is refused once with horizon_moved, each by itself', async () => {
  const store = await open();
  await redis.admin.flushall();
  await faultOf(store.claim(key('meets it'), 'me', soon()));
  expect((await faultOf(store.claim(key('b'), 'x', soon()))).reason).toBe('horizon_moved');
  expect((await faultOf(store.claim(key('b'), 'y', soon()))).reason).toBe('horizon_moved');
  expect(await store.claim(key('b'), 'y', soon())).toBe('claimed');
  expect(await store.claim(key('b'), 'x', soon())).toBe('taken');
});

test('a raise by one replica is adopted by the others: horizon_moved once, then the same horizon', async () => {
  const one = await open();
  const other = await open();
  await redis.admin.flushall();
  await faultOf(one.claim(key('a'), 'me', soon()));
  expect((await faultOf(other.claim(key('b'), 'me', soon()))).reason).toBe('horizon_moved');
  expect(other.horizonMs()).toBe(one.horizonMs());
  expect(await other.claim(key('b'), 'me', soon())).toBe('claimed');
});

test('an idle replica learns of a raise by its pulse', async () => {
  const store = await open();
  const before = store.horizonMs();
  await redis.admin.flushall();
  await until('the pulse has seen it', () => store.horizonMs() > before);
});

test('a restart of an empty server raises it', async () => {
  const store = await open();
  await replayAfter(store, () => redis.restart());
});

test('a restart from the append-only file raises it, although the claims are there', async () => {
  await redis.restart(['--appendonly', 'yes', '--appendfsync', 'always']);
  const store = await open();
  await replayAfter(store, () => redis.restart(['--appendonly', 'yes', '--appendfsync', 'always']));
  await faultOf(store.claim(key('proof'), 'replay', soon())).catch(() => undefined);
  expect(await store.claim(key('proof'), 'replay', soon())).toBe('taken');
});

test('another database, prefix or number of lanes: records are invisible, so the horizon is a new one', async () => {
  const store = await open();
  await until('the first horizon is reached', () => store.state() === 'ok');
  const changes = [{ database: 1 }, { keyPrefix: 'other:' }, { lanes: 4 }];
  for (const settings of changes) {
    const startMs = Date.now();
    const changed = await open({ settings });
    expect(changed.horizonMs()).toBeGreaterThanOrEqual(startMs + SKEW_MS - 1);
  }
});
