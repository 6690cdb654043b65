/**
 * The seed's blind first synchronisation: an unknown chain begins with whatever token comes first, while the operator's permit lasts.
 * The user is named as the chain and must never have existed, so that nobody becomes somebody by naming a chain after him. Who it is
 * proves nothing, so a permit is for so many chains at most.
 */
import { within } from '../../core/clock.ts';
import type { Resources } from '../../core/scheme.ts';
import type { Proof } from './message.ts';
import type { ChainRecord } from './record.ts';
import type { HeldChain } from './state.ts';

/** Of one permit. */
export const MAX_FIRST_USES = 1000;
/** Many devices may be switched on at once. */
const MAX_ATTEMPTS = 20;
const PERMIT = /^([0-9]{1,4}) ([0-9]{1,16})$/;

export interface FirstUses {
  permit(tenant: string, forMs: number): Promise<void>;
  isPermitted(tenant: string): Promise<boolean>;
  /** One use of the permit. @returns false when it has ended, is used up, or others were faster every time. */
  spend(tenant: string): Promise<boolean>;
}

/** The permit is `o`: `first-use`, with the uses left and its end; it vanishes with the store: a flush never re-opens blind trust. */
export function createFirstUses({
  store,
  storeKey,
  clock,
}: Pick<Resources, 'store' | 'storeKey' | 'clock'>): FirstUses {
  const keyOf = (tenant: string) => storeKey('o', tenant, 'first-use');

  async function current(tenant: string) {
    const text = (await store.get(keyOf(tenant))) ?? '';
    const [, left = '0', untilMs = '0'] = PERMIT.exec(text) ?? [];
    return { text, left: Number(left), untilMs: Number(untilMs) };
  }

  return {
    permit: (tenant, forMs) => store.put(keyOf(tenant), `${MAX_FIRST_USES} ${clock.nowMs() + forMs}`, forMs),
    isPermitted: async (tenant) => (await current(tenant)).left > 0,
    async spend(tenant) {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
        const { text, left, untilMs } = await current(tenant);
        const nowMs = clock.nowMs();
        if (left === 0 || !within(0, nowMs, untilMs - 1)) return false;
        if (await store.swap(keyOf(tenant), text, `${left - 1} ${untilMs}`, untilMs - nowMs)) return true;
      }
      return false;
    },
  };
}

/** What the record of the chain is to be; undefined when this request can't begin one. */
export async function beginning(
  { directory, users }: Pick<Resources, 'directory' | 'users'>,
  firstUses: FirstUses,
  tenant: string,
  { text, isFake, record }: HeldChain,
  { id, chain, order }: Proof,
  token: Uint8Array | undefined,
  accepted: { readonly owner: string; readonly proofId: string; readonly nowMs: number },
): Promise<ChainRecord | undefined> {
  const isUnknown = isFake && text === null;
  if (!isUnknown || token === undefined || order !== 0 || id !== chain) return undefined;
  // The directory knows of those who are gone, but may be some seconds old; the other look is at who is there now.
  if ((await directory.record(tenant, chain)) !== null || (await users.current(tenant, chain)) !== null)
    return undefined;
  if (!(await firstUses.spend(tenant))) return undefined;
  const { epoch } = await users.ensure(tenant, chain);
  const { owner, proofId: proof, nowMs: at } = accepted;
  return { ...record, user: chain, epoch, head: token, index: null, timeKey: null, owner, proof, at, isFirstUse: true };
}
