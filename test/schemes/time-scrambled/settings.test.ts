/** What the settings become, and what they refuse. */
import { expect, test } from '@jest/globals';
import * as v from 'valibot';
import { settings } from '../../../src/schemes/time-scrambled/settings.ts';

test('the defaults are those of the documentation', () => {
  expect(v.parse(settings, {})).toEqual({
    profiles: ['keyed'],
    windowMs: 30_000,
    allowAhead: true,
    seedAllowAhead: false,
    maxSkip: 64,
    maxChain: 65_536,
    afterLoss: 'enrol',
    seedFirstUse: 'deny',
    seedOneStepRenewal: false,
    resyncLimit: { periodMs: 1000, burst: 5 },
  });
});

test.each([
  ['no profile', { profiles: [] }],
  ['an unknown profile', { profiles: ['strict'] }],
  ['a window of parts of a second', { window: '1500ms' }],
  ['a window too short', { window: '0s' }],
  ['a window too long', { window: '301s' }],
  ['a bare number', { window: 30 }],
  ['maxSkip 0', { maxSkip: 0 }],
  ['maxSkip 2001', { maxSkip: 2001 }],
  ['maxChain 1', { maxChain: 1 }],
  ['maxChain 65537', { maxChain: 65_537 }],
  ['a fraction', { maxChain: 2.5 }],
  ['an unknown answer to losses', { afterLoss: 'ignore' }],
  ['an unknown first use', { seedFirstUse: 'allow' }],
  ['a key that is none', { skip: 1 }],
])('refuses %s', (_title, given) => {
  expect(v.safeParse(settings, given).success).toBe(false);
});

test('takes both ends of each range', () => {
  for (const given of [
    { window: '1s' },
    { window: '300s' },
    { maxSkip: 1 },
    { maxSkip: 2000 },
    { maxChain: 2 },
    { maxChain: 65_536 },
  ])
    expect(v.safeParse(settings, given).success).toBe(true);
});
