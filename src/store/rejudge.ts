/**
 * Who judged by the old horizon must judge again. A Check compares its proof with the horizon first and claims last; when the
 * horizon rises in between, because another Check of this process met a new mark, the claim would pass the fence unseen.
 * So after a rise every fenced call is refused once, with `horizon_moved`, and passes when it comes back.
 */

/** The largest budget a Check can have: nobody who judged before the rise claims later than this. */
const LONGEST_JUDGEMENT_MS = 5_000;

/** Above this many the oldest are forgotten, and so asked once more. */
const MAX_REMEMBERED = 8_192;

export interface Rejudge {
  horizonRose(): void;
  /**
   * @param call what tells one judgement's call from another's: key and owner, or key and next value.
   * @returns true when the caller must be told `horizon_moved`; its next call passes.
   */
  mustJudgeAgain(call: string): boolean;
  /** The call itself met the new mark, and its caller has been told. */
  wasTold(call: string): void;
}

export function createRejudge(monotonicMs: () => number): Rejudge {
  const told = new Set<string>();
  let untilMs: number | undefined;

  const remember = (call: string) => {
    if (told.size >= MAX_REMEMBERED) told.delete(told.values().next().value as string);
    told.add(call);
  };

  return {
    horizonRose() {
      untilMs = monotonicMs() + LONGEST_JUDGEMENT_MS;
      told.clear();
    },
    mustJudgeAgain(call) {
      if (untilMs === undefined) return false;
      if (monotonicMs() > untilMs) {
        untilMs = undefined;
        told.clear();
        return false;
      }
      if (told.delete(call)) return false;
      remember(call);
      return true;
    },
    wasTold(call) {
      if (untilMs !== undefined) remember(call);
    },
  };
}
