/**
 * The clocks of countersign and of the server part (SF-13). Records expire by the server's, so a step forward and back again may forget
 * what was spent, and nothing may pass for that. Here it is our own clock that steps the other way; in `npm run test:long` the server's
 * own, by a library that is compiled for it.
 */
import { afterEach, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/core/clock.ts';
import type { Store } from '../../src/core/store.ts';
import { replay, traffic, WINDOW_MS } from '../support/claim-history.ts';
import { buildClockShim } from '../support/clock-shim.ts';
import { isLong } from '../support/long.ts';
import { startRedis } from '../support/redis.ts';
import { redisStoreOn, until } from '../support/redis-store.ts';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

interface Parting {
  readonly store: Store;
  /** From now on the server is ahead by this. */
  step(serverAheadMs: number): void;
}

async function byOwnClock(): Promise<Parting> {
  const redis = await startRedis();
  closers.push(() => redis.stop());
  let behindMs = 0;
  const clock = { nowMs: () => Date.now() - behindMs, monotonicMs: systemClock.monotonicMs };
  return { store: await serving(redis.url, clock), step: (aheadMs) => (behindMs = aheadMs) };
}

async function byServersClock(aheadMs = 0, clock = systemClock): Promise<Parting> {
  const shim = await buildClockShim();
  closers.push(() => shim.remove());
  shim.set(aheadMs);
  const redis = await startRedis([], shim.env);
  closers.push(() => redis.stop());
  return { store: await serving(redis.url, clock), step: (ms) => shim.set(ms) };
}

async function serving(url: string, clock: typeof systemClock): Promise<Store> {
  const store = redisStoreOn(url, { clock });
  closers.push(() => store.close());
  await until('it serves', () => store.state() === 'ok');
  return store;
}

const BEYOND_EXPIRY_MS = WINDOW_MS + 60_000;
const TO_2046_MS = 20 * 365 * 86_400_000;
const STEPS: readonly [what: string, steps: readonly number[]][] = [
  ['forward beyond every expiry, and back', [BEYOND_EXPIRY_MS, 0]],
  ['back', [-600_000]],
];
const MORE: typeof STEPS = [
  ['forward, far back, and to the right time', [BEYOND_EXPIRY_MS, -WINDOW_MS, 0]],
  ['beyond 2038, and back', [TO_2046_MS, 0]],
];

test.each(isLong ? [...STEPS, ...MORE] : STEPS)(
  '%s: clock faults, nothing is allowed twice, and service returns',
  async (_what, steps) => {
    const { store, step } = await (isLong ? byServersClock() : byOwnClock());
    const running = traffic([store]);
    await until('there is traffic', () => running.allowed.length > 300, 60_000);
    for (const aheadMs of steps) {
      step(aheadMs);
      if (aheadMs !== 0) await until('the step is seen', () => store.state() === 'clock');
      await sleep(1_500); // Longer than the pulse, and than the server's own look for what has expired.
      expect(await replay([store], [...running.allowed])).toBe(0);
    }
    step(0);
    await until('it serves again', () => store.state() === 'ok', 20_000);
    const before = running.allowed.length;
    await until('there is traffic again', () => running.allowed.length > before + 100, 20_000);
    await running.stop();
    expect(await replay([store], running.allowed)).toBe(0);
  },
  120_000,
);

test('a replica whose own clock is wrong serves nobody, and keeps no other from serving', async () => {
  const redis = await startRedis();
  closers.push(() => redis.stop());
  const right = await serving(redis.url, systemClock);
  const horizonMs = right.horizonMs();
  const clock = { nowMs: () => Date.now() + BEYOND_EXPIRY_MS, monotonicMs: systemClock.monotonicMs };
  const wrong = redisStoreOn(redis.url, { clock });
  closers.push(() => wrong.close());
  await sleep(1_500);
  expect(wrong.state()).not.toBe('ok');
  expect([right.state(), right.horizonMs()]).toEqual(['ok', horizonMs]);
});

if (isLong) {
  test('after 2038 values are spent as before it', async () => {
    const clock = { nowMs: () => Date.now() + TO_2046_MS, monotonicMs: systemClock.monotonicMs };
    const { store } = await byServersClock(TO_2046_MS, clock);
    const running = traffic([store], clock.nowMs);
    await until('there is traffic', () => running.allowed.length > 300, 60_000);
    await running.stop();
    expect(await replay([store], running.allowed, clock.nowMs)).toBe(0);
  }, 120_000);
}
