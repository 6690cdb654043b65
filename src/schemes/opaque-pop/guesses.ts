/**
 * Bounds on guessing. Whoever has a message evaluated with a user's OPRF key can test one password by it: at a login by itself, at a
 * registration against what an earlier login answered. So each evaluation is counted, whatever call it was for and whatever came of it.
 */
import type { Resources } from '../../core/scheme.ts';
import type { Settings } from './settings.ts';

/** @throws {Denial} `rate_limited` */
export function chargeGuess(
  { resources, settings }: { readonly resources: Pick<Resources, 'limits'>; readonly settings: Settings },
  { tenant, user, source }: { readonly tenant: string; readonly user: string; readonly source: string },
): void {
  const { loginPerUserAndAddress, loginPerUser, loginPerAddress } = settings.limits;
  resources.limits.charge([
    { bucket: 'login', limit: loginPerUserAndAddress, key: [source, tenant, user] },
    { bucket: 'login', limit: loginPerUser, key: [tenant, user], anyAddress: true },
    { bucket: 'login', limit: loginPerAddress, key: [source] },
  ]);
}

/**
 * Which OPRF key is the user's: the credential identifier of OPAQUE. One name in two tenants is two users, and each has a key of its own;
 * with one key for both, logins begun in the one would be guesses at the other that no bucket of the other counts. Names hold no slash.
 */
export function credentialIdOf(tenant: string, user: string): string {
  return tenant === 'default' ? user : `${tenant}/${user}`;
}
