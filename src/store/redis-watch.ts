/**
 * Watches the server: a self-test after every connect, then a pulse, so that an idle replica too sees a new process, a stepped clock
 * and a changed policy. Nothing is served before the self-test has passed.
 */
import type { StoreFault, StoreFaultReason } from '../core/fault.ts';
import type { StoreObserver } from '../core/store.ts';
import type { Breaker } from './breaker.ts';
import type { Health } from './health.ts';
import type { Marks } from './marks.ts';
import { createPulse, type Pulse } from './pulse.ts';
import type { Commands } from './redis-commands.ts';
import { storeFault } from './redis-errors.ts';
import type { Fence } from './redis-fence.ts';
import type { RedisLink } from './redis-link.ts';
import { readServerReport, requireSafeServer } from './server-report.ts';
import type { StoreClock } from './store-clock.ts';

export interface WatchIntervals {
  /** One lane of each primary. */
  readonly pulseMs: number;
  readonly allLanesMs: number;
  /** Policy, role, version, replicas. */
  readonly inspectMs: number;
  /** Probes of an open breaker, and of a clock out of bounds. */
  readonly probeMs: number;
}

export const WATCH_INTERVALS: WatchIntervals = { pulseMs: 1_000, allLanesMs: 30_000, inspectMs: 60_000, probeMs: 100 };

export interface WatchParts {
  readonly link: RedisLink;
  readonly commands: Commands;
  readonly fence: Fence;
  readonly marks: Marks;
  readonly storeClock: StoreClock;
  readonly breaker: Breaker;
  readonly health: Health;
  readonly observer: StoreObserver;
  readonly lanes: number;
  readonly durableReplicas: number;
  readonly intervals: WatchIntervals;
  monotonicMs(): number;
  /** A claim, its repetition and a rival's, on a key of the store's own. @throws {StoreFault} */
  claimCycle(): Promise<void>;
}

export interface Watch extends Pulse {
  up(): void;
  down(fault: StoreFault): void;
}

/** Conditions that the operator or time cures and that do not make a server untrustworthy once it has proven itself. */
const BEARABLE: readonly StoreFaultReason[] = ['full', 'fenced'];

export function createWatch(parts: WatchParts): Watch {
  const { link, commands, fence, storeClock, breaker, health, intervals } = parts;
  let isUp = false;
  let allLanesAtMs = 0;
  let inspectAtMs = 0;

  const everyLane = () => Promise.all(Array.from({ length: parts.lanes }, (_, lane) => fence.pulse(lane)));

  /** @returns a remark for telemetry. */
  const inspect = async (): Promise<StoreFaultReason | undefined> => {
    inspectAtMs = parts.monotonicMs() + intervals.inspectMs;
    const infos = await Promise.all(link.primaries().map((node) => commands.call('info', [], node)));
    const reports = infos.map(readServerReport);
    for (const report of reports) requireSafeServer(report);
    return reports.some((report) => report.connectedReplicas < parts.durableReplicas) ? 'not_replicated' : undefined;
  };

  const look = async () => {
    allLanesAtMs = parts.monotonicMs() + intervals.allLanesMs;
    await everyLane();
    if (storeClock.state() !== 'good') await fence.raise();
  };

  /** The self-test. @throws {StoreFault} */
  const prove = async () => {
    const remark = await inspect();
    await look();
    try {
      await parts.claimCycle();
    } catch (thrown) {
      if (!health.provenOnce() || !BEARABLE.includes(storeFault(thrown).reason)) throw thrown;
    }
    link.settled();
    breaker.close();
    health.stand('ok', remark);
  };

  const watch = async () => {
    if (storeClock.state() !== 'good') return look();
    const isDue = parts.monotonicMs() >= allLanesAtMs;
    const lanes = parts.marks.lanePerPrimary();
    await (isDue ? look() : Promise.all(lanes.map((lane) => fence.pulse(lane))));
    breaker.probed();
    if (parts.monotonicMs() >= inspectAtMs) health.stand('ok', await inspect());
  };

  const beat = async (): Promise<number> => {
    if (!isUp) return intervals.pulseMs;
    try {
      await (health.standing() === 'ok' ? watch() : prove());
    } catch (thrown) {
      const { reason } = storeFault(thrown);
      if (health.standing() !== 'ok' || reason === 'unsafe' || reason === 'readonly') distrust(reason);
    }
    parts.observer.clockOffset(storeClock.offsetMs());
    health.tell();
    const isTroubled = health.standing() === 'ok' && (breaker.isOpen() || storeClock.state() !== 'good');
    return isTroubled ? intervals.probeMs * (0.75 + Math.random() / 2) : intervals.pulseMs;
  };

  const distrust = (reason: StoreFaultReason) => {
    if (!isUp) return; // The link has said why.
    health.stand(reason === 'readonly' && !health.provenOnce() ? 'unsafe' : reason);
    if (reason === 'readonly' || reason === 'auth') link.reconnect();
  };

  const pulse = createPulse(beat);
  return {
    up() {
      isUp = true;
      pulse.soon();
    },
    down(fault) {
      isUp = false;
      health.stand(health.standing() === 'unsafe' && !health.provenOnce() ? 'unsafe' : fault.reason);
    },
    soon: pulse.soon,
    stop: pulse.stop,
  };
}
