/** opaque-pop, put together. Start with README.md; the judgement is `verify.ts`. */
import { wireCode } from '../../core/decision.ts';
import { defineScheme } from '../../core/scheme.ts';
import { adminEndpoints } from './admin.ts';
import { registrationEndpoints, strictEndpoints } from './endpoints.ts';
import { createEngine } from './engine.ts';
import { createLogins } from './logins.ts';
import { formatStrictChallenge, SCHEME, type Profile } from './message.ts';
import { createRegistering } from './registration.ts';
import { createRegistrations } from './registrations.ts';
import { seedEndpoints } from './seed-endpoints.ts';
import { formatSeedChallenge } from './seed-message.ts';
import { settings as settingsSchema, type Settings } from './settings.ts';
import { createSessions } from './state.ts';
import { verify } from './verify.ts';

/** Jobs take 0.1 ms to a few ms; what lies beyond waited for a core. */
const JOB_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25];

export const opaquePop = defineScheme({
  name: SCHEME,
  settings: settingsSchema,
  perRoute: ['profiles'],
  publicKeys: false,
  issuesTokens: false,
  keyUses: () => ['wrap', 'opaque-setup'],
  counters: {},
  histograms: {
    opaque_job_seconds: {
      help: 'Jobs of the OPAQUE threads, waiting left out.',
      labels: { op: ['registration_response', 'login_start', 'login_finish'] },
      buckets: JOB_SECONDS,
    },
  },
  gauges: { opaque_queue_depth: 'Jobs that wait for an OPAQUE thread.' },

  create(settings, resources) {
    const engine = createEngine(resources);
    const registrations = createRegistrations(resources);
    const parts = {
      resources,
      settings,
      engine,
      registrations,
      registering: createRegistering(resources, engine, registrations),
      logins: createLogins(resources, settings.loginLifetimeMs),
      sessions: createSessions(resources, settings.idleMs),
    };
    const { profiles, windowMs, futureMs, seedWindowMs, idleMs, absoluteMs, ksf } = settings;
    return {
      name: SCHEME,
      verify: (request, policy, call) => verify(parts, request, policy, call),
      endpoints: [
        ...registrationEndpoints(parts),
        ...(profiles.includes('strict') ? strictEndpoints(parts) : []),
        ...(profiles.includes('seed') ? seedEndpoints(parts) : []),
        ...adminEndpoints(resources, registrations),
      ],
      challenges: ({ realm, options }, refused) =>
        (options as Settings).profiles.map((profile: Profile) => {
          const denial = refused?.denial.options.hint === profile ? refused.denial : undefined;
          return profile === 'strict'
            ? formatStrictChallenge(realm, denial && wireCode(denial.code))
            : formatSeedChallenge(realm, denial !== undefined);
        }),
      discovery: { profiles, parameters: { windowMs, futureMs, seedWindowMs, idleMs, absoluteMs, ksf } },
      forget: (tenant, user) => registrations.remove(tenant, user),
      close: () => engine.close(),
    };
  },
});
