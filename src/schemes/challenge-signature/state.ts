/**
 * What challenge-signature keeps in the store.
 *
 * | record | class, parts | value | lifetime | absence means |
 * |---|---|---|---|---|
 * | issued challenge (`stored`) | `o`: `challenge`, user, digest[32] | `1` | lifetime + skew | deny |
 * | spent challenge (both kinds) | `c`: `spent`, user, digest[32] | owner | to the end of its freshness | accept, hence the horizon |
 *
 * The digest (SHA-256 of the challenge) is in the key because the user alone would let anyone who knows an id overwrite or burn
 * its owner's challenge; the user is, so that a challenge is good for one user only.
 */
import { claimExpiresAtMs } from '../../core/clock.ts';
import type { Resources } from '../../core/scheme.ts';
import type { ClaimResult } from '../../core/store.ts';

const ISSUED = '1';

export interface ChallengeState {
  issue(tenant: string, user: string, digest: Uint8Array): Promise<void>;
  /** Only looks: taking the record would make the proxy's own retry look like a replay. It is left to expire. */
  isIssued(tenant: string, user: string, digest: Uint8Array): Promise<boolean>;
  /** @param owner the Check's id: a retry of the same Check is answered `mine`. */
  spend(tenant: string, user: string, digest: Uint8Array, owner: string, issuedAtMs: number): Promise<ClaimResult>;
}

export function createState(
  { store, storeKey, skewMs }: Pick<Resources, 'store' | 'storeKey' | 'skewMs'>,
  lifetimeMs: number,
): ChallengeState {
  return {
    issue: (tenant, user, digest) =>
      store.put(storeKey('o', tenant, 'challenge', user, digest), ISSUED, lifetimeMs + skewMs),
    async isIssued(tenant, user, digest) {
      return (await store.get(storeKey('o', tenant, 'challenge', user, digest))) === ISSUED;
    },
    spend: (tenant, user, digest, owner, issuedAtMs) =>
      store.claim(
        storeKey('c', tenant, 'spent', user, digest),
        owner,
        claimExpiresAtMs(issuedAtMs + lifetimeMs, skewMs),
      ),
  };
}
