/** The product's directory with a way to write any record, as the operator's calls would have left it. */
import type { Clock } from '../../src/core/clock.ts';
import type { PublicJwk, SignatureAlg, UserKey, UserRecord } from '../../src/core/directory.ts';
import type { Store } from '../../src/core/store.ts';
import { algOf } from '../../src/encoding/jwk.ts';
import { createDirectory, type UserRecords } from '../../src/users/directory.ts';

export interface TestUsers extends UserRecords {
  /** `v` and `updatedAt` are the directory's. */
  save(record: UserRecord, tenant?: string): Promise<void>;
}

export const CACHE_TTL_MS = 5_000;

export function testUsers(
  store: Store,
  clock: Clock,
  dummyAlg: SignatureAlg = 'Ed25519',
  staleOnFaultMs = 0,
): TestUsers {
  const directory = createDirectory({ store, clock, cacheTtlMs: CACHE_TTL_MS, staleOnFaultMs, dummyAlg });
  return {
    ...directory,
    async save(record, tenant = 'default') {
      await directory.update(tenant, record.user, () => record);
    },
  };
}

/** @param changes members that differ from those of an ordinary user without keys. */
export function userRecord(user: string, changes: Partial<UserRecord> = {}): UserRecord {
  return { v: 1, user, epoch: 0, disabled: false, deleted: false, attributes: {}, keys: [], updatedAt: 0, ...changes };
}

export function userKey(
  kid: string,
  jwk: PublicJwk,
  uses: readonly string[] = [],
  expiresAt: number | null = null,
): UserKey {
  return { kid, alg: algOf(jwk), jwk, uses, addedAt: 0, expiresAt };
}
