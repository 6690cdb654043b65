/**
 * Watches the server: a self-test after every connect, then a pulse, so that an idle replica too sees a new process, a stepped clock
 * and a changed policy. Nothing is served before the self-test has passed.
 */
import { StoreFault, type StoreFaultReason } from '../core/fault.ts';
import type { StoreObserver } from '../core/store.ts';
import type { Breaker } from './breaker.ts';
import type { Health } from './health.ts';
import type { Marks } from './marks.ts';
import { createPulse } from './pulse.ts';
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
  readonly monotonicMs: () => number;
  /** Every verb once, on a record of the store's own. @throws {StoreFault} */
  readonly verbCycle: () => Promise<void>;
}

export interface Watch {
  up(): void;
  down(fault: StoreFault): void;
  /** A command was refused in a way that says something about the whole server. */
  doubt(fault: StoreFault): void;
  /** Something is to be looked at now: the clock, or marks after one lane's has changed. */
  lookNow(): void;
  stop(): void;
}

/** Conditions that the operator or time cures and that do not make a server untrustworthy once it has proven itself. */
const BEARABLE: readonly StoreFaultReason[] = ['full', 'fenced'];

export function createWatch(parts: WatchParts): Watch {
  const { link, commands, fence, storeClock, breaker, health, intervals } = parts;
  let isUp = false;
  let isRedialing = false;
  /** Counts connections: a self-test that began on another one proves nothing. */
  let era = 0;
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
    // Not while it is outside: a raise by a wrong time would keep everybody waiting for that time.
    if (storeClock.state() === 'unproven') await fence.raise();
  };

  /** The self-test. @throws {StoreFault} */
  const prove = async () => {
    const beganIn = era;
    const remark = await inspect();
    await look();
    try {
      await parts.verbCycle();
    } catch (thrown) {
      if (!health.provenOnce() || !BEARABLE.includes(storeFault(thrown).reason)) throw thrown;
    }
    if (!isUp || era !== beganIn) throw new StoreFault('down', 'the connection was lost during the self-test');
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
    const isReplica = reason === 'readonly';
    health.stand(isReplica && !health.provenOnce() ? 'unsafe' : reason);
    if (!isReplica && reason !== 'auth') return;
    isRedialing = true;
    link.reconnect();
  };

  const pulse = createPulse(beat);
  return {
    up() {
      isUp = true;
      era += 1;
      pulse.soon();
    },
    down(fault) {
      isUp = false;
      // A connection that the watch itself gave up: what it found stands until the next is judged.
      if (!isRedialing) health.stand(fault.reason);
      isRedialing = false;
    },
    doubt({ reason }) {
      if (reason === 'auth' && health.standing() === 'ok') distrust(reason);
      health.tell();
    },
    lookNow() {
      allLanesAtMs = 0;
      pulse.soon();
    },
    stop: pulse.stop,
  };
}
