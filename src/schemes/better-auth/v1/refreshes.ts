/**
 * Permissions to refresh: class `o`, `v1-refresh` and the rotationHash that a token commits to, until the session ends; absence means
 * refuse. Each is made once, with its token, and spent once: a commitment that is in use can't be made again.
 */
import type { Store } from '../../../core/store.ts';
import type { State } from '../state.ts';

export interface Refreshes {
  /** @returns false when the commitment is in use. */
  permit(rotationHash: string, whose: { identity: string; device: string }, lifetimeMs: number): Promise<boolean>;
  /** Of concurrent callers one gets it. */
  spend(rotationHash: string): Promise<boolean>;
}

export function createRefreshes({ store }: { readonly store: Store }, { key }: State): Refreshes {
  const keyOf = (rotationHash: string) => key('o', 'v1-refresh', rotationHash);
  return {
    permit: (rotationHash, { identity, device }, lifetimeMs) =>
      store.swap(keyOf(rotationHash), null, JSON.stringify({ identity, device }), lifetimeMs),
    spend: async (rotationHash) => (await store.take(keyOf(rotationHash))) !== null,
  };
}
