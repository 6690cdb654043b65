/**
 * Families of metrics whose labels are closed sets, and a cap on all series together that holds whatever clients send.
 * A child that no longer fits counts under `other`, from the leftmost label on, so that what alerts look at stays exact longest.
 * Which metrics there are is `metrics.ts`.
 */
import { Counter, Gauge, type Registry } from 'prom-client';
import { createHistogram, type Distribution } from './histogram.ts';

/** Series of one process, every line of the exposition counted, buckets too. Histograms can't crowd out counters. */
export const MAX_SERIES = { histograms: 350, others: 150 } as const;

/** Kept back for children under `other`, so that their last label, a code or reason, stays exact. */
const FALLBACK_SERIES = 30;

export const OTHER = 'other';

/** Label name to its closed set; `null` where the set is the operator's (route names) and only the cap bounds it. */
export type ClosedLabels = Readonly<Record<string, readonly string[] | null>>;

export interface Count {
  inc(by?: number): void;
}
export interface Level {
  set(value: number): void;
}
/** Values in the order of the labels. Cheap: the child is looked up, never made twice. */
export type Family<Child> = (...values: readonly string[]) => Child;

/** How the values that several processes tell become one; a sum unless said. `first`: the supervisor's, where it tells one. */
export type Together = 'sum' | 'max' | 'min' | 'first';

export type Row = readonly [labelValues: readonly string[], value: number];

export interface Families {
  readonly counter: (name: string, help: string, labels: ClosedLabels) => Family<Count>;
  readonly gauge: (name: string, help: string, labels: ClosedLabels, together?: Together) => Family<Level>;
  /** Without labels, read when scraped. Undefined: no series now. @param together `counter`: a sum that only grows. */
  readonly reading: (
    name: string,
    help: string,
    read: () => number | undefined,
    together?: Together | 'counter',
  ) => void;
  /** Read when scraped; rows that are no longer told vanish. */
  readonly table: (
    name: string,
    help: string,
    labelNames: readonly string[],
    read: () => readonly Row[],
    together?: Together,
  ) => void;
  /** @param overflow `none` when all children are made at the start, so that no room is kept for one under `other`. */
  readonly histogram: (
    name: string,
    help: string,
    labels: ClosedLabels,
    buckets: readonly number[],
    overflow?: 'other' | 'none',
  ) => Family<Distribution>;
}

export function createFamilies(registry: Registry): Families {
  const others = createBudget(MAX_SERIES.others, FALLBACK_SERIES);
  const histograms = createBudget(MAX_SERIES.histograms, 0);
  // Registered by hand, so that nothing lands in the library's global registry.
  const registers: Registry[] = [];

  function counter(name: string, help: string, labels: ClosedLabels): Family<Count> {
    const cells: Cell[] = [];
    const family = createFamily(labels, { budget: others, linesPerChild: 1 }, (values) => {
      const cell = new Cell(values);
      cells.push(cell);
      return cell;
    });
    registry.registerMetric(
      new Counter<string>({
        name,
        help,
        labelNames: Object.keys(labels),
        registers,
        collect() {
          this.reset();
          for (const cell of cells) this.inc(cell.labels, cell.value);
        },
      }),
    );
    return family;
  }

  function gauge(name: string, help: string, labels: ClosedLabels, aggregator: Together = 'sum'): Family<Level> {
    const metric = new Gauge<string>({ name, help, labelNames: Object.keys(labels), registers, aggregator });
    registry.registerMetric(metric);
    return createFamily(labels, { budget: others, linesPerChild: 1 }, (values) => metric.labels(values));
  }

  function reading(
    name: string,
    help: string,
    read: () => number | undefined,
    together: Together | 'counter' = 'sum',
  ): void {
    others.take(1, true);
    if (together === 'counter') {
      registry.registerMetric(
        new Counter({
          name,
          help,
          registers,
          collect() {
            this.reset();
            this.inc(read() ?? 0);
          },
        }),
      );
      return;
    }
    registry.registerMetric(
      new Gauge({
        name,
        help,
        registers,
        aggregator: together,
        collect() {
          this.remove();
          const value = read();
          if (value !== undefined) this.set(value);
        },
      }),
    );
  }

  function table(
    name: string,
    help: string,
    labelNames: readonly string[],
    read: () => readonly Row[],
    aggregator: Together = 'sum',
  ): void {
    let granted = 0;
    registry.registerMetric(
      new Gauge<string>({
        name,
        help,
        labelNames,
        registers,
        aggregator,
        collect() {
          this.reset();
          const rows = read();
          while (granted < rows.length && others.take(1, true)) granted += 1;
          for (const [values, value] of rows.slice(0, granted)) this.set(labelled(labelNames, values), value);
        },
      }),
    );
  }

  function histogram(
    name: string,
    help: string,
    labels: ClosedLabels,
    buckets: readonly number[],
    overflow: 'other' | 'none' = 'other',
  ): Family<Distribution> {
    const { metric, child } = createHistogram(name, help, buckets);
    registry.registerMetric(metric);
    // Besides the buckets: +Inf, sum and count.
    return createFamily(labels, { budget: histograms, linesPerChild: buckets.length + 3, overflow }, child);
  }

  return { counter, gauge, reading, table, histogram };
}

