/** A loop of beats that never overlap; each says when the next is due. */
export interface Pulse {
  /** A beat now, or right after the one that runs. */
  soon(): void;
  stop(): void;
}

/** @param beat never rejects; its result is in ms. */
export function createPulse(beat: () => Promise<number>): Pulse {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isBeating = false;
  let isWanted = false;
  let isStopped = false;

  const run = async () => {
    clearTimeout(timer);
    isBeating = true;
    isWanted = false;
    const delayMs = await beat();
    isBeating = false;
    if (isStopped) return;
    timer = setTimeout(() => void run(), isWanted ? 0 : delayMs);
  };

  return {
    soon() {
      if (isStopped) return;
      isWanted = true;
      if (!isBeating) void run();
    },
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
