/**
 * Whether this process should get traffic. A present fault of the store does not count unless `readiness.requireStore` is set:
 * a blip must not take an application out of rotation, each request is answered 503 by itself. A store that never passed its
 * self-test, or is unsafe, stops a rollout in both modes.
 */
import type { Clock } from './core/clock.ts';
import type { Store } from './core/store.ts';

export interface ReadinessParts {
  readonly store: Pick<Store, 'state' | 'provenOnce'>;
  readonly clock: Clock;
  /** Event-loop delay, 99th percentile, of some seconds: replicas that leave for one pause leave all at once when their machine is short of time. */
  loopDelayP99Ms(): number;
  requireStore(): boolean;
}

export interface Readiness {
  /** Each condition and whether it holds; ready when all do. */
  conditions(): Readonly<Record<string, boolean>>;
  isReady(): boolean;
  /** From now on: not ready. */
  drain(): void;
}

const MAX_LOOP_DELAY_MS = 200;
/** With `requireStore`: how long the store may be away before all replicas leave at once, which helps nobody. */
const STORE_GRACE_MS = 10_000;

export function createReadiness({ store, clock, loopDelayP99Ms, requireStore }: ReadinessParts): Readiness {
  let isDraining = false;
  let wasEverOk = false;
  let lastOkMs = 0;

  const storeServes = (): boolean => {
    const nowMs = clock.monotonicMs();
    if (store.state() === 'ok') {
      wasEverOk = true;
      lastOkMs = nowMs;
    }
    return wasEverOk && nowMs - lastOkMs < STORE_GRACE_MS;
  };

  const conditions = () => {
    const serves = storeServes(); // Always looked at, so that switching `requireStore` on starts from what is known.
    return {
      notDraining: !isDraining,
      storeProvenOnce: store.provenOnce(),
      storeSafe: store.state() !== 'unsafe',
      eventLoop: loopDelayP99Ms() < MAX_LOOP_DELAY_MS,
      ...(requireStore() && { storeServes: serves }),
    };
  };
  return {
    conditions,
    isReady: () => Object.values(conditions()).every(Boolean),
    drain() {
      isDraining = true;
    },
  };
}
