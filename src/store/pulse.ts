/** A loop of beats that never overlap; each says when the next is due. */
export interface Pulse {
  /** A beat now, or right after the one that runs. */
  readonly soon: () => void;
  readonly stop: () => void;
}

/** @param beat never rejects; its result is in ms. */
export function createPulse(beat: () => Promise<number>): Pulse {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isBeating = false;
  /** How often a beat was asked for. */
  let wanted = 0;
  let isStopped = false;

  const run = async () => {
    clearTimeout(timer);
    isBeating = true;
    const wantedBefore = wanted;
    const delayMs = await beat();
    isBeating = false;
    if (isStopped) return;
    timer = setTimeout(() => void run(), wanted > wantedBefore ? 0 : delayMs);
  };

  return {
    soon() {
      if (isStopped) return;
      wanted += 1;
      if (!isBeating) void run();
    },
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
