import { expect, test } from '@jest/globals';
import { createRestarts } from '../../src/processes/restarts.ts';
import { createFakeClock } from '../support/fake-clock.ts';

const middle = () => 0.5; // No jitter.

test('a worker comes back after 100 ms, twice that each time, never later than 10 s, and early again once it has lived a minute', () => {
  const restarts = createRestarts(createFakeClock(0), middle);
  const delays = Array.from({ length: 9 }, () => restarts.crashed('check 1', 10));
  expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  expect(restarts.crashed('check 2', 10)).toBe(100);
  expect(restarts.crashed('check 1', 60_000)).toBe(100);
  expect(restarts.crashed('check 1', 10)).toBe(200);
});

test('workers that crash together come back apart', () => {
  const at = (random: number) => createRestarts(createFakeClock(0), () => random).crashed('check 1', 0);
  expect(at(0)).toBeCloseTo(80);
  expect(at(1)).toBeCloseTo(120);
});

test('the sixth crash within a minute is one too many, and a minute without any is forgiven', () => {
  const clock = createFakeClock(0);
  const restarts = createRestarts(clock, middle);
  for (let crash = 0; crash < 5; crash += 1) restarts.crashed(`check ${crash}`, 0);
  expect(restarts.tooMany()).toBe(false);
  restarts.crashed('check 1', 0);
  expect(restarts.tooMany()).toBe(true);
  for (let crash = 0; crash < 100_000; crash += 1) restarts.crashed('check 1', 0);
  clock.advance(59_999);
  expect(restarts.tooMany()).toBe(true);
  clock.advance(1);
  expect(restarts.tooMany()).toBe(false);
});

test('crashes that go on are too many all along', () => {
  const clock = createFakeClock(0);
  const restarts = createRestarts(clock, middle);
  for (let crash = 0; crash < 5; crash += 1) restarts.crashed(`check ${crash}`, 0);
  for (let second = 0; second < 200; second += 1) {
    restarts.crashed('check 1', 1000);
    expect([second, restarts.tooMany()]).toEqual([second, true]);
    clock.advance(1000);
  }
});
