/**
 * Invitations: one-time permission for a client to register a credential. The token is told once; the store holds its digest.
 * One for a user ends with the user's epoch: it must not bring back a name that was deleted, nor serve one whose access was revoked.
 */
import { within, type Clock } from '../core/clock.ts';
import { isInvitationToken, type Invitation, type Invitations } from '../core/registration.ts';
import type { Store } from '../core/store.ts';
import { scopedStoreKey } from '../crypto/store-key.ts';
import { encodeBase64url } from '../encoding/base64url.ts';
import type { UserRecords } from './directory.ts';
import { parseRecordJson } from '../encoding/record-json.ts';

const TOKEN_BYTES = 32;

export function createInvitations({
  store,
  records,
  clock,
  random,
}: {
  readonly store: Store;
  readonly records: Pick<UserRecords, 'current'>;
  readonly clock: Clock;
  random(bytes: number): Uint8Array;
}): Invitations {
  const keyOf = scopedStoreKey('invite');

  const epochOf = async (tenant: string, user: string | null): Promise<number> =>
    user === null ? 0 : ((await records.current(tenant, user))?.epoch ?? 0);

  async function read(text: string | null, tenant: string, scheme: string): Promise<Invitation | null> {
    if (text === null) return null;
    const invitation = parseRecordJson(text, 'an invitation') as unknown as Invitation;
    if (invitation.scheme !== scheme) return null;
    if (!within(clock.nowMs(), invitation.expiresAt - 1, Number.MAX_SAFE_INTEGER)) return null;
    return invitation.epoch === (await epochOf(tenant, invitation.user)) ? invitation : null;
  }

  return {
    async issue(tenant, { scheme, user, replace, ttlMs }) {
      const token = encodeBase64url(random(TOKEN_BYTES));
      const expiresAtMs = clock.nowMs() + ttlMs;
      const epoch = await epochOf(tenant, user);
      const invitation: Invitation = { user, scheme, replace, epoch, expiresAt: expiresAtMs };
      await store.put(keyOf('o', tenant, token), JSON.stringify({ v: 1, ...invitation }), ttlMs);
      return { token, expiresAtMs };
    },
    async find(tenant, scheme, token) {
      return isInvitationToken(token) ? read(await store.get(keyOf('o', tenant, token)), tenant, scheme) : null;
    },
    async spend(tenant, scheme, token) {
      return isInvitationToken(token) ? read(await store.take(keyOf('o', tenant, token)), tenant, scheme) : null;
    },
  };
}
