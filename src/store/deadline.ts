/**
 * One deadline for every command of a connection: a queue in order of sending and one timer for its head, since a timer per
 * command would cost more than the command. Its time begins when the turn of the event loop ends, which is when the command is
 * sent: a turn longer than the limit would else call a server silent that has not been asked yet. Times are monotonic ms.
 */
import { StoreFault } from '../core/fault.ts';

export interface Deadline {
  /** Settles as `command` does, or is refused with `timeout`. The command goes on: its fate is unknown. */
  bound<Reply>(command: Promise<Reply>): Promise<Reply>;
  /** Ends it: resolves when no command is unanswered, at the latest when the limit has passed. */
  drained(): Promise<void>;
}

interface Waiting {
  /** Infinite while the command is not sent. */
  untilMs: number;
  isSettled: boolean;
  readonly expire: () => void;
}

export function createDeadline(limitMs: number, monotonicMs: () => number): Deadline {
  let queue: Waiting[] = [];
  let head = 0;
  let unanswered = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isTurnOpen = false;
  let onDrained: (() => void) | undefined;

  const arm = (delayMs: number) => {
    // A loop that was blocked runs its timers before it reads its sockets: answers that have arrived meanwhile come first. What ran
    // out only while it read may have been answered since, so that is judged the next time.
    timer = setTimeout(() => setImmediate(expireLate, monotonicMs()), delayMs);
  };

  const expireLate = (nowMs: number) => {
    timer = undefined;
    while (head < queue.length) {
      const waiting = queue[head] as Waiting;
      if (!waiting.isSettled) {
        if (waiting.untilMs > nowMs) break;
        waiting.expire();
      }
      head += 1;
    }
    const next = queue[head];
    if (next === undefined) {
      queue = [];
      head = 0;
      return;
    }
    if (head > 1024) {
      queue = queue.slice(head);
      head = 0;
    }
    if (next.untilMs < Infinity) arm(Math.max(1, next.untilMs - monotonicMs()));
  };

  const endTurn = () => {
    isTurnOpen = false;
    const untilMs = monotonicMs() + limitMs;
    for (let at = queue.length - 1; at >= head && queue[at]?.untilMs === Infinity; at -= 1)
      (queue[at] as Waiting).untilMs = untilMs;
    if (timer === undefined && head < queue.length) arm(limitMs);
  };

  const settled = (waiting: Waiting) => {
    waiting.isSettled = true;
    unanswered -= 1;
    if (unanswered === 0) onDrained?.();
  };

  return {
    bound: <Reply>(command: Promise<Reply>) =>
      new Promise<Reply>((resolve, reject) => {
        const waiting: Waiting = {
          untilMs: Infinity,
          isSettled: false,
          expire() {
            settled(waiting);
            reject(new StoreFault('timeout', `no answer within ${limitMs} ms`));
          },
        };
        unanswered += 1;
        queue.push(waiting);
        if (!isTurnOpen) {
          isTurnOpen = true;
          setImmediate(endTurn);
        }
        const end = (settle: () => void) => {
          if (waiting.isSettled) return;
          settled(waiting);
          settle();
        };
        const answered = (reply: Reply) => end(() => resolve(reply));
        const failed = (error: unknown) => end(() => reject(error));
        command.then(answered, failed);
      }),
    async drained() {
      if (unanswered > 0) await new Promise<void>((resolve) => (onDrained = resolve));
      clearTimeout(timer);
    },
  };
}
