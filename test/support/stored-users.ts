/** Users as records in a store, in the layout of the product's directory but without its cache: what a scheme needs of them. */
import type { Directory, PublicJwk, UserKey, UserRecord } from '../../src/core/directory.ts';
import type { Store } from '../../src/core/store.ts';
import { generateKeyPair } from '../../src/crypto/signatures.ts';
import { scopedStoreKey } from '../../src/crypto/store-key.ts';
import { algOf } from '../../src/encoding/jwk.ts';

export interface StoredUsers extends Directory {
  save(record: UserRecord, tenant?: string): Promise<void>;
}

const keyOf = scopedStoreKey('directory');

export function storedUsers(store: Store): StoredUsers {
  const { publicJwk } = generateKeyPair('Ed25519');
  const record = async (tenant: string, id: string): Promise<UserRecord | null> => {
    const text = await store.get(keyOf('r', tenant, 'user', id));
    return text === null ? null : (JSON.parse(text) as UserRecord);
  };
  return {
    record,
    async user(tenant, id) {
      const found = await record(tenant, id);
      return found === null || found.deleted ? null : found;
    },
    async byThumbprint(tenant, thumbprint) {
      const text = await store.get(keyOf('r', tenant, 'key', thumbprint));
      return text === null ? null : (JSON.parse(text) as { user: string; kid: string });
    },
    dummyKey: userKey('dummy', publicJwk),
    save: (saved, tenant = 'default') =>
      store.put(keyOf('r', tenant, 'user', saved.user), JSON.stringify(saved), Number.POSITIVE_INFINITY),
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
