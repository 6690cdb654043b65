/** Settings of `schemes.opaque-pop`: unit, default and reason of each stand in its description, which the reference prints. */
import * as v from 'valibot';
import { duration, limit } from '../../core/settings.ts';
import { isKeyStretching, PROFILES, type KeyStretching } from './message.ts';

/** What unchanged clients of the profile `seed` use and can't be told otherwise; and what all others do. */
const SEED_KEY_STRETCHING: KeyStretching = { memoryKib: 19_456, iterations: 2, parallelism: 1 };
const KEY_STRETCHING: KeyStretching = { memoryKib: 65_536, iterations: 3, parallelism: 4 };

const KSF_EXPECTED =
  'memoryKib from 7168 to 1048576, iterations and parallelism from 1 to 16, all three, and nothing else';
const PROFILES_EXPECTED = 'a list of "strict" and "seed", each once';

const bucket = (rate: string, burst: number, description: string) =>
  v.optional(v.pipe(limit(), v.description(description)), { rate, burst });
const lasting = (min: string, max: string, standard: string, description: string) =>
  v.optional(v.pipe(duration({ min, max }), v.description(description)), standard);
const cost = (description: string) => v.pipe(v.number(), v.description(description));
const flag = (description: string) => v.optional(v.pipe(v.boolean(), v.description(description)), false);

export const settings = v.pipe(
  v.strictObject({
    profiles: v.optional(
      v.pipe(
        v.array(v.picklist(PROFILES, PROFILES_EXPECTED)),
        v.minLength(1, PROFILES_EXPECTED),
        v.check((list) => new Set(list).size === list.length, PROFILES_EXPECTED),
        v.description(
          'Forms of request that pass. `seed` only for clients that can not be changed, behind TLS: it covers neither host nor query. A route may set it.',
        ),
      ),
      ['strict'],
    ),
    window: lasting(
      '5s',
      '300s',
      '60s',
      'Oldest timestamp that passes: time of the upload, and clients whose clock is behind. Spent nonces are kept as long, plus `future` and skew.',
    ),
    future: lasting(
      '0s',
      '60s',
      '5s',
      'How far ahead a timestamp may be: clients whose clock is ahead. Adds to the refusals after a store loss.',
    ),
    seedWindow: lasting('5s', '300s', '60s', "The same for `seed`, both ways; the prototype's value."),
    seedSession: lasting('1m', '24h', '1h', "How long a session of `seed` lasts, used or not; the prototype's value."),
    seedAllowQuery: flag(
      'Whether requests of `seed` may have a query, which their MAC does not cover: whoever holds a request may then send it with another one, once.',
    ),
    seedOpenRegistration: flag(
      'Whether `/register/*` of `seed` exist: anybody may then make accounts that do not exist, and learns which do. Without them users register by invitation.',
    ),
    idle: lasting('1m', '24h', '15m', 'How long a session of `strict` lasts unused.'),
    absolute: lasting('5m', '30d', '12h', 'How long a session of `strict` lasts at most.'),
    loginLifetime: lasting(
      '5s',
      '300s',
      '60s',
      'Time between the two calls of a login: the client stretches the password in it.',
    ),
    ksf: v.optional(
      v.pipe(
        v.strictObject({
          memoryKib: cost(
            'Memory, KiB, from 7168 to 1048576: what makes guesses dear. A client that has less can not log in.',
          ),
          iterations: cost('Passes over the memory, from 1 to 16: time of a login in proportion.'),
          parallelism: cost('Lanes of the memory, from 1 to 16. A client with fewer cores takes as much longer.'),
        }),
        v.check((given) => isKeyStretching(given), KSF_EXPECTED),
        v.description(
          'Argon2id cost, paid by clients and published to them. Default 65536, 3, 4; with `seed` 19456, 2, 1, the only one its clients know. Changing it makes every password unusable until it is registered again.',
        ),
      ),
    ),
    limits: v.optional(
      v.pipe(
        v.strictObject({
          loginPerUserAndAddress: bucket(
            '10/m',
            10,
            'Logins and registrations begun, per address and user: each lets the client test one guess.',
          ),
          loginPerUser: bucket('30/m', 60, 'The same, per user: the bound on guessing from many addresses.'),
          loginPerAddress: bucket('60/m', 60, 'The same, per address. Raise it where many users share one.'),
        }),
        v.description('Buckets.'),
      ),
      {},
    ),
  }),
  v.transform((given) => ({
    profiles: given.profiles,
    windowMs: given.window,
    futureMs: given.future,
    seedWindowMs: given.seedWindow,
    seedSessionMs: given.seedSession,
    seedAllowQuery: given.seedAllowQuery,
    seedOpenRegistration: given.seedOpenRegistration,
    idleMs: given.idle,
    absoluteMs: given.absolute,
    loginLifetimeMs: given.loginLifetime,
    ksf: given.ksf ?? (given.profiles.includes('seed') ? SEED_KEY_STRETCHING : KEY_STRETCHING),
    limits: given.limits,
  })),
);

export type Settings = v.InferOutput<typeof settings>;
