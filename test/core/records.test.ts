/** ST-14: a record that absence would undo outlives whatever it protects, on every clock within `skew`. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { claimExpiresAtMs, revocationTtlMs } from '../../src/core/clock.ts';

const NOW_MS = 1_700_000_000_000;
const skews = fc.integer({ min: 1000, max: 30_000 });
const lives = fc.integer({ min: 0, max: 400_000 });

/** How far another clock is from ours: at most `skew`, the bounds included. */
const within = (skewMs: number) => fc.integer({ min: -skewMs, max: skewMs });

test('there is no instant at which a claimed proof is fresh on a replica and its record gone from the store', () => {
  fc.assert(
    fc.property(
      skews.chain((skewMs) =>
        fc.tuple(fc.constant(skewMs), lives, within(skewMs), fc.integer({ min: 0, max: 500_000 })),
      ),
      ([skewMs, lifeMs, storeOffsetMs, laterMs]) => {
        const validUntilMs = NOW_MS + lifeMs;
        const replicaMs = NOW_MS + laterMs;
        const storeMs = replicaMs + storeOffsetMs;
        const isFresh = replicaMs <= validUntilMs;
        const isRecorded = storeMs < claimExpiresAtMs(validUntilMs, skewMs);
        expect(isFresh && !isRecorded).toBe(false);
      },
    ),
  );
});

test('at its last millisecond, on a store whose clock is ahead by the whole skew, the record is still there', () => {
  expect(NOW_MS + 5000 < claimExpiresAtMs(NOW_MS, 5000)).toBe(true);
});

test('a revocation mark outlives what it revokes, whoever wrote it and whoever reads it', () => {
  fc.assert(
    fc.property(
      skews.chain((skewMs) =>
        fc.tuple(fc.constant(skewMs), lives, within(skewMs), fc.integer({ min: 0, max: 500_000 })),
      ),
      ([skewMs, lifeMs, readerOffsetMs, laterMs]) => {
        const validUntilMs = NOW_MS + lifeMs;
        // The writer's clock is wrong the one way, the reader's the other: twice `skew` between them.
        const goneAfterMs = revocationTtlMs(validUntilMs, skewMs, NOW_MS + skewMs);
        const readerMs = NOW_MS + laterMs + readerOffsetMs;
        const isAccepted = readerMs <= validUntilMs && laterMs >= 0;
        expect(isAccepted && laterMs >= goneAfterMs).toBe(false);
      },
    ),
  );
});
