/** When a token passes, as arithmetic: every millisecond of some phases, and any time, delay and window at random. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { candidates, parityOf, windowOf } from '../../../src/schemes/time-scrambled/message-window.ts';

const BASE = 56_666_667;

function passes(sentMs: number, delayMs: number, windowMs: number, allowAhead: boolean): boolean {
  const sentIn = windowOf(sentMs, windowMs);
  return candidates(windowOf(sentMs + delayMs, windowMs), parityOf(sentIn), allowAhead).includes(sentIn);
}

describe.each([1000, 30_000, 300_000])('windows of %i ms', (windowMs) => {
  const phases = [0, 1, Math.floor(windowMs / 2), windowMs - 1000, windowMs - 1].filter((phase) => phase >= 0);
  test.each(phases)(
    'sent at phase %i it passes from -phase to 2W - phase - 1, with allowAhead from W earlier',
    (phase) => {
      const sentMs = BASE * windowMs + phase;
      // Every millisecond of a second around each border, and of everything for a short window.
      const step = windowMs === 1000 || phase === 0 ? 1 : 7;
      const wrong: number[] = [];
      for (let delay = -2 * windowMs; delay <= 3 * windowMs; delay += step) {
        const exact = -phase <= delay && delay < 2 * windowMs - phase;
        const ahead = -windowMs - phase <= delay && delay < 2 * windowMs - phase;
        if (passes(sentMs, delay, windowMs, false) !== exact || passes(sentMs, delay, windowMs, true) !== ahead)
          wrong.push(delay);
      }
      expect(wrong).toEqual([]);
      const borders = [-phase, 2 * windowMs - phase - 1, -windowMs - phase].map((delay) =>
        [delay - 1, delay, delay + 1].map((at) => [
          passes(sentMs, at, windowMs, false),
          passes(sentMs, at, windowMs, true),
        ]),
      );
      expect(borders).toEqual([
        [
          [false, true],
          [true, true],
          [true, true],
        ],
        [
          [true, true],
          [true, true],
          [false, false],
        ],
        [
          [false, false],
          [false, true],
          [false, true],
        ],
      ]);
    },
  );
});

test('property: for any time, delay and window it passes exactly on that interval', () => {
  const any = fc.record({
    sentMs: fc.integer({ min: 1_000_000_000_000, max: 4_000_000_000_000 }),
    windowSeconds: fc.integer({ min: 1, max: 300 }),
    share: fc.double({ min: -3, max: 3, noNaN: true }),
  });
  fc.assert(
    fc.property(any, ({ sentMs, windowSeconds, share }) => {
      const windowMs = windowSeconds * 1000;
      const delay = Math.round(share * windowMs);
      const phase = sentMs % windowMs;
      expect(passes(sentMs, delay, windowMs, false)).toBe(-phase <= delay && delay < 2 * windowMs - phase);
      expect(passes(sentMs, delay, windowMs, true)).toBe(-windowMs - phase <= delay && delay < 2 * windowMs - phase);
    }),
    { numRuns: 2000 },
  );
});

test('at the beginning of time there is no window before the first', () => {
  expect(candidates(0, 1, false)).toEqual([]);
  expect(candidates(0, 1, true)).toEqual([1]);
  expect(candidates(0, 0, true)).toEqual([0]);
});
