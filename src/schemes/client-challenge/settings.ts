/** Settings of `schemes.client-challenge`: unit, default and reason of each stand in its description, which the reference prints. */
import * as v from 'valibot';
import { within } from '../../core/clock.ts';
import { duration, keyId, origin } from '../../core/settings.ts';

const AUDIENCES = 'a list of origins, at least one';
const PROFILES = '"strict" or "seed"';
const LABEL = 'words of A-Z a-z 0-9 _ joined by single hyphens, such as "ConnectOnion-Auth"';
const FILE = 'an absolute path';

export const settings = v.pipe(
  v.strictObject({
    profiles: v.optional(
      v.pipe(
        v.array(v.picklist(['strict', 'seed'], PROFILES)),
        v.minLength(1, 'at least one profile'),
        v.description(
          "Forms of login that are taken. `strict`: labelled bytes with audience and nonce. `seed`: the seed document's own, which can be relayed from site to site within its window.",
        ),
      ),
      ['strict'],
    ),
    accounts: v.optional(
      v.pipe(
        v.picklist(['listed', 'open'], '"listed" or "open"'),
        v.description(
          'Who may log in. `listed`: keys of user records. `open`: besides them every key, as the user that is named by its thumbprint.',
        ),
      ),
      'listed',
    ),
    audiences: v.optional(
      v.pipe(
        v.array(origin(), AUDIENCES),
        v.minLength(1, AUDIENCES),
        v.maxLength(64, AUDIENCES),
        v.description(
          'Sites that a login may be for; tokens of the seed profile are for the first. Default: `issuer.audiences`.',
        ),
      ),
    ),
    window: v.optional(
      v.pipe(
        duration({ min: '5s', max: '300s' }),
        v.description('Oldest accepted login: clients that run behind, and slow networks. Nonces are kept as long.'),
      ),
      '60s',
    ),
    future: v.optional(
      v.pipe(
        duration({ max: '60s' }),
        v.description(
          'How far ahead a login may be dated: clients that run ahead. After a store loss it adds to the wait.',
        ),
      ),
      '5s',
    ),
    seedWindow: v.optional(
      v.pipe(
        duration({ min: '10s', max: '300s' }),
        v.description('The same for the seed profile, both ways. After a store loss its logins wait as long.'),
      ),
      '300s',
    ),
    seedLabel: v.optional(
      v.pipe(
        v.string(LABEL),
        v.maxLength(120, LABEL),
        v.regex(/^[A-Za-z0-9_]{1,40}(-[A-Za-z0-9_]{1,40})*$/, LABEL),
        v.description('What the messages of the seed profile begin with.'),
      ),
      'ConnectOnion-Auth',
    ),
    lifetime: v.optional(
      v.pipe(
        duration({ min: '1m', max: '1h' }),
        v.description('Life of a token: a stolen one works that long, and clients log in that often.'),
      ),
      '10m',
    ),
    seedLifetime: v.optional(
      v.pipe(duration({ min: '1m', max: '24h' }), v.description('The same for the seed profile.')),
      '24h',
    ),
    maxLifetime: v.optional(
      v.pipe(
        duration({ min: '1m', max: '24h' }),
        v.description(
          'Longest life that a token may claim. Default: the longer of those of the enabled profiles. Keep an earlier, longer one until the tokens made under it have expired.',
        ),
      ),
    ),
    algorithm: v.optional(
      v.pipe(
        v.picklist(['EdDSA', 'ES256'], '"EdDSA" or "ES256"'),
        v.description(
          'Of the tokens; the active `token-signing` key must be of it. `ES256` for other services that know no Ed25519.',
        ),
      ),
      'EdDSA',
    ),
    binding: v.optional(
      v.pipe(
        v.picklist(['off', 'offered', 'required'], '"off", "offered" or "required"'),
        v.description(
          'Whether a login may, or must, name a key that has to prove itself with each request. Such tokens pass only on routes that take the scheme `dpop`.',
        ),
      ),
      'off',
    ),
    revokedTokens: v.optional(
      v.pipe(
        v.boolean(),
        v.description('Whether single tokens can be revoked. Costs a store read with every request.'),
      ),
      false,
    ),
    seedHs256: v.optional(
      v.pipe(
        v.strictObject({
          secretFile: v.pipe(
            v.string(FILE),
            v.regex(/^\/[^\0]{1,1023}$/, FILE),
            v.description('The secret, at least 32 bytes of text; a secret file.'),
          ),
          kid: v.pipe(keyId(), v.description('`kid` of these tokens.')),
        }),
        v.description(
          'Seed profile only: its tokens are made with a secret that other services share. Whoever can verify them can make them.',
        ),
      ),
    ),
  }),
  v.check(({ audiences }) => audiences !== undefined, 'audiences here, or issuer.audiences'),
  v.check(({ profiles }) => new Set(profiles).size === profiles.length, 'each profile once'),
  v.check(
    ({ profiles, seedHs256 }) => seedHs256 === undefined || profiles.includes('seed'),
    'seedHs256 only with the profile "seed": it would have no effect',
  ),
  v.check(
    ({ profiles, binding }) => binding !== 'required' || !profiles.includes('seed'),
    'binding "required" only without the profile "seed": its logins name no key, so their tokens would be bound to none',
  ),
  v.check(
    ({ maxLifetime, ...others }) =>
      maxLifetime === undefined || within(longestLifetime(others), maxLifetime, Number.MAX_SAFE_INTEGER),
    'maxLifetime to be no shorter than the lifetimes of the enabled profiles: their tokens would be refused',
  ),
  v.transform(({ audiences = [], window, future, seedWindow, lifetime, seedLifetime, maxLifetime, ...others }) => ({
    ...others,
    audiences,
    windowMs: window,
    futureMs: future,
    seedWindowMs: seedWindow,
    lifetimeMs: lifetime,
    seedLifetimeMs: seedLifetime,
    maxLifetimeMs: maxLifetime ?? longestLifetime({ profiles: others.profiles, lifetime, seedLifetime }),
  })),
);

export type Settings = v.InferOutput<typeof settings>;

function longestLifetime(given: {
  readonly profiles: readonly string[];
  readonly lifetime: number;
  readonly seedLifetime: number;
}): number {
  return Math.max(
    given.profiles.includes('strict') ? given.lifetime : 0,
    given.profiles.includes('seed') ? given.seedLifetime : 0,
  );
}
