/**
 * What client-challenge keeps in the store: logins that were spent. Revoked tokens are `tokens/revoked-tokens.ts`.
 *
 * | record | class, parts | value | lifetime | absence means |
 * |---|---|---|---|---|
 * | login, `strict` | `c`: `login`, thumbprint[32], nonce[16] | owner | to the end of its window | accept, hence the horizon |
 * | login, `seed` | `c`: `seed-login`, key[32], message | owner | to the end of its window | accept, hence the horizon |
 *
 * The key is in the parts, so that nobody can spend another's nonce. The tenant is not: no login says by its signature which one it is
 * for, so spent in one it is spent in all.
 */
import { claimExpiresAtMs } from '../../core/clock.ts';
import type { Resources } from '../../core/scheme.ts';
import type { ClaimResult } from '../../core/store.ts';

export type SpentLogin =
  | readonly ['login', thumbprint: Uint8Array, nonce: Uint8Array]
  | readonly ['seed-login', publicKey: Uint8Array, message: string];

export interface LoginState {
  /** @param validUntilMs last instant at which the login is fresh. @throws {StoreFault} */
  spend(login: SpentLogin, owner: string, validUntilMs: number): Promise<ClaimResult>;
}

export function createLoginState({
  store,
  storeKey,
  skewMs,
}: Pick<Resources, 'store' | 'storeKey' | 'skewMs'>): LoginState {
  return {
    spend: (login, owner, validUntilMs) =>
      store.claim(storeKey('c', 'default', ...login), owner, claimExpiresAtMs(validUntilMs, skewMs)),
  };
}
