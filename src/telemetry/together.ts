/**
 * The metrics of several processes as one: what each told, and the counts of those that have ended, since a count that shrinks is read
 * as a restart. How values become one is said where each metric is made.
 */
import { Registry } from 'prom-client';

/** What a registry knows at a moment, as plain values that can be sent to another process. */
export type Snapshot = readonly { readonly name: string; readonly type?: unknown }[];

/** @param snapshots the supervisor's first. @returns Prometheus text. */
export function expositionOf(snapshots: readonly Snapshot[]): Promise<string> {
  return Registry.aggregate([...snapshots]).metrics();
}

/** What remains of a process that has ended: what it counted. */
export function addCounts(before: Snapshot, ended: Snapshot): Snapshot {
  const counts = ended.filter(({ type }) => type === 'counter' || type === 'histogram');
  return Registry.aggregate([before, counts]).getMetricsAsArray();
}
