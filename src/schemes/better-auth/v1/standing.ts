/** Whether a v1 account still stands behind a token: by its record, or where that is elsewhere by marks. */
import { requireAfterHorizon, within } from '../../../core/clock.ts';
import type { Standing } from '../access-message.ts';
import type { V1Token } from '../token.ts';
import { isDeviceOf, type Account } from './record.ts';
import type { V1Parts } from './v1-parts.ts';

/** Rotating its device does not end a token; losing the device, or the end of all sessions, does. */
export function isStanding(account: Account, { device, issuedAtMs }: Pick<V1Token, 'device' | 'issuedAtMs'>): boolean {
  return isDeviceOf(account, device) && within(account.sessionsNotBeforeMs, issuedAtMs, Number.MAX_SAFE_INTEGER);
}

export async function standing(parts: V1Parts, token: V1Token, nowMs: number): Promise<Standing> {
  const isByRecord = parts.settings.revocation === 'record';
  const isGood = isByRecord ? await byRecord(parts, token) : await byMarks(parts, token, nowMs);
  return isGood
    ? { isRevoked: false, keyId: token.device, device: token.device }
    : { isRevoked: true, why: 'account, device or session has ended' };
}

/** A stale read can't allow: the claim that follows is fenced. */
async function byRecord({ identities }: V1Parts, token: V1Token): Promise<boolean> {
  const found = await identities.findActive(token.subject);
  return found !== null && isStanding(found.record, token);
}

/** A mark may be lost with the store, hence the horizon; what is revoked is told by presence, unlike everywhere else. */
async function byMarks(
  { state, resources, aheadMs }: V1Parts,
  { subject, device, issuedAtMs }: V1Token,
  nowMs: number,
): Promise<boolean> {
  requireAfterHorizon({ madeAtMs: issuedAtMs - aheadMs, leadMs: aheadMs, nowMs }, resources.store.horizonMs());
  return !(await state.isMarked(subject, device));
}
