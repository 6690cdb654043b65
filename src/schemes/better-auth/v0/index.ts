/** Wire version v0, the seed's protocol: accounts made by the issuer, sessions whose nonces form a chain. */
import { encode } from '../../../encoding/cesr.ts';
import type { Parts } from '../parts.ts';
import { createChallenges } from '../state.ts';
import type { Version } from '../version.ts';
import { adminEndpoints, revoke } from './admin.ts';
import { LABEL_BYTES } from './authentication.ts';
import { issuerEndpoints } from './endpoints.ts';
import type { V0Parts } from './operation.ts';
import { createRecords } from './records.ts';
import { standing } from './standing.ts';

export function createV0(shared: Parts): Version {
  const { settings, resources, state } = shared;
  const parts: V0Parts = {
    ...shared,
    records: createRecords(shared),
    challenges: createChallenges('v0-challenge', resources, state, settings.challengeLifetimeMs),
    nobody: encode('E', resources.random(LABEL_BYTES)),
  };
  return {
    endpoints: [...issuerEndpoints(parts), ...adminEndpoints(parts)],
    standing: (token, nowMs) => standing(parts, token, nowMs),
    revoke: (subject, what) => revoke(parts, subject, what),
  };
}
