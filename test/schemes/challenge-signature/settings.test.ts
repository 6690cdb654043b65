/** The settings of challenge-signature: defaults, bounds and what is refused. */
import { expect, test } from '@jest/globals';
import * as v from 'valibot';
import { challengeSignature } from '../../../src/schemes/challenge-signature/index.ts';
import { settings } from '../../../src/schemes/challenge-signature/settings.ts';

const parsed = (given: object) => v.parse(settings, given);
const uses = (given: object) => challengeSignature.keyUses(parsed(given));

test('defaults: stored challenges for 30 s, 50 a second per address in bursts of 200', () => {
  expect(parsed({})).toEqual({
    challenges: 'stored',
    accept: ['stored'],
    lifetimeMs: 30_000,
    inBand: false,
    challengeLimit: { periodMs: 20, burst: 200 },
  });
});

test('accept is the kind that is issued unless it says more; in band acts with stateless only', () => {
  expect(parsed({ challenges: 'stateless' })).toMatchObject({ accept: ['stateless'], inBand: true });
  expect(parsed({ challenges: 'stateless', inBand: false })).toMatchObject({ inBand: false });
  expect(parsed({ accept: ['stored', 'stateless'] })).toMatchObject({ accept: ['stored', 'stateless'] });
});

test.each([
  [{ accept: [] }],
  [{ accept: ['stateless'] }],
  [{ challenges: 'cookie' }],
  [{ lifetime: '4s' }],
  [{ lifetime: '301s' }],
  [{ lifetime: 30 }],
  [{ inBand: 'yes' }],
  [{ limits: { challenge: { rate: '0/s', burst: 1 } } }],
  [{ limits: { issuer: { rate: '1/s', burst: 1 } } }],
  [{ lifetimeMs: 30 }],
])('refuses %j', (given) => {
  expect(v.safeParse(settings, given).success).toBe(false);
});

test.each([['5s'], ['300s']])('takes a lifetime of %s', (lifetime) => {
  expect(v.safeParse(settings, { lifetime }).success).toBe(true);
});

test('a challenge-mac key is needed exactly when stateless challenges are made or judged', () => {
  expect(uses({})).toEqual([]);
  expect(uses({ challenges: 'stateless' })).toEqual(['challenge-mac']);
  expect(uses({ accept: ['stored', 'stateless'] })).toEqual(['challenge-mac']);
});
