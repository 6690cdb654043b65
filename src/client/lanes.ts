/** Lanes of one process: the lowest free one first; who finds none waits for the next that is given back. Keeping them is the caller's. */
import { CountersignError } from '../core/client-error.ts';
import type { ChainStorage, HeldLane } from '../schemes/time-scrambled/client-state.ts';

/** @param keep resolves when all these texts are kept. */
export function lanesOf(texts: readonly string[], keep: (texts: readonly string[]) => Promise<void>): ChainStorage {
  let lanes = [...texts];
  const taken = new Set<number>();
  const waiting: (() => void)[] = [];

  function hold(lane: number): HeldLane {
    taken.add(lane);
    let isHeld = true;
    return {
      text: lanes[lane] ?? '',
      async write(text) {
        if (!isHeld) throw new CountersignError('key_unusable', 'the lane was given back');
        lanes[lane] = text;
        await keep(lanes);
      },
      release() {
        if (!isHeld) return;
        isHeld = false;
        taken.delete(lane);
        waiting.shift()?.();
      },
    };
  }

  return {
    async take() {
      if (lanes.length === 0) throw new CountersignError('key_unusable', 'no chain is enrolled here');
      for (;;) {
        const free = lanes.findIndex((_, lane) => !taken.has(lane));
        if (free !== -1) return hold(free);
        await new Promise<void>((resolve) => void waiting.push(resolve));
      }
    },
    read: async () => lanes,
    async replace(next) {
      lanes = [...next];
      await keep(lanes);
    },
  };
}
