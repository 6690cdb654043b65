/** What a front gives a verifier beside the request, written down. */
import type { CheckCall, Stage } from '../../src/core/scheme.ts';

export interface WatchedCall extends CheckCall {
  readonly signal: { aborted: boolean };
  readonly stages: Stage[];
  readonly ages: number[];
}

export function checkCall(): WatchedCall {
  const stages: Stage[] = [];
  const ages: number[] = [];
  return {
    signal: { aborted: false },
    stages,
    ages,
    stageDone: (stage) => stages.push(stage),
    proofAge: (ageMs) => ages.push(ageMs),
  };
}
