/** Settings of `schemes.challenge-signature`: unit, default and reason of each. */
import * as v from 'valibot';
import { duration, limit } from '../../core/settings.ts';

const KIND_EXPECTED = '"stored" or "stateless"';
const kind = () => v.picklist(['stored', 'stateless'], KIND_EXPECTED);

export const settings = v.pipe(
  v.strictObject({
    /** Kind of challenge that is issued. `stored`: one store write each, may vanish with the store. `stateless`: one MAC each. */
    challenges: v.optional(kind(), 'stored'),
    /** Kinds that are judged; default: the one issued. Both during a change of `challenges`. Per route. */
    accept: v.optional(v.pipe(v.array(kind()), v.minLength(1, 'at least one kind of challenge'))),
    /** How long a challenge may be used: fetching, signing and the upload included. Spent challenges are kept as long, plus skew. */
    lifetime: v.optional(duration({ min: '5s', max: '300s' }), '30s'),
    /** Whether answers carry the next challenge. Acts with `stateless` only: a `stored` one would write to the store for strangers. */
    inBand: v.optional(v.boolean(), true),
    limits: v.optional(
      v.strictObject({
        /** Challenges per address. With `stored` every request costs one, and the store holds at most rate x lifetime of them. */
        challenge: v.optional(limit(), { rate: '50/s', burst: 200 }),
      }),
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
