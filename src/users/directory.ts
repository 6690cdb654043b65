/**
 * Who is known and by which keys: user records and the key index in the store, a read-only file before them, a cache around both.
 * Reading is the Check's; every write is a `swap` of the text that was read, so that two writers never lose each other's work.
 */
import { LRUCache } from 'lru-cache';
import { within, type Clock } from '../core/clock.ts';
import type { Directory, SignatureAlg, UserKey, UserRecord } from '../core/directory.ts';
import { StoreFault } from '../core/fault.ts';
import { HttpProblem } from '../core/http.ts';
import { removeIfSame, type Key, type Store } from '../core/store.ts';
import { generateKeyPair, thumbprint as thumbprintOf } from '../crypto/signatures.ts';
import { scopedStoreKey } from '../crypto/store-key.ts';
import { decodeBase64url, encodeBase64url } from '../encoding/base64url.ts';
import { formatUserRecord, parseKeyOwner, parseUserRecord, type KeyOwner } from './record.ts';

export interface DirectoryOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** How long a record may be old: the longest time a revocation takes to reach this process. ms. */
  readonly cacheTtlMs: number;
  /** How long beyond that a record may serve a `storeFree` route while the store is down. ms. */
  readonly staleOnFaultMs: number;
  /** Algorithm of the key that stands in for unknown ones: what most users have, so that unknown ones cost the same. */
  readonly dummyAlg: SignatureAlg;
  /** Users of `directory.file`, of the tenant `default`; they win and can't be changed. */
  readonly fixed?: ReadonlyMap<string, UserRecord>;
  onLookup?(result: 'hit' | 'miss'): void;
}

/** What registration needs besides reading. */
export interface UserRecords extends Directory {
  /**
   * Changes a record by compare-and-set, at most five times.
   *
   * @param change gets null for a user who never was; returns null to leave things as they are, or throws to refuse.
   * @returns the record as it is now.
   * @throws {HttpProblem} `conflict` after five lost races, and for a user of the file.
   */
  update(
    tenant: string,
    id: string,
    change: (before: UserRecord | null) => RecordChange | null,
  ): Promise<UserRecord | null>;
  /** The record as it is now, tombstones included: of the file, else past the cache. */
  current(tenant: string, id: string): Promise<UserRecord | null>;
  /** Who a key belongs to, past the cache; `text` is what `setOwner` compares with. A key of the file has its owner there. */
  ownerOf(tenant: string, thumbprint: Uint8Array): Promise<{ owner: KeyOwner | null; text: string | null }>;
  /** @returns false when the entry is no longer what was read. */
  setOwner(tenant: string, thumbprint: Uint8Array, read: string | null, owner: KeyOwner): Promise<boolean>;
  /** Removes the entry only if it still names this owner: another user may just have registered the key. */
  removeOwner(tenant: string, thumbprint: Uint8Array, owner: KeyOwner): Promise<void>;
  /** Entries of the cache. */
  entries(): number;
}

/** `v`, `user` and `updatedAt` are set by the directory. */
export type RecordChange = Omit<UserRecord, 'v' | 'user' | 'updatedAt'>;

const NOBODY = {
  v: 1,
  user: 'nobody',
  epoch: 0,
  disabled: false,
  deleted: false,
  attributes: {},
  updatedAt: 0,
} as const;
const MAX_CACHED = 10_000;
const MAX_ATTEMPTS = 5;

interface Cached<T> {
  readonly value: T;
  readonly readAtMs: number;
}

