import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createEventLoopDelay, type LoopWindow } from '../../src/telemetry/event-loop-delay.ts';

function delayAfter(...windows: (LoopWindow | undefined)[]) {
  const monitor = {
    window: () => windows.shift(),
    take: () => ({ p50Ms: 0, p99Ms: 0, maxMs: 0 }),
    close: () => undefined,
  };
  const delay = createEventLoopDelay(monitor);
  jest.advanceTimersByTime(250 * windows.length);
  delay.close();
  return delay;
}

describe('a late event loop', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('is overloaded when it is late by its own work', () => {
    expect(delayAfter({ p99Ms: 21, busyShare: 0.8 }).isOverloaded(20)).toBe(true);
    expect(delayAfter({ p99Ms: 20, busyShare: 1 }).isOverloaded(20)).toBe(false);
  });

  test('is not overloaded when the machine let it wait, or after one pause: turning Checks away would not help', () => {
    const delay = delayAfter({ p99Ms: 100, busyShare: 0.4 });
    expect(delay.isOverloaded(20)).toBe(false);
  });

  test('is late lastingly only when it was in every window of two seconds', () => {
    const late = Array.from({ length: 8 }, () => ({ p99Ms: 300, busyShare: 0.1 }));
    expect(delayAfter(...late).lastingP99Ms()).toBe(300);
    expect(delayAfter(...late.slice(1)).lastingP99Ms()).toBe(0);
    expect(delayAfter(...late.slice(1), { p99Ms: 3, busyShare: 0.1 }).lastingP99Ms()).toBe(3);
    expect(delayAfter({ p99Ms: 3, busyShare: 0.1 }, ...late).lastingP99Ms()).toBe(300);
  });

  test('is judged by the last window alone, and by the one before when it could not take a sample', () => {
    expect(delayAfter({ p99Ms: 100, busyShare: 1 }, { p99Ms: 1, busyShare: 1 }).isOverloaded(20)).toBe(false);
    expect(delayAfter({ p99Ms: 100, busyShare: 1 }, undefined).isOverloaded(20)).toBe(true);
  });
});

test('the real loop is seen to be late and busy when it is blocked again and again', async () => {
  const delay = createEventLoopDelay();
  delay.take();
  while (!delay.isOverloaded(20)) {
    const untilMs = performance.now() + 60;
    while (performance.now() < untilMs);
    await new Promise((done) => setImmediate(done));
  }
  expect(delay.take().maxMs).toBeGreaterThan(20);
  delay.close();
});
