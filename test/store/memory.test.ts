/** What only the memory store has: exact expiry, a limit, a horizon of its own clock. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { claimExpiresAtMs } from '../../src/core/clock.ts';
import type { StoreObserver } from '../../src/core/store.ts';
import { storeKey } from '../../src/crypto/store-key.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { quietObserver } from '../support/quiet-observer.ts';
import { faultOf } from '../support/refused.ts';

const START_MS = 1_790_000_000_000;
const SKEW_MS = 5_000;
const key = (id: string | number) => storeKey('c', 'memory', String(id));

function open(options: { maxEntries?: number; fresh?: boolean; observer?: Partial<StoreObserver> } = {}) {
  const clock = createFakeClock(START_MS);
  const store = createMemoryStore({
    clock,
    skewMs: SKEW_MS,
    maxEntries: options.maxEntries ?? 1_000,
    fresh: options.fresh ?? true,
    observer: { ...quietObserver, ...options.observer },
  });
  return { clock, store };
}

describe('expiry', () => {
  test('a record is there 1 ms before its TTL ends and gone at its end (ST-03)', async () => {
    const { clock, store } = open();
    await store.put(key(1), 'x', 100);
    clock.advance(99);
    expect(await store.get(key(1))).toBe('x');
    clock.advance(1);
    expect(await store.get(key(1))).toBeNull();
  });

  test('a claim whose expiry is now is a fault clock, 1 ms later it is claimed', async () => {
    const { store } = open();
    expect((await faultOf(store.claim(key(1), 'a', START_MS))).reason).toBe('clock');
    expect(await store.claim(key(1), 'a', START_MS + 1)).toBe('claimed');
  });

  test('expired records are removed by later writes, in whatever order they were to expire', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 1, maxLength: 60 }), async (ttls) => {
        const { clock, store } = open();
        for (const [index, ttlMs] of ttls.entries()) await store.put(key(index), 'x', ttlMs);
        clock.advance(500);
        const alive = ttls.filter((ttlMs) => ttlMs > 500).length;
        for (let write = 0; write < ttls.length; write += 1) await store.put(key('writer'), 'x', 10_000);
        expect(store.entries()).toBe(alive + 1);
        for (const [index, ttlMs] of ttls.entries()) expect(await store.get(key(index))).toBe(ttlMs > 500 ? 'x' : null);
      }),
    );
  });

  test('a record that is overwritten or taken leaves nothing behind', async () => {
    const { store } = open();
    for (let round = 0; round < 10_000; round += 1) await store.put(key(1), String(round), 1_000_000);
    expect(store.entries()).toBe(1);
    await store.take(key(1));
    expect(store.entries()).toBe(0);
  });
});

describe('limit', () => {
  test('is full for a new record and never evicts; known records can still change (full)', async () => {
    const { clock, store } = open({ maxEntries: 3 });
    for (const id of [1, 2, 3]) expect(await store.claim(key(id), 'a', START_MS + 1_000 * id)).toBe('claimed');
    expect((await faultOf(store.claim(key(4), 'a', START_MS + 10_000))).reason).toBe('full');
    expect((await faultOf(store.put(key(4), 'a', 10_000))).reason).toBe('full');
    expect(await store.claim(key(1), 'b', START_MS + 10_000)).toBe('taken');
    await store.put(key(2), 'changed', 60_000);
    clock.advance(1_000);
    expect(await store.claim(key(4), 'a', START_MS + 10_000)).toBe('claimed');
    expect(await store.get(key(2))).toBe('changed');
    expect(await store.claim(key(3), 'b', START_MS + 10_000)).toBe('taken');
  });
});

describe('horizon', () => {
  test('is the start plus skew, and none when the operator vouches for the start (ST-15)', () => {
    expect(open({ fresh: false }).store.horizonMs()).toBe(START_MS + SKEW_MS);
    expect(open({ fresh: true }).store.horizonMs()).toBe(0);
  });

  test('state is recovering until the horizon is reached, then ok, and the observer is told both', () => {
    const told: string[] = [];
    const { clock, store } = open({ fresh: false, observer: { state: (state) => told.push(state) } });
    clock.advance(SKEW_MS - 1);
    expect(store.state()).toBe('recovering');
    clock.advance(1);
    expect(store.state()).toBe('ok');
    expect(told).toStrictEqual(['recovering', 'ok']);
  });

  test('a step back of exactly skew changes nothing, one of 1 ms more raises it', async () => {
    const { clock, store } = open();
    await store.get(key(1));
    clock.set(START_MS - SKEW_MS);
    expect(store.horizonMs()).toBe(0);
    clock.set(START_MS - SKEW_MS - 1);
    expect(store.horizonMs()).toBe(START_MS - 1);
  });

  test('several small steps back add up', () => {
    const { clock, store } = open();
    for (let step = 1; step <= 6; step += 1) {
      clock.set(START_MS - step * 1_000);
      store.horizonMs();
    }
    expect(store.horizonMs()).toBe(START_MS - 6_000 + SKEW_MS);
  });

  test('after a step back each fenced call is refused once with horizon_moved, then passes (judged again)', async () => {
    const { clock, store } = open();
    await store.put(key('h'), 'old', 1_000_000);
    clock.set(START_MS - 60_000);
    const later = START_MS + 60_000;
    expect((await faultOf(store.claim(key(1), 'a', later))).reason).toBe('horizon_moved');
    expect((await faultOf(store.claim(key(1), 'b', later))).reason).toBe('horizon_moved');
    expect((await faultOf(store.swap(key('h'), 'old', 'new', 1_000))).reason).toBe('horizon_moved');
    expect((await faultOf(store.take(key('h')))).reason).toBe('horizon_moved');
    expect(await store.get(key('h'))).toBe('old');
    expect(await store.claim(key(1), 'a', later)).toBe('claimed');
    expect(await store.claim(key(1), 'b', later)).toBe('taken');
    expect(await store.swap(key('h'), 'old', 'new', 1_000)).toBe(true);
    clock.advance(5_001);
    expect(await store.claim(key(2), 'c', later)).toBe('claimed');
  });

  test('no proof whose claim expired while the clock was ahead is before the horizon and fresh again (SF-13)', async () => {
    const windowMs = 60_000;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 6_000, max: 3_600_000 }),
        fc.integer({ min: 0, max: 3_600_000 }),
        async (aheadMs, stayMs) => {
          const { clock, store } = open();
          clock.set(START_MS + aheadMs);
          const madeAtMs = clock.nowMs();
          await store.claim(key(1), 'first', claimExpiresAtMs(madeAtMs + windowMs, SKEW_MS));
          for (const part of [1, 2, 3, 4]) {
            clock.advance(Math.floor(stayMs / 4));
            await store.put(key(`tick ${part}`), 'x', 1);
          }
          clock.set(START_MS + Math.floor(stayMs / 4) * 4);
          const isBeforeHorizon = madeAtMs < store.horizonMs();
          if (isBeforeHorizon) return;
          // Not refused by the horizon: then the record must be there when the proof is fresh again.
          clock.set(madeAtMs);
          clock.advance(5_001);
          expect(await store.claim(key(1), 'second', claimExpiresAtMs(madeAtMs + windowMs, SKEW_MS))).toBe('taken');
        },
      ),
    );
  });
});

test('nowhere within skew is a proof fresh whose claim is gone, the last millisecond included (ST-14)', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 600_000 }),
      fc.integer({ min: 0, max: SKEW_MS }),
      fc.integer({ min: -SKEW_MS, max: SKEW_MS }),
      async (validForMs, afterMs, replicaAheadMs) => {
        const { clock, store } = open();
        const validUntilMs = START_MS + validForMs;
        const expiresAtMs = claimExpiresAtMs(validUntilMs, SKEW_MS);
        expect(await store.claim(key(1), 'a', expiresAtMs)).toBe('claimed');
        // The replica's clock differs from the store's by up to skew; at its last fresh instant and around it.
        for (const replicaMs of [validUntilMs, validUntilMs - afterMs, validUntilMs + 1]) {
          const storeMs = replicaMs - replicaAheadMs;
          if (storeMs < START_MS) continue;
          clock.set(storeMs);
          if (replicaMs > validUntilMs) continue;
          expect(await store.claim(key(1), 'b', expiresAtMs)).toBe('taken');
        }
      },
    ),
  );
});

test('tells the observer the result of every verb, and nothing of a programmer’s mistake', async () => {
  const told: string[] = [];
  const { store } = open({ maxEntries: 2, observer: { operation: (verb, result) => told.push(`${verb} ${result}`) } });
  await store.claim(key(1), 'a', START_MS + 1_000);
  await store.claim(key(1), 'a', START_MS + 1_000);
  await store.claim(key(1), 'b', START_MS + 1_000);
  await store.swap(key(2), 'x', 'y', 1_000);
  await store.swap(key(2), null, 'y', 1_000);
  await store.get(key(2));
  await faultOf(store.put(key(3), 'x', 1_000));
  await expect(store.put(key(3), 'x', 0)).rejects.toThrow(RangeError);
  await store.take(key(2));
  await store.delete(key(2));
  expect(told).toStrictEqual([
    'claim claimed',
    'claim mine',
    'claim taken',
    'swap differs',
    'swap ok',
    'get ok',
    'put full',
    'take ok',
    'delete ok',
  ]);
});