export function createDirectory(options: DirectoryOptions): UserRecords {
  const { store, clock, cacheTtlMs, staleOnFaultMs, fixed } = options;
  const keyOf = scopedStoreKey('directory');
  const ownDummyKey = dummyKey(options.dummyAlg);
  const fixedOwners = ownersOf(fixed);
  const fixedUser = (tenant: string, id: string) => (tenant === 'default' ? fixed?.get(id) : undefined);
  const fixedOwner = (tenant: string, thumbprint: string) =>
    tenant === 'default' ? fixedOwners.get(thumbprint) : undefined;
  const cache = new LRUCache<string, Cached<UserRecord | KeyOwner | null>>({ max: MAX_CACHED });
  const userKeyOf = (tenant: string, id: string) => keyOf('r', tenant, 'user', id);
  // A read that began before a write ended may hold what the write replaced: it is used once and not kept.
  let writes = 0;
  const forget = (name: string) => {
    writes += 1;
    cache.delete(name);
  };
  const userName = (tenant: string, id: string) => `u/${tenant}/${id}`;
  const keyName = (tenant: string, thumbprint: string) => `k/${tenant}/${thumbprint}`;
  const indexKeyOf = (tenant: string, thumbprint: Uint8Array) => keyOf('r', tenant, 'key', thumbprint);

  async function cached<T extends UserRecord | KeyOwner | null>(
    name: string,
    storeFree: boolean,
    read: () => Promise<T>,
  ): Promise<T> {
    const known = cache.get(name) as Cached<T> | undefined;
    const isYoungerThan = (limitMs: number) =>
      known !== undefined && within(0, Math.floor(clock.monotonicMs() - known.readAtMs), limitMs - 1);
    if (known !== undefined && isYoungerThan(cacheTtlMs)) {
      options.onLookup?.('hit');
      return known.value;
    }
    options.onLookup?.('miss');
    const readAtMs = clock.monotonicMs(); // Before the read: what changes during it may be missed.
    const writesBefore = writes;
    try {
      const value = await read();
      if (writes === writesBefore) cache.set(name, { value, readAtMs });
      return value;
    } catch (thrown) {
      // A miss never serves: where accounts name themselves it would be consent.
      const mayServe = storeFree && thrown instanceof StoreFault && isYoungerThan(cacheTtlMs + staleOnFaultMs);
      if (mayServe && known !== undefined && known.value !== null) return known.value;
      throw thrown;
    }
  }

  /** Parsed where there is no record, so that looking for a stranger takes as long. */
  const nobody = formatUserRecord({ ...NOBODY, keys: [ownDummyKey] });

  async function load(key: Key): Promise<UserRecord | null> {
    const text = await store.get(key);
    const record = parseUserRecord(text ?? nobody);
    return text === null ? null : record;
  }

  // The store is asked for users of the file too: without that look, time would tell who is in it.
  const current: UserRecords['current'] = async (tenant, id) => {
    const stored = await load(userKeyOf(tenant, id));
    return fixedUser(tenant, id) ?? stored;
  };

  const record: Directory['record'] = (tenant, id, { storeFree } = { storeFree: false }) =>
    cached(userName(tenant, id), storeFree, () => current(tenant, id));

  return {
    record,
    async user(tenant, id, lookup) {
      const found = await record(tenant, id, lookup);
      return found === null || found.deleted ? null : found;
    },
    async byThumbprint(tenant, thumbprint) {
      const bytes = decodeBase64url(thumbprint);
      if (bytes === undefined) return null;
      return cached(keyName(tenant, thumbprint), false, async () => {
        const text = await store.get(indexKeyOf(tenant, bytes));
        return fixedOwner(tenant, thumbprint) ?? (text === null ? null : parseKeyOwner(text));
      });
    },
    dummyKey: ownDummyKey,

    async update(tenant, id, change) {
      if (fixedUser(tenant, id) !== undefined) throw new HttpProblem('conflict', 'the user is fixed by directory.file');
      const key = userKeyOf(tenant, id);
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
        const text = await store.get(key);
        const before = text === null ? null : parseUserRecord(text);
        const changed = change(before);
        if (changed === null) return before;
        const after: UserRecord = { ...changed, v: (before?.v ?? 0) + 1, user: id, updatedAt: clock.nowMs() };
        try {
          if (await store.swap(key, text, formatUserRecord(after), Number.POSITIVE_INFINITY)) return after;
        } finally {
          forget(userName(tenant, id)); // Also when it timed out: it may have run.
        }
      }
      throw new HttpProblem('conflict', 'the user was changed by others five times in a row');
    },
    current,
    async ownerOf(tenant, thumbprint) {
      const text = await store.get(indexKeyOf(tenant, thumbprint));
      const ofFile = fixedOwner(tenant, encodeBase64url(thumbprint));
      return { owner: ofFile ?? (text === null ? null : parseKeyOwner(text)), text };
    },
    async setOwner(tenant, thumbprint, read, { user, kid }) {
      try {
        const entry = JSON.stringify({ user, kid });
        return await store.swap(indexKeyOf(tenant, thumbprint), read, entry, Number.POSITIVE_INFINITY);
      } finally {
        forget(keyName(tenant, encodeBase64url(thumbprint)));
      }
    },
    async removeOwner(tenant, thumbprint, { user, kid }) {
      const key = indexKeyOf(tenant, thumbprint);
      const text = await store.get(key);
      const owner = text === null ? null : parseKeyOwner(text);
      if (text === null || owner?.user !== user || owner.kid !== kid) return;
      try {
        await removeIfSame(store, key, text);
      } finally {
        forget(keyName(tenant, encodeBase64url(thumbprint)));
      }
    },
    entries: () => cache.size,
  };
}

/** Keys of the file, by thumbprint. */
function ownersOf(fixed: ReadonlyMap<string, UserRecord> = new Map()): ReadonlyMap<string, KeyOwner> {
  const owners = new Map<string, KeyOwner>();
  for (const { user, keys } of fixed.values()) {
    for (const { kid, jwk } of keys) owners.set(encodeBase64url(thumbprintOf(jwk)), { user, kid });
  }
  return owners;
}

/** Made anew at each start: nobody holds its private half. */
function dummyKey(alg: SignatureAlg): UserKey {
  const { publicJwk } = generateKeyPair(alg);
  return { kid: 'unknown', alg, jwk: publicJwk, uses: [], addedAt: 0, expiresAt: null };
}
