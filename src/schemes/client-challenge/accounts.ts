/**
 * Whose key is it? A user of the directory who registered it for this scheme, or with `open` accounts a user of its own. Asked before
 * the signature is judged, so that a stranger's login costs as much as a wrong one; answered to nobody whose signature is wrong.
 */
import { within } from '../../core/clock.ts';
import type { PublicJwk, UserKey, UserRecord } from '../../core/directory.ts';
import type { Resources } from '../../core/scheme.ts';
import { isSameKey } from '../../encoding/jwk.ts';
import { SCHEME } from './message.ts';

export interface Account {
  readonly subject: string;
  readonly epoch: number;
  readonly isDisabled: boolean;
}

/**
 * The look-ups are the same whatever comes of them: time does not tell which keys have a user. The record is read past the cache: a
 * key that was taken away on another replica must not buy a token here that lives for another ten minutes.
 *
 * @param thumbprint of `jwk`, 43 characters.
 * @returns undefined when the key is nobody's, or may not be used here, and accounts are `listed`.
 * @throws {StoreFault}
 */
export async function accountOf(
  { directory, users }: Pick<Resources, 'directory' | 'users'>,
  accounts: 'listed' | 'open',
  tenant: string,
  { jwk, thumbprint }: { readonly jwk: PublicJwk; readonly thumbprint: string },
  nowMs: number,
): Promise<Account | undefined> {
  const owner = await directory.byThumbprint(tenant, thumbprint);
  const record = await users.current(tenant, owner?.user ?? thumbprint);
  // The record of the key's own name. Of a tombstone only the epoch counts: what was revoked with it stays revoked.
  const own = accounts === 'open' ? await directory.record(tenant, thumbprint) : null;
  // Compared for a stranger too, so that it takes as long.
  const keys = record?.keys ?? [{ ...directory.dummyKey, uses: [SCHEME] }];
  const mayLogIn = isKeyOf(keys, owner?.kid ?? directory.dummyKey.kid, jwk, nowMs);
  if (owner !== null && record !== null && mayLogIn) return accountIn(record);
  if (accounts !== 'open') return undefined;
  if (record?.user === thumbprint) return accountIn(record); // As it is now.
  return { subject: thumbprint, epoch: own?.epoch ?? 0, isDisabled: own?.disabled === true && !own.deleted };
}

/** The index is a hint; the record decides. */
function isKeyOf(keys: readonly UserKey[], kid: string, jwk: PublicJwk, nowMs: number): boolean {
  const key = keys.find((candidate) => candidate.kid === kid);
  if (key === undefined || !key.uses.includes(SCHEME) || !isSameKey(key.jwk, jwk)) return false;
  return key.expiresAt === null || within(0, nowMs, key.expiresAt - 1);
}

function accountIn({ user, epoch, disabled }: UserRecord): Account {
  return { subject: user, epoch, isDisabled: disabled };
}
