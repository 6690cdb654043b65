/**
 * Time: the one clock a rule may use, and the few formulas about it that every scheme shares.
 * Times are unix milliseconds, integers.
 */
import { deny } from './decision.ts';
import { Fault } from './fault.ts';

export interface Clock {
  /** Unix milliseconds: freshness rules, records, logs. */
  nowMs(): number;
  /** Milliseconds from an arbitrary start that never step: timeouts, caches, buckets. */
  monotonicMs(): number;
}

/**
 * The only comparison of times by which anything is accepted. Bounds are inclusive.
 * Written positively: a NaN, a fraction or an unsafe integer anywhere makes it false, so an unparsable time never passes.
 */
export function within(lo: number, t: number, hi: number): boolean {
  return Number.isSafeInteger(lo) && Number.isSafeInteger(t) && Number.isSafeInteger(hi) && lo <= t && t <= hi;
}

export interface Freshness {
  /** Earliest instant at which the proof could have been accepted: its timestamp minus the profile's future tolerance. */
  readonly madeAtMs: number;
  /** Timestamp minus `madeAtMs`. */
  readonly leadMs: number;
  readonly nowMs: number;
}

/**
 * Refuses proofs that may have been spent before the store lost its memory.
 *
 * @throws {Fault} `recovering`, with the seconds to wait, when no proof made now could pass either.
 * @throws {Denial} `stale` when a new proof passes.
 */
export function requireAfterHorizon({ madeAtMs, leadMs, nowMs }: Freshness, horizonMs: number): void {
  if (within(horizonMs, madeAtMs, Number.MAX_SAFE_INTEGER)) return;
  if (!within(horizonMs, nowMs - leadMs, Number.MAX_SAFE_INTEGER)) {
    throw new Fault('recovering', 'the store lost state; proofs made now cannot be judged yet', {
      retryAfterSeconds: Math.ceil((horizonMs + leadMs - nowMs) / 1000),
    });
  }
  deny('stale', 'made before the horizon of the store');
}

/**
 * When the record of a claim may disappear. The 1 is there because bounds are inclusive and a record is gone *at* its expiry;
 * `skew`, because expiry runs on the store's clock. Never "a window from now": a future-dated proof would outlive its record.
 *
 * @param validUntilMs last instant at which a replica's own clock may accept the proof.
 */
export function claimExpiresAtMs(validUntilMs: number, skewMs: number): number {
  return validUntilMs + skewMs + 1;
}

/**
 * TTL of a revocation mark written now: one `skew` for the writer's clock and one for the reader's.
 *
 * @param validUntilMs last instant at which a replica's own clock accepts what the mark revokes.
 */
export function revocationTtlMs(validUntilMs: number, skewMs: number, nowMs: number): number {
  return validUntilMs + 2 * skewMs + 1 - nowMs;
}

/** The machine's own clock; tests bring another. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
