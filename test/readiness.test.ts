import { expect, test } from '@jest/globals';
import type { StoreState } from '../src/core/store.ts';
import { createReadiness } from '../src/readiness.ts';
import { createFakeClock } from './support/fake-clock.ts';

function setUp(requireStore: boolean) {
  const clock = createFakeClock(1_700_000_000_000);
  const facts = { state: 'ok' as StoreState, proven: true, delayMs: 0 };
  const readiness = createReadiness({
    clock,
    store: { state: () => facts.state, provenOnce: () => facts.proven },
    loopDelayP99Ms: () => facts.delayMs,
    requireStore: () => requireStore,
  });
  return { clock, facts, readiness };
}

test('is ready when every condition holds', () => {
  expect(setUp(false).readiness.isReady()).toBe(true);
  expect(setUp(true).readiness.isReady()).toBe(true);
});

test.each([false, true])(
  'is not ready before the store has passed its self-test once (requireStore %s)',
  (requireStore) => {
    const { facts, readiness } = setUp(requireStore);
    facts.proven = false;
    expect(readiness.isReady()).toBe(false);
  },
);

test.each([false, true])('is not ready while the store is unsafe (requireStore %s)', (requireStore) => {
  const { facts, readiness } = setUp(requireStore);
  facts.state = 'unsafe';
  expect(readiness.conditions()).toMatchObject({ storeSafe: false });
  expect(readiness.isReady()).toBe(false);
});

test.each(['down', 'clock', 'recovering'] as const)(
  'stays ready while the store is %s, however long, without requireStore',
  (state) => {
    const { clock, facts, readiness } = setUp(false);
    facts.state = state;
    clock.advance(3_600_000);
    expect(readiness.isReady()).toBe(true);
  },
);

test('with requireStore leaves only after ten seconds of a bad store, and comes back at once', () => {
  const { clock, facts, readiness } = setUp(true);
  expect(readiness.isReady()).toBe(true);
  facts.state = 'down';
  clock.advance(9_999);
  expect(readiness.isReady()).toBe(true);
  clock.advance(1);
  expect(readiness.isReady()).toBe(false);
  facts.state = 'ok';
  expect(readiness.isReady()).toBe(true);
});

test('with requireStore is not ready at start until the store serves', () => {
  const { facts, readiness } = setUp(true);
  facts.state = 'recovering';
  expect(readiness.isReady()).toBe(false);
  facts.state = 'ok';
  expect(readiness.isReady()).toBe(true);
});

test('is not ready from an event-loop delay of 200 ms on', () => {
  const { facts, readiness } = setUp(false);
  facts.delayMs = 199.9;
  expect(readiness.isReady()).toBe(true);
  facts.delayMs = 200;
  expect(readiness.isReady()).toBe(false);
});

test('is not ready once it drains', () => {
  const { readiness } = setUp(false);
  readiness.drain();
  expect(readiness.conditions()).toMatchObject({ notDraining: false });
  expect(readiness.isReady()).toBe(false);
});
