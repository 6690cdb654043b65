/** What the operations of v1 are given besides what both versions share. */
import { encode } from '../../../encoding/cesr.ts';
import type { Parts } from '../parts.ts';
import { createChallenges, type Challenge, type Challenges } from '../state.ts';
import { createIdentities, type Identities } from './identities.ts';
import { createRefreshes, type Refreshes } from './refreshes.ts';

export interface V1Challenge extends Challenge {
  readonly identity: string;
}

export interface V1Parts extends Parts {
  readonly identities: Identities;
  readonly challenges: Challenges<V1Challenge>;
  readonly refreshes: Refreshes;
  /** An identity, and a commitment, that nobody has: looked up and compared where there is none, at equal cost. */
  readonly nobody: string;
  /** With `publishMarkers`. @param device absent: all of them. */
  publishMark(identity: string, device: string | undefined, nowMs: number): Promise<void>;
}

export function createV1Parts(parts: Parts): V1Parts {
  const { settings, resources, state } = parts;
  return {
    ...parts,
    identities: createIdentities(resources, state, settings.v1.unusedAccountLifetimeMs),
    challenges: createChallenges('v1-challenge', resources, state, settings.challengeLifetimeMs),
    refreshes: createRefreshes(resources, state),
    nobody: encode('E', resources.random(32)),
    async publishMark(identity, device, nowMs) {
      if (settings.publishMarkers) await state.mark(identity, device, nowMs);
    },
  };
}
