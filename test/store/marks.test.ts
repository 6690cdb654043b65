import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { createMarks } from '../../src/store/marks.ts';
import { createStoreClock } from '../../src/store/store-clock.ts';

const RUN = 'a'.repeat(40);
const OTHER = 'b'.repeat(40);

test('the horizon is unknown until every lane has been asked, then the largest of all', () => {
  const told: (readonly [number, boolean])[] = [];
  const marks = createMarks(2, (horizonMs, raised) => told.push([horizonMs, raised]));
  marks.adopt(0, `${RUN}:100`);
  expect(marks.horizonMs()).toBeUndefined();
  marks.adopt(1, `${RUN}:70`);
  expect(marks.horizonMs()).toBe(100);
  marks.adopt(1, `${OTHER}:150`);
  expect(told).toStrictEqual([
    [100, false],
    [150, true],
  ]);
});

test('the horizon never decreases, whatever marks are adopted', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(10_000)), { minLength: 4 }), (adoptions) => {
      const marks = createMarks(4, () => undefined);
      let highest = 0;
      for (const [lane, horizonMs] of adoptions) {
        marks.adopt(lane, `${RUN}:${horizonMs}`);
        const now = marks.horizonMs() ?? highest;
        expect(now).toBeGreaterThanOrEqual(highest);
        highest = now;
      }
    }),
  );
});

test('what is no mark is protocol and is not adopted', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.constant(null), fc.integer(), fc.constant(`${RUN}:99999999999999999`)),
      (mark) => {
        const marks = createMarks(1, () => undefined);
        expect(() => marks.adopt(0, mark)).toThrow('a mark that is none');
        expect(marks.known(0)).toBe('unknown');
      },
    ),
  );
});

test('one lane of each primary is pulsed', () => {
  const marks = createMarks(4, () => undefined);
  for (const [lane, run] of [RUN, RUN, OTHER, OTHER].entries()) marks.adopt(lane, `${run}:1`);
  expect(marks.lanePerPrimary()).toHaveLength(2);
});

test('a server clock within bounds is good, at the bound too, and 1 ms beyond is outside', () => {
  for (const [offsetMs, state] of [
    [0, 'good'],
    [5_000, 'good'],
    [-5_000, 'good'],
    [5_001, 'outside'],
    [-5_001, 'outside'],
    [Number.NaN, 'outside'],
  ] as const) {
    const clock = createStoreClock(1, 5_000, 5_000);
    clock.observe(0, 100_000, 100_000, 100_000 + offsetMs);
    expect([offsetMs, clock.state()]).toStrictEqual([offsetMs, state]);
  }
});

test('back within bounds is unproven until the horizon was raised; raising does not help while it is outside', () => {
  const clock = createStoreClock(1, 5_000, 5_000);
  clock.observe(0, 100_000, 100_000, 200_000);
  clock.raised();
  expect(clock.state()).toBe('outside');
  clock.observe(0, 100_000, 100_000, 100_000);
  expect(clock.state()).toBe('unproven');
  clock.observe(0, 100_001, 100_001, 100_001);
  expect(clock.state()).toBe('unproven');
  clock.raised();
  expect(clock.state()).toBe('good');
});

test('a reply older than the newest of its lane by more than skew is unproven, also within bounds', () => {
  const clock = createStoreClock(2, 5_000, 5_000);
  clock.observe(0, 100_000, 100_000, 104_000);
  clock.observe(1, 100_000, 100_000, 98_000);
  clock.observe(0, 100_000, 100_000, 99_000);
  expect(clock.state()).toBe('good');
  clock.observe(0, 100_000, 100_000, 98_999);
  expect(clock.state()).toBe('unproven');
});
