/** challenge-signature, put together. Start with README.md; the judgement is `verify.ts`. */
import { wireCode } from '../../core/decision.ts';
import { defineScheme } from '../../core/scheme.ts';
import { encodeBase64url } from '../../encoding/base64url.ts';
import { createChallenges } from './challenge.ts';
import { challengeEndpoint } from './endpoints.ts';
import { formatChallengeLine, SCHEME, type IssuedChallenge } from './message.ts';
import { settings as settingsSchema } from './settings.ts';
import { createState } from './state.ts';
import { verify } from './verify.ts';

export const challengeSignature = defineScheme({
  name: SCHEME,
  settings: settingsSchema,
  perRoute: ['accept'],
  publicKeys: true,
  issuesTokens: false,
  keyUses: ({ challenges, accept }) =>
    challenges === 'stateless' || accept.includes('stateless') ? ['challenge-mac'] : [],
  counters: {},

  create(settings, resources) {
    const { challenges: kind, accept, lifetimeMs, inBand } = settings;
    const challenges = createChallenges(resources);
    const state = createState(resources, lifetimeMs);

    function next(tenant: string, user: string): IssuedChallenge | undefined {
      if (!inBand) return undefined;
      const nowMs = resources.clock.nowMs();
      const challenge = encodeBase64url(challenges.makeStateless(tenant, user, nowMs));
      return { challenge, expiresAtMs: nowMs + lifetimeMs };
    }

    const parts = { resources, lifetimeMs, challenges, state, next };
    return {
      name: SCHEME,
      verify: (request, policy, call) => verify(parts, request, policy, call),
      endpoints: [challengeEndpoint({ settings, resources, challenges, state })],
      challenges({ realm }, refused) {
        if (refused === undefined) return [formatChallengeLine(realm)];
        const { code, options } = refused.denial;
        return [formatChallengeLine(realm, wireCode(code), options.hint as IssuedChallenge | undefined)];
      },
      discovery: { profiles: accept, parameters: { challenges: kind, lifetimeMs, inBand } },
    };
  },
});
