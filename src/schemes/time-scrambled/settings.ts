/** Settings of `schemes.time-scrambled`: unit, default and reason of each stand in its description, which the reference prints. */
import * as v from 'valibot';
import { duration, limit } from '../../core/settings.ts';
import { LONGEST_CHAIN, PROFILES } from './message.ts';

const integer = (min: number, max: number) => {
  const expected = `an integer from ${min} to ${max}`;
  return v.pipe(v.number(expected), v.integer(expected), v.minValue(min, expected), v.maxValue(max, expected));
};

export const settings = v.pipe(
  v.strictObject({
    profiles: v.optional(
      v.pipe(
        v.array(v.picklist(PROFILES, '"keyed" or "seed"')),
        v.minLength(1, 'at least one profile'),
        v.description(
          'Forms that are judged. `keyed`: requests are bound by a MAC. `seed`: the bare chain, for clients that speak it already; whoever sees a token can use it, so only behind TLS. A route may set it; enrolment goes by this list.',
        ),
      ),
      ['keyed'],
    ),
    window: v.optional(
      v.pipe(
        duration({ min: '1s', max: '300s' }),
        v.check((ms) => ms % 1000 === 0, 'whole seconds'),
        v.description(
          'Length of a time window. A request passes for one to two of them, so it must be longer than the slowest upload. The same for all clients: when it changes, they must be told anew.',
        ),
      ),
      '30s',
    ),
    allowAhead: v.optional(
      v.pipe(v.boolean(), v.description('`keyed`: clients whose clock runs ahead by up to a window pass too.')),
      true,
    ),
    seedAllowAhead: v.optional(
      v.pipe(v.boolean(), v.description('The same for `seed`. `false` is the exact rule of the seed document.')),
      false,
    ),
    maxSkip: v.optional(
      v.pipe(
        integer(1, 2000),
        v.description(
          'Links that may lie between two requests: lost ones are made up for. A wrong `seed` token costs up to three times as many hashes. 1 is the exact rule of the seed document.',
        ),
      ),
      64,
    ),
    maxChain: v.optional(
      v.pipe(integer(2, LONGEST_CHAIN), v.description('Longest chain that may be enrolled.')),
      LONGEST_CHAIN,
    ),
    afterLoss: v.optional(
      v.pipe(
        v.picklist(['enrol', 'resume'], '"enrol" or "resume"'),
        v.description(
          '`seed` only: what becomes of chains that the store may have rolled back. `enrol`: they are out of step until enrolled again. `resume`: they go on, and tokens used before the loss may pass once more.',
        ),
      ),
      'enrol',
    ),
    seedFirstUse: v.optional(
      v.pipe(
        v.picklist(['deny', 'permit'], '"deny" or "permit"'),
        v.description(
          'Whether an unknown chain may begin with its first `seed` token, while the permit given by the admin API lasts. Whoever comes first owns the id.',
        ),
      ),
      'deny',
    ),
    seedOneStepRenewal: v.optional(
      v.pipe(
        v.boolean(),
        v.description(
          'Whether a `seed` client may renew its chain without a commitment. Whoever alters that request on its way then owns the chain.',
        ),
      ),
      false,
    ),
    limits: v.optional(
      v.pipe(
        v.strictObject({
          resync: v.optional(
            v.pipe(limit(), v.description('Answers that show the head of a chain, per address and chain.')),
            { rate: '1/s', burst: 5 },
          ),
        }),
        v.description('Buckets.'),
      ),
      {},
    ),
  }),
  v.transform(({ window, limits, ...rest }) => ({ ...rest, windowMs: window, resyncLimit: limits.resync })),
);

export type Settings = v.InferOutput<typeof settings>;
