/** CT-04: the only comparison of times by which anything is accepted. That no other is used is a lint rule. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { within } from '../../src/core/clock.ts';

const time = fc.maxSafeInteger();

test('accepts integers from bound to bound, both inclusive', () => {
  fc.assert(
    fc.property(time, time, time, (lo, t, hi) => {
      expect(within(lo, t, hi)).toBe(BigInt(lo) <= BigInt(t) && BigInt(t) <= BigInt(hi));
    }),
  );
  fc.assert(
    fc.property(time, (t) => {
      expect(within(t, t, t)).toBe(true);
      expect(within(t + 1, t, Number.MAX_SAFE_INTEGER)).toBe(false);
      expect(within(Number.MIN_SAFE_INTEGER, t, t - 1)).toBe(false);
    }),
  );
});

test('is false with anything else in any place', () => {
  const noTime: unknown[] = [
    Number.NaN,
    Infinity,
    -Infinity,
    2 ** 53,
    -(2 ** 53),
    0.5,
    '5',
    ' ',
    '',
    null,
    undefined,
    [5],
    true,
    5n,
    new Date(5),
  ];
  for (const value of noTime as number[]) {
    expect(within(value, 5, 10)).toBe(false);
    expect(within(0, value, 10)).toBe(false);
    expect(within(0, 5, value)).toBe(false);
  }
});
