/**
 * Permissions to refresh: class `o`, `v1-refresh` and the rotationHash that a token commits to, until the session has ended for every clock;
 * absence means refuse. Each is made once, with its token, and spent once: a commitment that is in use can't be made again.
 */
import type { State, StoreParts } from '../state.ts';

export interface Refreshes {
  /** @param lifetimeMs of the session from now, 0 in its last millisecond. @returns false when the commitment is in use. */
  permit(rotationHash: string, whose: Owner, lifetimeMs: number): Promise<boolean>;
  /** Of concurrent callers one gets it. One that another device made for this commitment is none. */
  spend(rotationHash: string, whose: Owner): Promise<boolean>;
}

interface Owner {
  readonly identity: string;
  readonly device: string;
}

export function createRefreshes({ store, skewMs }: StoreParts, { key }: State): Refreshes {
  const keyOf = (rotationHash: string) => key('o', 'v1-refresh', rotationHash);
  const textOf = ({ identity, device }: Owner) => JSON.stringify({ identity, device });
  return {
    permit: (rotationHash, whose, lifetimeMs) =>
      store.swap(keyOf(rotationHash), null, textOf(whose), lifetimeMs + skewMs + 1),
    spend: async (rotationHash, whose) => (await store.take(keyOf(rotationHash))) === textOf(whose),
  };
}
