/** better-auth, put together. Start with README.md; the judgement is `access.ts`, accounts and sessions are `v1/` and `v0/`. */
import { wireCode } from '../../core/decision.ts';
import { defineScheme } from '../../core/scheme.ts';
import { formatAuthHeader } from '../../encoding/auth-header.ts';
import { verify } from './access.ts';
import { AUTH_SCHEME, SCHEME } from './message.ts';
import { createParts, EVENT_COUNTER, EVENTS } from './parts.ts';
import { keyEndpoints } from './published-keys.ts';
import { revokeCall } from './revoke-call.ts';
import { PER_ROUTE, settings as settingsSchema } from './settings.ts';
import { createV0 } from './v0/index.ts';
import { createV1 } from './v1/index.ts';

export const betterAuth = defineScheme({
  name: SCHEME,
  settings: settingsSchema,
  perRoute: PER_ROUTE,
  publicKeys: false,
  namesAccounts: true,
  issuesTokens: false,
  keyUses: ({ issuer, versions, v0 }) =>
    issuer === 'external'
      ? []
      : [
          'response-signing',
          'access-signing',
          ...(versions.includes('v0') && v0.passphrase ? (['pepper'] as const) : []),
        ],
  counters: {
    [EVENT_COUNTER]: {
      help: 'Sessions ended for a stolen nonce, and recovery keys replaced.',
      labels: { event: Object.keys(EVENTS) },
    },
  },
  events: EVENTS,

  create(settings, resources) {
    const parts = createParts(settings, resources);
    const versions = { v0: createV0(parts), v1: createV1(parts) };
    const spoken = settings.versions.map((version) => versions[version]);
    const { carriers, accessWindowMs, challengeLifetimeMs, v1, v0, issuer } = settings;
    const prefixes = { v0: v0.pathPrefix, v1: v1.pathPrefix };
    return {
      name: SCHEME,
      verify: (request, policy, call) => verify(parts, versions, request, policy, call),
      endpoints: [
        ...spoken.flatMap(({ endpoints }) => endpoints),
        ...(issuer === 'local' ? [...keyEndpoints(parts), revokeCall(spoken)] : []),
      ],
      challenges: ({ realm }, refused) => [
        formatAuthHeader(AUTH_SCHEME, {
          realm,
          ...(refused !== undefined && { error: wireCode(refused.denial.code) }),
        }),
      ],
      discovery: {
        profiles: settings.versions,
        parameters: { carriers, accessWindowMs, challengeLifetimeMs, v1Registration: v1.registration },
        endpoints:
          issuer === 'local'
            ? Object.fromEntries(settings.versions.map((version) => [version, prefixes[version]]))
            : {},
      },
    };
  },
});
