/** Copies of every message that changes something: one of them does (BA-06). On memory and on a real Redis. */
import { describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../../src/core/clock.ts';
import { codeOf, outcomeOf } from '../../../support/refused.ts';
import { storesUnderTest } from '../../../support/stores.ts';
import { betterAuthWorld, send } from './prover.ts';
import { OPERATIONS, textOf } from './operations.ts';

const plenty = { rate: '1000000/s', burst: 1_000_000 };
const settings = {
  limits: {
    peer: plenty,
    challengePerAccountAndPeer: plenty,
    passphrasePerAccountAndPeer: plenty,
    passphrasePerAccount: plenty,
  },
};

const CHANGING = Object.entries(OPERATIONS).filter(([name]) => !name.startsWith('Begin'));
/** What the others are told; by name it is as good as a wrong signature where there is nothing left to sign for. */
const REFUSALS = ['replayed', 'unknown_credential'];

describe.each(storesUnderTest.map((store) => [store.title, store] as const))('on %s', (_title, under) => {
  test('of 50 copies at once of each message one succeeds, over two replicas, and none later', async () => {
    const store = await under.open();
    try {
      const world = betterAuthWorld({ store, clock: systemClock, settings });
      const replica = betterAuthWorld({ store, clock: systemClock, settings, ring: world.ring });
      // A server that has just been met refuses challenges that may have been answered before.
      const untilMs = store.horizonMs() + 50 - Date.now();
      if (untilMs > 0) await new Promise((resolve) => setTimeout(resolve, untilMs));
      for (const [name, prepare] of CHANGING) {
        const prepared = await prepare(world);
        const body = textOf(prepared);
        const outcomes = await Promise.all(
          Array.from({ length: 50 }, (_, at) => outcomeOf(send(at % 2 === 0 ? world : replica, prepared.path, body))),
        );
        expect([name, outcomes.filter((outcome) => outcome === 'allow').length]).toEqual([name, 1]);
        const others = new Set(outcomes.filter((outcome) => outcome !== 'allow'));
        for (const other of others) expect(REFUSALS).toContain(other);
        expect(REFUSALS).toContain(await codeOf(send(world, prepared.path, body)));
      }
    } finally {
      await store.close();
    }
  }, 60_000);
});
