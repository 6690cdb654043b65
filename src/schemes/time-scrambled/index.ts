/** time-scrambled, put together. Start with README.md; the judgement is `verify.ts`. */
import { wireCode } from '../../core/decision.ts';
import { defineScheme } from '../../core/scheme.ts';
import { RESYNCS } from './answers.ts';
import { endpoints } from './endpoints.ts';
import { formatChallengeLine, PROFILES, SCHEME, type Resync } from './message.ts';
import { settings as settingsSchema } from './settings.ts';
import { createFirstUses } from './first-use.ts';
import { createState } from './state.ts';
import { verify } from './verify.ts';

export const timeScrambled = defineScheme({
  name: SCHEME,
  settings: settingsSchema,
  perRoute: ['profiles'],
  publicKeys: false,
  issuesTokens: false,
  keyUses: ({ profiles }) => (profiles.includes('keyed') ? ['pepper', 'wrap'] : ['pepper']),
  counters: {
    time_scrambled_resyncs_total: {
      help: 'Refusals that showed a client the head of its chain, by how it stood to it.',
      labels: { profile: PROFILES, outcome: RESYNCS },
    },
    time_scrambled_renewals_total: {
      help: 'New chains: in force, waiting for the token that proves them, or dropped because somebody altered them.',
      labels: { profile: PROFILES, outcome: ['committed', 'pending', 'dropped'] },
    },
  },

  events: {
    renewal_dropped: 'a new chain was altered on its way; the old one goes on',
    first_use: 'an unknown chain was begun by its first token, as permitted',
  },

  create(settings, resources) {
    const state = createState(resources);
    const parts = { resources, settings, state, firstUses: createFirstUses(resources) };
    const { profiles, windowMs, allowAhead, seedAllowAhead, maxSkip, maxChain } = settings;
    return {
      name: SCHEME,
      verify: (request, policy, call) => verify(parts, request, policy, call),
      endpoints: endpoints(parts),
      challenges({ realm }, refused) {
        if (refused === undefined) return [formatChallengeLine(realm)];
        const { code, options } = refused.denial;
        return [formatChallengeLine(realm, wireCode(code), options.hint as Resync | undefined)];
      },
      discovery: { profiles, parameters: { windowMs, allowAhead, seedAllowAhead, maxSkip, maxChain } },
    };
  },
});
