/** How much is hashed for whom: a stranger's proof costs what a wrong one costs, and no request more than its bound. */
import { expect, jest, test } from '@jest/globals';
import type { Profile } from '../../../src/schemes/time-scrambled/message.ts';
import { type RequestParts, withHeader } from '../../support/auth-request.ts';
import { outcomeOf } from '../../support/refused.ts';
import { headerOf } from '../../conformance/scheme.ts';

const counts = { sha512: 0, hmacs: 0, hkdfs: 0 };

const digest = await import('../../../src/crypto/digest.ts');
const mac = await import('../../../src/crypto/mac.ts');
jest.unstable_mockModule('../../../src/crypto/digest.ts', () => ({
  ...digest,
  sha512(bytes: Uint8Array) {
    counts.sha512 += 1;
    return digest.sha512(bytes);
  },
  hkdfSha512(...args: Parameters<typeof digest.hkdfSha512>) {
    counts.hkdfs += 1;
    return digest.hkdfSha512(...args);
  },
}));
jest.unstable_mockModule('../../../src/crypto/mac.ts', () => ({
  hmacSha256(...args: Parameters<typeof mac.hmacSha256>) {
    counts.hmacs += 1;
    return mac.hmacSha256(...args);
  },
  hmacSha512(...args: Parameters<typeof mac.hmacSha512>) {
    counts.hmacs += 1;
    return mac.hmacSha512(...args);
  },
}));
const { timeScrambled } = await import('../../../src/schemes/time-scrambled/index.ts');
const { createSchemeWorld } = await import('../../support/scheme-world.ts');
const { enrolled, pretender, proven } = await import('./prover.ts');
const { REQUEST } = await import('./exchange.ts');

const MAX_SKIP = 64;

async function setup(profile: Profile, settings: object = {}) {
  const limits = { resync: { rate: '1000/s', burst: 1000 } };
  const world = createSchemeWorld(timeScrambled, { settings: { profiles: [profile], limits, ...settings } });
  const client = await enrolled(world);
  const spent = async (parts: RequestParts) => {
    Object.assign(counts, { sha512: 0, hmacs: 0, hkdfs: 0 });
    world.store.calls.length = 0;
    const outcome = await outcomeOf(world.judge(parts));
    return { outcome, ...counts, verbs: world.store.calls.map(({ verb }) => verb) };
  };
  return { world, client, spent };
}

/** The same proof with another index, or with none. */
function toldAs(parts: RequestParts, index: number | null): RequestParts {
  const value = headerOf(parts, 'authorization').replace(/, n=[0-9]+/, index === null ? '' : `, n=${index}`);
  return withHeader(parts, 'authorization', value);
}

test.each(['keyed', 'seed'] as const)(
  '%s: an unknown chain costs the verbs, hashes and MACs of a known one, whatever index is told',
  async (profile) => {
    const { world, spent } = await setup(profile);
    const forger = await pretender('client-1', profile, 30_000);
    const stranger = await pretender('nobody', profile, 30_000);
    await spent(await proven(world, stranger, REQUEST)); // What is only done once has been done.
    for (const index of [1, 500, 1999, 2047, 2048, 5000, ...(profile === 'seed' ? [null] : [])]) {
      const known = await spent(toldAs(await proven(world, forger, REQUEST), index));
      const unknown = await spent(toldAs(await proven(world, stranger, REQUEST), index));
      expect({ ...unknown, outcome: known.outcome }).toEqual(known);
      expect(known.verbs).toEqual(['get']);
    }
  },
);

test('keyed: no chain is hashed before the MAC fits', async () => {
  const { world, spent } = await setup('keyed');
  const forger = await pretender('client-1', 'keyed', 30_000);
  expect(await spent(await proven(world, forger, REQUEST))).toMatchObject({ outcome: 'signature_invalid', sha512: 0 });
});

test.each([false, true])(
  'seed: a wrong token costs at most twice maxSkip for each candidate, seedAllowAhead %s',
  async (seedAllowAhead) => {
    const { world, spent } = await setup('seed', { seedAllowAhead });
    const forger = await pretender('client-1', 'seed', 30_000);
    world.clock.advance(30_000 - (world.clock.nowMs() % 30_000));
    const parts = await proven(world, forger, REQUEST);
    world.clock.advance(30_000); // Of the other parity: both candidates are tried.
    const candidates = seedAllowAhead ? 2 : 1;
    const { outcome, sha512 } = await spent(parts);
    expect(outcome).toBe('out_of_sync');
    // The pads come on top.
    expect(sha512).toBeLessThanOrEqual(2 * candidates * MAX_SKIP + candidates + 2);
  },
);

test.each(['keyed', 'seed'] as const)('%s: the next token costs one hash of the chain', async (profile) => {
  const { world, client, spent } = await setup(profile);
  const { outcome, sha512 } = await spent(await proven(world, client, REQUEST));
  // In `seed` two more are the pads of x1 and y1.
  expect([outcome, sha512]).toEqual(['allow', profile === 'keyed' ? 1 : 3]);
});

test('seed: with first use permitted a known and an unknown chain cost the same verbs too', async () => {
  const { world, spent } = await setup('seed', { seedFirstUse: 'permit' });
  const forger = await pretender('client-1', 'seed', 30_000);
  const stranger = await pretender('nobody', 'seed', 30_000);
  const known = await spent(await proven(world, forger, REQUEST));
  expect(await spent(await proven(world, stranger, REQUEST))).toEqual(known);
  expect(known.verbs).toEqual(['get', 'get']);
});
