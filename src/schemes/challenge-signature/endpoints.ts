/**
 * The endpoint from which clients obtain challenges. It reads no user record: what it answers, and what it costs, is the same for
 * known, unknown and disabled users. Registering keys is `users/`, the same for all schemes with public keys.
 */
import * as v from 'valibot';
import { defineEndpoint, type Endpoint, type Resources } from '../../core/scheme.ts';
import { identifier, tenantMember } from '../../core/settings.ts';
import { sha256 } from '../../crypto/digest.ts';
import { encodeBase64url } from '../../encoding/base64url.ts';
import type { Challenges } from './challenge.ts';
import type { Settings } from './settings.ts';
import type { ChallengeState } from './state.ts';

export interface EndpointParts {
  readonly settings: Settings;
  readonly resources: Resources;
  readonly challenges: Challenges;
  readonly state: ChallengeState;
}

/**
 * `POST <prefix>/challenge-signature/challenge`: `{"user"}` gives `{"challenge","expiresAtMs","timeMs"}`.
 * Any number of challenges may be outstanding: a limit per user would let anybody who knows an id cancel its owner's challenge,
 * or keep it from getting one. What bounds them is the bucket of the address.
 */
export function challengeEndpoint({ settings, resources, challenges, state }: EndpointParts): Endpoint {
  const { clock, limits } = resources;
  return defineEndpoint({
    listener: 'issuer',
    method: 'POST',
    path: 'challenge',
    body: v.strictObject({ user: identifier(), tenant: tenantMember() }),
    bucket: 'own',
    async handle({ body: { user, tenant }, source }) {
      limits.charge([{ bucket: 'challenge', limit: settings.challengeLimit, key: [source] }]);
      const nowMs = clock.nowMs();
      const isStored = settings.challenges === 'stored';
      const challenge = isStored ? challenges.makeStored(nowMs) : challenges.makeStateless(tenant, user, nowMs);
      if (isStored) await state.issue(tenant, user, sha256(challenge));
      const body = { challenge: encodeBase64url(challenge), expiresAtMs: nowMs + settings.lifetimeMs, timeMs: nowMs };
      return { status: 200, body };
    },
  });
}
