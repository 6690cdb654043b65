/** When a worker that crashed comes back, and when so many have that the whole should get no traffic. */
import type { Clock } from '../core/clock.ts';

export interface Restarts {
  /** @param livedMs of the one that crashed. @returns in how many ms to start the next. */
  crashed(slot: string, livedMs: number): number;
  /** More than five in the last minute. */
  tooMany(): boolean;
}

const FIRST_MS = 100;
const LONGEST_MS = 10_000;
const MINUTE_MS = 60_000;
const MANY = 5;

/** @param random from 0 to 1: workers that crashed together don't come back together. */
export function createRestarts(clock: Clock, random: () => number): Restarts {
  const inARow = new Map<string, number>();
  /** Times of the last ones, as many as are too many. */
  let recent: readonly number[] = [];
  return {
    crashed(slot, livedMs) {
      recent = [...recent, clock.monotonicMs()].slice(-(MANY + 1));
      const count = livedMs >= MINUTE_MS ? 1 : (inARow.get(slot) ?? 0) + 1;
      inARow.set(slot, count);
      return Math.min(FIRST_MS * 2 ** (count - 1), LONGEST_MS) * (0.8 + 0.4 * random());
    },
    tooMany: () => recent.length > MANY && clock.monotonicMs() - (recent[0] ?? 0) < MINUTE_MS,
  };
}
