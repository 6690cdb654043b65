/**
 * A histogram that is cheap to observe: a Check has some seven observations, and the library's own hash their labels each time.
 * The library still renders it, and sums it over processes.
 */
import type { Histogram } from 'prom-client';

export interface Distribution {
  observe(value: number): void;
}

export interface CheapHistogram {
  /** For the registry. */
  readonly metric: Histogram<string>;
  /** One per set of labels; the caller keeps it. */
  child(labels: Readonly<Record<string, string>>): Distribution;
}

/** @param bounds upper bounds, inclusive, ascending. */
export function createHistogram(name: string, help: string, bounds: readonly number[]): CheapHistogram {
  const cells: Cell[] = [];
  const metric = {
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    get: () => Promise.resolve({ name, help, type: 'histogram', aggregator: 'sum', values: cells.flatMap(valuesOf) }),
    reset: () => cells.splice(0),
  };

  function valuesOf({ labels, counts, sum }: Cell) {
    let below = 0;
    const buckets = [...bounds, '+Inf'].map((le, index) => {
      below += counts[index] ?? 0;
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: below };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: below },
    ];
  }

  return {
    // What the registry uses of a metric; the rest of the library's class is about observing.
    metric: metric as unknown as Histogram<string>,
    child(labels) {
      const cell = new Cell(labels, bounds);
      cells.push(cell);
      return cell;
    },
  };
}

class Cell implements Distribution {
  readonly labels: Readonly<Record<string, string>>;
  /** By bucket, not cumulative; the last one is what lies above all bounds. */
  readonly counts: number[];
  sum = 0;
  readonly #bounds: readonly number[];

  constructor(labels: Readonly<Record<string, string>>, bounds: readonly number[]) {
    this.labels = labels;
    this.#bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  /** What is no number leaves no trace: one NaN would spoil the sum for ever. */
  observe(value: number): void {
    if (!Number.isFinite(value)) return;
    let index = 0;
    while (index < this.#bounds.length && value > (this.#bounds[index] ?? 0)) index += 1;
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.sum += value;
  }
}
