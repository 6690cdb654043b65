/** Invitations: one-time permission for a client to register a credential. The token is told once; the store holds its digest. */
import { within, type Clock } from '../core/clock.ts';
import { isInvitationToken, type Invitation, type Invitations } from '../core/registration.ts';
import type { Store } from '../core/store.ts';
import { scopedStoreKey } from '../crypto/store-key.ts';
import { encodeBase64url } from '../encoding/base64url.ts';

const TOKEN_BYTES = 32;

export function createInvitations({
  store,
  clock,
  random,
}: {
  readonly store: Store;
  readonly clock: Clock;
  random(bytes: number): Uint8Array;
}): Invitations {
  const keyOf = scopedStoreKey('invite');

  function read(text: string | null, scheme: string): Invitation | null {
    if (text === null) return null;
    const invitation = JSON.parse(text) as Invitation;
    return invitation.scheme === scheme && within(clock.nowMs(), invitation.expiresAt - 1, Number.MAX_SAFE_INTEGER)
      ? invitation
      : null;
  }

  return {
    async issue(tenant, { scheme, user, replace, ttlMs }) {
      const token = encodeBase64url(random(TOKEN_BYTES));
      const expiresAtMs = clock.nowMs() + ttlMs;
      const value = JSON.stringify({ v: 1, user, scheme, replace, expiresAt: expiresAtMs });
      await store.put(keyOf('o', tenant, token), value, ttlMs);
      return { token, expiresAtMs };
    },
    async find(tenant, scheme, token) {
      return isInvitationToken(token) ? read(await store.get(keyOf('o', tenant, token)), scheme) : null;
    },
    async spend(tenant, scheme, token) {
      return isInvitationToken(token) ? read(await store.take(keyOf('o', tenant, token)), scheme) : null;
    },
  };
}
