/**
 * Permissions to refresh: class `o`, `v1-refresh` and the rotationHash that a token commits to, until the session has ended for every clock;
 * absence means refuse. Each is made once, with its token, and spent once: a commitment that is in use can't be made again.
 */
import type { State, StoreParts } from '../state.ts';

export interface Refreshes {
  /** @param lifetimeMs of the session from now, 0 in its last millisecond. @returns false when the commitment is in use. */
  permit(rotationHash: string, whose: { identity: string; device: string }, lifetimeMs: number): Promise<boolean>;
  /** Of concurrent callers one gets it. */
  spend(rotationHash: string): Promise<boolean>;
}

export function createRefreshes({ store, skewMs }: StoreParts, { key }: State): Refreshes {
  const keyOf = (rotationHash: string) => key('o', 'v1-refresh', rotationHash);
  return {
    permit: (rotationHash, { identity, device }, lifetimeMs) =>
      store.swap(keyOf(rotationHash), null, JSON.stringify({ identity, device }), lifetimeMs + skewMs + 1),
    spend: async (rotationHash) => (await store.take(keyOf(rotationHash))) !== null,
  };
}
