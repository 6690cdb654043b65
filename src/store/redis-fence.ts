/**
 * Runs the fenced scripts and judges what every one of their replies says besides the verb's answer: the server's time and the mark.
 * The scripts are `redis-scripts.ts`, the books `marks.ts` and `store-clock.ts`.
 */
import type { Clock } from '../core/clock.ts';
import { StoreFault } from '../core/fault.ts';
import type { Marks } from './marks.ts';
import type { Commands } from './redis-commands.ts';
import type { Arguments } from './redis-link.ts';
import { PULSE, RAISE, type Script } from './redis-scripts.ts';
import type { StoreClock } from './store-clock.ts';

export interface Fence {
  /**
   * Runs one script on one record of a lane.
   *
   * @param via another way than the request connection.
   * @returns `[name, serverMs, ...]`; the name is never `mark` or `late`.
   * @throws {StoreFault} `horizon_moved` after a new mark was adopted, `clock`, `protocol`, and what `via` throws.
   */
  run(script: Script, lane: number, recordKey: string, args: Arguments, via?: Evaluator): Promise<readonly unknown[]>;
  /** Learns the lane's mark and the server's time. @throws {StoreFault} */
  pulse(lane: number): Promise<void>;
  /** Raises the horizon on all lanes, after which the clock counts as good. @throws {StoreFault} */
  raise(): Promise<void>;
}

export type Evaluator = Pick<Commands, 'evaluate'>;

export interface FenceParts {
  readonly commands: Commands;
  readonly marks: Marks;
  readonly storeClock: StoreClock;
  readonly clock: Clock;
  readonly skewMs: number;
  readonly keyPrefix: string;
  readonly lanes: number;
  /** The clock has left its bounds or stepped. */
  readonly onClock: () => void;
}

export function createFence(parts: FenceParts): Fence {
  const { commands, marks, storeClock, clock, skewMs, onClock } = parts;
  const laneNumbers = Array.from({ length: parts.lanes }, (_, lane) => lane);
  const markKeys = laneNumbers.map((lane) => `${parts.keyPrefix}{${lane}}:m`);
  const markKey = (lane: number) => markKeys[lane] as string;

  /** @returns the reply's name. */
  const read = (
    lane: number,
    sentMs: number,
    reply: unknown,
    isPrompt = true,
  ): { name: unknown; fields: readonly unknown[] } => {
    if (!Array.isArray(reply)) throw new StoreFault('protocol', 'a script answered something else than an array');
    const fields: readonly unknown[] = reply;
    const [name, serverMs] = fields;
    if (!Number.isSafeInteger(serverMs)) throw new StoreFault('protocol', 'a script answered without a time');
    if (isPrompt) storeClock.observe(lane, sentMs, clock.nowMs(), serverMs as number);
    if (name === 'mark') marks.adopt(lane, fields[2]);
    return { name, fields };
  };

  const requireGoodClock = () => {
    if (storeClock.state() === 'good') return;
    throw new StoreFault(
      'clock',
      `the server's clock is off by ${Math.round(storeClock.offsetMs())} ms or has stepped`,
    );
  };

  return {
    async run(script, lane, recordKey, args, via = commands) {
      const sentMs = clock.nowMs();
      const view = [markKey(lane), recordKey, marks.known(lane), skewMs, sentMs];
      const reply = await via.evaluate(script, [...view, ...args]);
      // Another way waits for replicas after the script has run: by then its time is old, and says nothing about the clock.
      const { name, fields } = read(lane, sentMs, reply, via === commands);
      if (storeClock.state() !== 'good') onClock();
      requireGoodClock();
      if (name === 'mark')
        throw new StoreFault('horizon_moved', 'the server process is another one, or lost its records');
      if (name === 'late')
        throw new StoreFault('clock', 'a claim would have expired at once by the clock of the server');
      return fields;
    },
    async pulse(lane) {
      const sentMs = clock.nowMs();
      const reply = await commands.evaluate(PULSE, [markKey(lane), marks.known(lane), skewMs, sentMs]);
      const { name } = read(lane, sentMs, reply);
      if (name !== 'ok' && name !== 'mark') throw new StoreFault('protocol', 'a pulse was answered by something else');
    },
    async raise() {
      await Promise.all(
        laneNumbers.map(async (lane) => {
          const sentMs = clock.nowMs();
          const { name, fields } = read(lane, sentMs, await commands.evaluate(RAISE, [markKey(lane), skewMs, sentMs]));
          if (name !== 'ok') throw new StoreFault('protocol', 'a raise was answered by something else');
          marks.adopt(lane, fields[2]);
        }),
      );
      storeClock.raised();
      requireGoodClock();
    },
  };
}
