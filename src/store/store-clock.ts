/**
 * Watches the server's clock through the time in every fenced reply. While it is off, nothing is allowed; and since a step may have
 * expired claims early, the horizon must be raised before anything is allowed again. Raising is `redis-fence.ts`.
 */

/** `outside`: the last reply was out of bounds. `unproven`: back within bounds, horizon not raised yet. */
export type StoreClockState = 'good' | 'outside' | 'unproven';

export interface StoreClock {
  /** Takes one reply into account. Times in unix ms; the first two by the own clock. */
  observe(lane: number, sentMs: number, receivedMs: number, serverMs: number): void;
  state(): StoreClockState;
  /** The horizon has been raised on every lane. */
  raised(): void;
  /** Of the newest reply: server time minus own time, ms. */
  offsetMs(): number;
}

export function createStoreClock(lanes: number, maxOffsetMs: number, skewMs: number): StoreClock {
  const newestMs: number[] = Array.from({ length: lanes }, () => 0);
  let state: StoreClockState = 'good';
  let offsetMs = 0;
  return {
    observe(lane, sentMs, receivedMs, serverMs) {
      offsetMs = serverMs - (sentMs + receivedMs) / 2;
      const newestOfLaneMs = newestMs[lane] ?? 0;
      newestMs[lane] = Math.max(newestOfLaneMs, serverMs);
      // Written positively, so that a NaN is out of bounds.
      if (!(Math.abs(offsetMs) <= maxOffsetMs)) state = 'outside';
      else if (state === 'outside' || serverMs < newestOfLaneMs - skewMs) state = 'unproven';
    },
    state: () => state,
    raised() {
      if (state !== 'unproven') return;
      newestMs.fill(0);
      state = 'good';
    },
    offsetMs: () => offsetMs,
  };
}
