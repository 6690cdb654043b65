/** The stores on which proofs must be spent once: in memory and a real Redis. */
import type { StoreUnderTest } from '../conformance/scheme.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { quietObserver } from './quiet-observer.ts';

const memory: StoreUnderTest = {
  title: 'memory',
  open: async () =>
    createMemoryStore({ clock: realClock, skewMs: 5_000, maxEntries: 100_000, fresh: true, observer: quietObserver }),
};

const realClock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };

export const storesUnderTest: readonly StoreUnderTest[] = [memory];
