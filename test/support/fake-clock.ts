/** A clock that moves only when the test says so; both of its readings move together. */
import type { Clock } from '../../src/core/clock.ts';

export interface FakeClock extends Clock {
  advance(ms: number): void;
  /** Steps the wall clock alone, as an administrator or NTP would; the monotonic reading goes on. */
  set(nowMs: number): void;
}

export function createFakeClock(startMs: number): FakeClock {
  let nowMs = startMs;
  let monotonicMs = 1_000;
  return {
    nowMs: () => nowMs,
    monotonicMs: () => monotonicMs,
    advance(ms) {
      nowMs += ms;
      monotonicMs += ms;
    },
    set(ms) {
      nowMs = ms;
    },
  };
}
