/**
 * The seed's blind first synchronisation: an unknown chain begins with whatever token comes first, while the operator's permit lasts.
 * The user is named as the chain and must never have existed, so that nobody becomes somebody by naming a chain after him.
 */
import type { Resources } from '../../core/scheme.ts';
import type { Proof } from './message.ts';
import type { ChainRecord } from './record.ts';
import type { HeldChain } from './state.ts';

/** What the record of the chain is to be; undefined when this request can't begin one. */
export async function beginning(
  { directory, users }: Pick<Resources, 'directory' | 'users'>,
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
  const { epoch } = await users.ensure(tenant, chain);
  const { owner, proofId: proof, nowMs: at } = accepted;
  return { ...record, user: chain, epoch, head: token, index: null, timeKey: null, owner, proof, at, isFirstUse: true };
}
