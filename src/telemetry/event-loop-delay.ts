/**
 * How late the event loop is, over the last whole second: for shedding and readiness, which need the present, and for the gauges.
 * Node's histogram holds intervals between samples, so the sampling interval is taken off.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { EventLoopDelay } from './readings.ts';

const RESOLUTION_MS = 10;
const WINDOW_MS = 1000;

export function createEventLoopDelay(): EventLoopDelay & { close(): void } {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  const beyond = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
  let p50Ms = 0;
  let p99Ms = 0;
  let maxMs = 0;
  const turn = setInterval(() => {
    if (histogram.count === 0) return;
    p50Ms = beyond(histogram.percentile(50));
    p99Ms = beyond(histogram.percentile(99));
    maxMs = Math.max(maxMs, beyond(histogram.max));
    histogram.reset();
  }, WINDOW_MS).unref();

  return {
    p50Ms: () => p50Ms,
    p99Ms: () => p99Ms,
    takeMaxMs() {
      const taken = maxMs;
      maxMs = 0;
      return taken;
    },
    close() {
      clearInterval(turn);
      histogram.disable();
    },
  };
}
