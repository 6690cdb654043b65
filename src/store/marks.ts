/**
 * What this process knows of the marks, and the horizon that follows. A mark is `run_id:horizonMs`, one per lane. Redis gives every
 * process a new run id, and a replicated or reloaded mark still names the old one: so a promoted, a restarted and an emptied server
 * are all recognised at the first fenced verb, by whoever comes first, with no memory of its own.
 */
import { StoreFault } from '../core/fault.ts';

const MARK = /^[0-9a-f]{40}:([0-9]{1,16})$/;

/** Equals no mark, so the first answer brings the present one. */
const UNKNOWN = 'unknown';

export interface Marks {
  /** For ARGV[1] of the fence. */
  known(lane: number): string;
  /** @throws {StoreFault} `protocol` */
  adopt(lane: number, mark: unknown): void;
  /** Largest of all lanes; undefined until every lane has been asked. Never decreases. */
  horizonMs(): number | undefined;
  /** One lane of each server process that holds any. */
  lanePerPrimary(): readonly number[];
}

/** @param onHorizon `raised` is false only for the first one: nobody has judged before it. */
export function createMarks(lanes: number, onHorizon: (horizonMs: number, raised: boolean) => void): Marks {
  const marks: string[] = Array.from({ length: lanes }, () => UNKNOWN);
  let unknownLanes = lanes;
  let horizonMs = 0;
  return {
    known: (lane) => marks[lane] ?? UNKNOWN,
    adopt(lane, mark) {
      const digits = typeof mark === 'string' ? MARK.exec(mark)?.[1] : undefined;
      const laneHorizonMs = Number(digits);
      if (typeof mark !== 'string' || !Number.isSafeInteger(laneHorizonMs))
        throw new StoreFault('protocol', 'a mark that is none');
      const isFirst = unknownLanes > 0;
      if (marks[lane] === UNKNOWN) unknownLanes -= 1;
      marks[lane] = mark;
      const roseMs = Math.max(horizonMs, laneHorizonMs);
      const hasRisen = roseMs > horizonMs;
      horizonMs = roseMs;
      if (isFirst ? unknownLanes === 0 : hasRisen) onHorizon(horizonMs, !isFirst);
    },
    horizonMs: () => (unknownLanes > 0 ? undefined : horizonMs),
    lanePerPrimary() {
      const laneOf = new Map(marks.map((mark, lane) => [mark.slice(0, 40), lane]));
      return [...laneOf.values()];
    },
  };
}
