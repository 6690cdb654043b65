/** Lanes of one process: the lowest free one first; who finds none waits for the next that is given back. Keeping them is the caller's. */
import { CountersignError } from '../core/client-error.ts';
import type { ChainStorage, HeldLane } from '../schemes/time-scrambled/client-state.ts';

/** @param keep resolves when all these texts are kept. */
export function lanesOf(texts: readonly string[], keep: (texts: readonly string[]) => Promise<void>): ChainStorage {
  let lanes = [...texts];
  let taken = new Set<number>();
  const waiting: (() => void)[] = [];

  function hold(lane: number): HeldLane {
    const holders = taken;
    holders.add(lane);
    let isReleased = false;
    // Not after it was given back, and not when other chains have taken the place of these.
    const isHeld = () => !isReleased && holders === taken;
    return {
      text: lanes[lane] ?? '',
      async write(text) {
        if (!isHeld()) throw new CountersignError('key_unusable', 'the lane was given back');
        lanes[lane] = text;
        await keep(lanes);
      },
      release() {
        if (isReleased) return;
        isReleased = true;
        holders.delete(lane);
        waiting.shift()?.();
      },
    };
  }

  /** @throws the signal's reason. */
  function nextReleased(signal: AbortSignal | null | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        waiting.splice(waiting.indexOf(wake), 1);
        reject(signal?.reason as Error); // Whatever the caller aborted with goes on as it is.
      };
      const wake = () => {
        signal?.removeEventListener('abort', giveUp);
        resolve();
      };
      waiting.push(wake);
      signal?.addEventListener('abort', giveUp, { once: true });
    });
  }

  return {
    async take(signal) {
      for (;;) {
        if (signal?.aborted === true) {
          // Perhaps just woken: the lane is for the next one then.
          waiting.shift()?.();
          signal.throwIfAborted();
        }
        if (lanes.length === 0) throw new CountersignError('key_unusable', 'no chain is enrolled here');
        const free = lanes.findIndex((_, lane) => !taken.has(lane));
        if (free !== -1) return hold(free);
        await nextReleased(signal);
      }
    },
    read: async () => lanes,
    async replace(next) {
      lanes = [...next];
      taken = new Set();
      for (const wake of waiting.splice(0)) wake();
      await keep(lanes);
    },
  };
}
