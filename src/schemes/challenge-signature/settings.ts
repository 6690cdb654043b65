/** Settings of `schemes.challenge-signature`: unit, default and reason of each stand in its description, which the reference prints. */
import * as v from 'valibot';
import { duration, limit } from '../../core/settings.ts';

const KIND_EXPECTED = '"stored" or "stateless"';
const kind = () => v.picklist(['stored', 'stateless'], KIND_EXPECTED);

export const settings = v.pipe(
  v.strictObject({
    challenges: v.optional(
      v.pipe(
        kind(),
        v.description(
          'Kind of challenge that is issued. `stored`: one store write each, gone with the store. `stateless`: one MAC each, needs a ring key of use `challenge-mac`.',
        ),
      ),
      'stored',
    ),
    accept: v.optional(
      v.pipe(
        v.array(kind()),
        v.minLength(1, 'at least one kind of challenge'),
        v.description(
          'Kinds that are judged. Default: the one issued. Both during a change of `challenges`. A route may set it.',
        ),
      ),
    ),
    lifetime: v.optional(
      v.pipe(
        duration({ min: '5s', max: '300s' }),
        v.description(
          'How long a challenge may be used: fetching, signing and the upload included. Spent challenges are kept as long, plus skew. Raised with `stateless` challenges, retire the ring key that made the earlier ones: what was spent under the shorter lifetime is remembered only that long.',
        ),
      ),
      '30s',
    ),
    inBand: v.optional(
      v.pipe(
        v.boolean(),
        v.description(
          'Whether answers carry the next challenge. Acts with `stateless` only: a `stored` one would write to the store for strangers.',
        ),
      ),
      true,
    ),
    limits: v.optional(
      v.pipe(
        v.strictObject({
          challenge: v.optional(
            v.pipe(
              limit(),
              v.description(
                'Challenges per address. With `stored` every request costs one, and the store holds at most rate x lifetime of them.',
              ),
            ),
            { rate: '50/s', burst: 200 },
          ),
        }),
        v.description('Buckets.'),
      ),
      {},
    ),
  }),
  v.check(
    ({ challenges, accept }) => accept === undefined || accept.includes(challenges),
    'accept to list the kind that is issued (challenges)',
  ),
  v.transform(({ challenges, accept, lifetime, inBand, limits }) => ({
    challenges,
    accept: accept ?? [challenges],
    lifetimeMs: lifetime,
    inBand: inBand && challenges === 'stateless',
    challengeLimit: limits.challenge,
  })),
);

export type Settings = v.InferOutput<typeof settings>;
