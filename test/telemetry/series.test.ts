import { describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { createFamilies, MAX_SERIES } from '../../src/telemetry/series.ts';
import { seriesOf } from './rig.ts';

function createFixture() {
  const registry = new Registry();
  return { ...createFamilies(registry), lines: async () => seriesOf(await registry.metrics()) };
}

describe('a family of counters', () => {
  test('counts by its labels, and each child is made once', async () => {
    const { counter, lines } = createFixture();
    const family = counter('c', 'help', { a: ['x', 'y'], b: ['1', '2'] });
    expect(family('x', '1')).toBe(family('x', '1'));
    family('x', '1').inc();
    family('x', '1').inc(2);
    family('y', '2').inc();
    expect(await lines()).toEqual(['c{a="x",b="1"} 3', 'c{a="y",b="2"} 1']);
  });

  test('counts a value outside the closed set as other', async () => {
    const { counter, lines } = createFixture();
    counter('c', 'help', { a: ['x'] })('alice').inc();
    expect(await lines()).toEqual(['c{a="other"} 1']);
  });

  test('gives up the leftmost label first when there is no room, so that a code stays exact', async () => {
    const { counter, lines } = createFixture();
    const family = counter('c', 'help', { route: null, code: ['ok', 'stale'] });
    for (let index = 0; index < 1000; index++) family(`route-${index}`, index % 2 === 0 ? 'ok' : 'stale').inc();
    const shown = await lines();
    expect(shown.length).toBeLessThanOrEqual(MAX_SERIES.others);
    const sum = (code: string) =>
      shown
        .filter((line) => line.includes(`code="${code}"`))
        .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
    expect(sum('ok')).toBe(500);
    expect(sum('stale')).toBe(500);
    expect(shown).toContainEqual(expect.stringContaining('route="other"'));
  });

  test('holds no memory of texts that are no labels', () => {
    const { counter } = createFixture();
    const family = counter('c', 'help', { a: null, b: ['x'] });
    for (let index = 0; index < 100_000; index++) family(`stranger-${index}`, 'x').inc();
    expect(family('stranger-99999', 'x')).toBe(family('stranger-88888', 'x'));
  });
});

test('histograms and counters have room of their own: all series together stay at 500', async () => {
  const { counter, gauge, histogram, table, lines } = createFixture();
  const names = Array.from({ length: 100 }, (_, index) => `v${index}`);
  const families = [
    histogram('h1', 'help', { a: names }, [1, 2, 3]),
    histogram('h2', 'help', { a: names, b: names }, [1, 2, 3]),
  ];
  const counters = [counter('c1', 'help', { a: names }), counter('c2', 'help', { a: names, b: names, c: names })];
  const level = gauge('g', 'help', { a: names });
  table('t', 'help', ['a'], () => names.map((name) => [[name], 1] as const));
  for (const a of names) {
    for (const b of names.slice(0, 10)) {
      for (const family of families) family(a, b).observe(2);
      for (const family of counters) family(a, b, 'v1').inc();
    }
    level(a).set(1);
  }
  const shown = await lines();
  expect(shown.filter((line) => line.startsWith('h')).length).toBeLessThanOrEqual(MAX_SERIES.histograms);
  expect(shown.length).toBeLessThanOrEqual(500);
  expect(shown).toContainEqual(expect.stringContaining('h2_count{a="other",b="other"}'));
});

test('rows of a table vanish when they are no longer told', async () => {
  const { table, lines } = createFixture();
  let hash = 'aaa';
  table('t', 'help', ['hash'], () => [[[hash], 1]]);
  expect(await lines()).toEqual(['t{hash="aaa"} 1']);
  hash = 'bbb';
  expect(await lines()).toEqual(['t{hash="bbb"} 1']);
});

test('a histogram has cumulative buckets with inclusive bounds, and a value that is no number leaves no trace', async () => {
  const { histogram, lines } = createFixture();
  const child = histogram('h', 'help', { a: ['x'] }, [-1, 0, 2.5])('x');
  for (const value of [-5, -1, 0, 2.5, 3.5, Number.NaN, Number.POSITIVE_INFINITY]) child.observe(value);
  expect(await lines()).toEqual([
    'h_bucket{le="-1",a="x"} 2',
    'h_bucket{le="0",a="x"} 3',
    'h_bucket{le="2.5",a="x"} 4',
    'h_bucket{le="+Inf",a="x"} 5',
    'h_sum{a="x"} 0',
    'h_count{a="x"} 5',
  ]);
});
