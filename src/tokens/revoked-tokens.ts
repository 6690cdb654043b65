/**
 * Single tokens that were revoked before they expired.
 *
 * | record | class, parts | value | lifetime | absence means |
 * |---|---|---|---|---|
 * | revoked token | `x`: `client-challenge`, `revoked`, jti | `1` | to the end of the token, on every clock | accept |
 *
 * The token itself is held nowhere, so losing a mark brings it back to life: the user's epoch is the stronger means.
 */
import { revocationTtlMs, within } from '../core/clock.ts';
import type { Resources } from '../core/scheme.ts';
import { scopedStoreKey } from '../crypto/store-key.ts';

/** The scheme that issues tokens, whichever scheme judges them. */
const keyOf = scopedStoreKey('client-challenge');

export interface RevokedTokens {
  /**
   * Durable once it resolves.
   *
   * @param expiresAtMs the token's `exp` in ms.
   * @returns false when the token has expired on every clock, so that there is nothing to revoke.
   * @throws {StoreFault}
   */
  revoke(tenant: string, jti: string, expiresAtMs: number, nowMs: number): Promise<boolean>;
  /** @throws {StoreFault} */
  isRevoked(tenant: string, jti: string): Promise<boolean>;
}

export function createRevokedTokens({ store, skewMs }: Pick<Resources, 'store' | 'skewMs'>): RevokedTokens {
  return {
    async revoke(tenant, jti, expiresAtMs, nowMs) {
      // The last instant at which a replica's own clock accepts it.
      const validUntilMs = expiresAtMs + skewMs - 1;
      const ttlMs = revocationTtlMs(validUntilMs, skewMs, nowMs);
      if (!within(1, ttlMs, Number.MAX_SAFE_INTEGER)) return false;
      await store.put(keyOf('x', tenant, 'revoked', jti), '1', ttlMs);
      return true;
    },
    async isRevoked(tenant, jti) {
      return (await store.get(keyOf('x', tenant, 'revoked', jti))) !== null;
    },
  };
}
