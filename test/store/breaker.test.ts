import { expect, test } from '@jest/globals';
import { createBreaker } from '../../src/store/breaker.ts';
import { createFakeClock } from '../support/fake-clock.ts';

function open() {
  const clock = createFakeClock(0);
  const changes: boolean[] = [];
  const breaker = createBreaker(
    () => clock.monotonicMs(),
    (isOpen) => changes.push(isOpen),
  );
  return { clock, breaker, changes };
}

test('opens at the fifth fault in a row, not at the fourth, and then admits nothing', () => {
  const { breaker, changes } = open();
  for (let fault = 1; fault <= 4; fault += 1) breaker.failed();
  expect(breaker.isOpen()).toBe(false);
  expect(breaker.admits()).toBe(true);
  breaker.failed();
  expect(breaker.isOpen()).toBe(true);
  expect(breaker.admits()).toBe(false);
  expect(changes).toStrictEqual([true]);
});

test('opens at ten faults of the last twenty, not at nine', () => {
  const { breaker } = open();
  const outcomes = (faults: number) => {
    for (let index = 0; index < 10; index += 1) {
      breaker.answered();
      if (index < faults) breaker.failed();
    }
  };
  outcomes(9);
  expect(breaker.isOpen()).toBe(false);
  for (let index = 0; index < 20; index += 1) breaker.answered();
  outcomes(10);
  expect(breaker.isOpen()).toBe(true);
});

test('closes after two probes; a fault in between starts the count anew', () => {
  const { breaker, changes } = open();
  for (let fault = 1; fault <= 5; fault += 1) breaker.failed();
  breaker.probed();
  breaker.failed();
  breaker.probed();
  expect(breaker.isOpen()).toBe(true);
  breaker.probed();
  expect(breaker.isOpen()).toBe(false);
  expect(changes).toStrictEqual([true, false]);
});

test('admits a quarter right after closing, and everything two seconds later', () => {
  const { breaker, clock } = open();
  for (let fault = 1; fault <= 5; fault += 1) breaker.failed();
  breaker.close();
  const admittedOf = (tries: number) => Array.from({ length: tries }, () => breaker.admits()).filter(Boolean).length;
  expect(admittedOf(100)).toBe(25);
  clock.advance(1_000);
  expect(admittedOf(800)).toBeGreaterThanOrEqual(499);
  expect(admittedOf(800)).toBeLessThanOrEqual(501);
  clock.advance(1_000);
  expect(admittedOf(100)).toBe(100);
});
