/** A Redis store with the settings of the defaults, on a server of the test's own, and what it told its observer. */
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock, type Clock } from '../../src/core/clock.ts';
import type { Store, StoreObserver } from '../../src/core/store.ts';
import { createRedisStore } from '../../src/store/redis.ts';
import type { RedisSettings } from '../../src/store/redis-settings.ts';
import type { WatchIntervals } from '../../src/store/redis-watch.ts';
import { quietObserver } from './quiet-observer.ts';

/** The least that the configuration allows: a loss costs a test one second. */
export const SKEW_MS = 1_000;

export interface StoreOverrides {
  readonly settings?: Partial<RedisSettings>;
  readonly clock?: Clock;
  readonly observer?: Partial<StoreObserver>;
  readonly intervals?: WatchIntervals;
  readonly readSecret?: (file: string) => string;
  readonly skewMs?: number;
}

export function redisStoreOn(url: string, overrides: StoreOverrides = {}): Store {
  const skewMs = overrides.skewMs ?? SKEW_MS;
  return createRedisStore({
    settings: {
      mode: 'single',
      urls: [url],
      database: 0,
      keyPrefix: 'cs:',
      // Two cores and many tests: what is tested here is meaning. The fault tests say 50.
      commandTimeout: 1_000,
      socketTimeout: 2_000,
      connectTimeout: 500,
      durable: { timeout: 200 },
      ...overrides.settings,
    },
    skewMs,
    maxStoreOffsetMs: skewMs,
    clock: overrides.clock ?? systemClock,
    readSecret: overrides.readSecret ?? (() => ''),
    observer: { ...quietObserver, ...overrides.observer },
    ...(overrides.intervals && { intervals: overrides.intervals }),
  });
}

/** Resolves when `isSo` holds. @throws {Error} after ten seconds. */
export async function until(what: string, isSo: () => boolean, withinMs = 10_000): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`waited ${withinMs} ms in vain until ${what}`);
    await sleep(5);
  }
}

/** Serving; with a horizon that may still lie ahead. */
export async function untilServing(store: Store): Promise<void> {
  await until('the store serves', () => store.state() === 'ok' || store.state() === 'recovering');
}
