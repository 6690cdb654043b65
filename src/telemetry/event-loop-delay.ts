/**
 * How late the event loop is: in the last window, for shedding and readiness, which need the present, and since the last scrape, for
 * the gauges. Node's histogram holds intervals between samples, so the sampling interval is taken off.
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { DelayQuantiles } from './readings.ts';

const RESOLUTION_MS = 10;
const WINDOW_MS = 250;
const LASTING_WINDOWS = 8;

/**
 * Share of a window that the loop must have been at work for its lateness to be a load that turning Checks away relieves. An idle loop
 * that the machine let wait, or one pause of the garbage collector, is late as well: shedding would only turn it into an outage.
 */
const BUSY_SHARE = 0.8;

export interface EventLoopDelay {
  /** What it has been late by all along for the last two seconds: the least of their windows, so that one pause does not count. */
  lastingP99Ms(): number;
  /** Late by more than that, and from work of its own. */
  isOverloaded(delayMs: number): boolean;
  /** Since it was last called. */
  take(): DelayQuantiles;
  close(): void;
}

export interface LoopWindow {
  readonly p99Ms: number;
  /** 0 to 1. */
  readonly busyShare: number;
}

export interface LoopMonitor {
  /** What happened since it was last called; undefined without a sample. */
  window(): LoopWindow | undefined;
  take(): DelayQuantiles;
  close(): void;
}

export function createEventLoopDelay(monitor: LoopMonitor = createLoopMonitor()): EventLoopDelay {
  let last: LoopWindow = { p99Ms: 0, busyShare: 0 };
  const recent = Array.from({ length: LASTING_WINDOWS }, () => 0);
  const turn = setInterval(() => {
    last = monitor.window() ?? last;
    recent.shift();
    recent.push(last.p99Ms);
  }, WINDOW_MS).unref();
  return {
    lastingP99Ms: () => Math.min(...recent),
    isOverloaded: (delayMs) => last.p99Ms > delayMs && last.busyShare >= BUSY_SHARE,
    take: () => monitor.take(),
    close() {
      clearInterval(turn);
      monitor.close();
    },
  };
}

function createLoopMonitor(): LoopMonitor {
  const samples = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  // Of its own, since it is emptied at other times.
  const sinceScrape = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  samples.enable();
  sinceScrape.enable();
  let before = performance.eventLoopUtilization();

  function window(): LoopWindow | undefined {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    if (samples.count === 0) return undefined;
    const p99Ms = beyondMs(samples.percentile(99));
    samples.reset();
    return { p99Ms, busyShare: utilization };
  }

  return {
    window,
    take() {
      if (sinceScrape.count === 0) return { p50Ms: 0, p99Ms: 0, maxMs: 0 };
      const quantiles = {
        p50Ms: beyondMs(sinceScrape.percentile(50)),
        p99Ms: beyondMs(sinceScrape.percentile(99)),
        maxMs: beyondMs(sinceScrape.max),
      };
      sinceScrape.reset();
      return quantiles;
    },
    close() {
      samples.disable();
      sinceScrape.disable();
    },
  };
}

function beyondMs(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
}