function labelled(names: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? OTHER]));
}

/** A counter's value; the library is told when somebody scrapes, not on each Check. */
class Cell implements Count {
  value = 0;
  readonly labels: Record<string, string>;

  constructor(labels: Record<string, string>) {
    this.labels = labels;
  }

  inc(by = 1): void {
    this.value += by;
  }
}

interface Budget {
  /** False when the lines don't fit any more. `forOther`: the reserve may be used. */
  take(lines: number, forOther?: boolean): boolean;
}

function createBudget(lines: number, reserve: number): Budget {
  let left = lines;
  return {
    take(wanted, forOther = false) {
      if (left - wanted < (forOther ? 0 : reserve)) return false;
      left -= wanted;
      return true;
    },
  };
}

/** More lookups than any closed set has: beyond, a caller is passing text that is no label. */
const MAX_LOOKUPS = 5000;

function createFamily<Child>(
  labels: ClosedLabels,
  { budget, linesPerChild, overflow = 'other' }: { budget: Budget; linesPerChild: number; overflow?: 'other' | 'none' },
  make: (labels: Record<string, string>) => Child,
): Family<Child> {
  const names = Object.keys(labels);
  const closed = names.map((name) => labels[name] ?? null);
  const made = new Map<string, Child>();
  const lookups = new Map<string, unknown>();
  let lookupCount = 0;
  // Taken now and made when needed: there is always a place to count.
  if (overflow === 'other') budget.take(linesPerChild, true);
  let last: Child | undefined;
  const lastResort = () => (last ??= make(labelled(names, [])));
  if (names.length === 0) {
    lastResort(); // Shown as 0 from the start.
    return lastResort;
  }

  function place(values: readonly string[]): Child {
    const exact = values.map((value, index) => (closed[index]?.includes(value) === false ? OTHER : value));
    for (let others = 0; others < names.length; others++) {
      const tried = exact.map((value, index) => (index < others ? OTHER : value));
      const known = made.get(tried.join('|'));
      if (known !== undefined) return known;
      if (tried.some((value) => value !== OTHER) && budget.take(linesPerChild, others > 0)) {
        const child = make(labelled(names, tried));
        made.set(tried.join('|'), child);
        return child;
      }
    }
    return lastResort();
  }

  return (...values) => {
    let level = lookups;
    const end = names.length - 1;
    for (let index = 0; index < end; index++) {
      const value = values[index] ?? OTHER;
      let next = level.get(value) as Map<string, unknown> | undefined;
      if (next === undefined) {
        if (lookupCount >= MAX_LOOKUPS) return place(values);
        lookupCount += 1;
        level.set(value, (next = new Map()));
      }
      level = next;
    }
    const value = values[end] ?? OTHER;
    const known = level.get(value) as Child | undefined;
    if (known !== undefined) return known;
    const child = place(values);
    if (lookupCount < MAX_LOOKUPS) {
      lookupCount += 1;
      level.set(value, child);
    }
    return child;
  };
}
