/**
 * Public keys of users: adding, withdrawing, deleting. Adding writes the index first and the record second, so that a crash leaves a
 * harmless hint; removing goes the other way round.
 */
import type { PublicJwk, UserKey, UserRecord } from '../core/directory.ts';
import { HttpProblem } from '../core/http.ts';
import type { UserWrites } from '../core/registration.ts';
import { thumbprint } from '../crypto/signatures.ts';
import { algOf, isSameKey } from '../encoding/jwk.ts';
import type { RecordChange, UserRecords } from './directory.ts';
import { MAX_KEYS, type KeyOwner } from './record.ts';

export interface NewKey {
  readonly kid: string;
  /** Accepted by the key policy already. */
  readonly jwk: PublicJwk;
  /** Name of the scheme that may use it. */
  readonly scheme: string;
  /** Unix ms, exclusive; null for none; absent leaves a known key's as it is. */
  readonly expiresAt?: number | null;
  /** Another key under the same id gives way to this one. */
  readonly replace: boolean;
  /** The user's, by which the key was admitted: with another one it is refused. Absent: any. */
  readonly epoch?: number;
}

export interface UserKeys extends UserWrites {
  /**
   * Creates the user if absent. The same key again adds the scheme to its uses.
   *
   * @returns whether the scheme could not use this key before, and whether the key is new.
   * @throws {HttpProblem} `conflict`: another key under the id, the key under another id or user, too many keys, or another epoch.
   */
  add(tenant: string, user: string, key: NewKey): Promise<{ isNewKey: boolean; isNewUse: boolean }>;
  /** The scheme leaves the uses of one key; a key without uses is removed. @returns false without such a key. */
  withdraw(tenant: string, user: string, scheme: string, kid: string): Promise<boolean>;
  /** All of the user's keys of the scheme, and `epoch + 1`. @returns false without such a user. */
  withdrawAll(tenant: string, user: string, scheme: string): Promise<boolean>;
  /** Leaves a tombstone. @returns false without such a user. */
  deleteUser(tenant: string, user: string): Promise<boolean>;
}

const EMPTY: RecordChange = { epoch: 0, disabled: false, deleted: false, attributes: {}, keys: [] };

export function createUserKeys(records: UserRecords, nowMs: () => number): UserKeys {
  /**
   * The entry is a hint: one that names no user, or one who lacks the key, is overwritten. Who overwrites looks again afterwards: the
   * other may have been about to write its record. `add` looks too, after its record, so that of two who register one key at once
   * at most one keeps it.
   */
  async function reserve(tenant: string, user: string, kid: string, jwk: PublicJwk): Promise<void> {
    const digest = thumbprint(jwk);
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const { owner, text } = await records.ownerOf(tenant, digest);
      const other = owner !== null && !(owner.user === user && owner.kid === kid) ? owner : null;
      if (other !== null && (await holds(tenant, other, jwk))) throw keyTaken();
      if (!(await records.setOwner(tenant, digest, text, { user, kid }))) continue;
      if (other === null || !(await holds(tenant, other, jwk))) return;
      const now = await records.ownerOf(tenant, digest);
      if (now.owner?.user === user) await records.setOwner(tenant, digest, now.text, other);
      throw keyTaken();
    }
    throw new HttpProblem('conflict', 'the key is being registered by others');
  }

  async function holds(tenant: string, { user, kid }: KeyOwner, jwk: PublicJwk): Promise<boolean> {
    const record = await records.current(tenant, user);
    return record?.keys.some((key) => key.kid === kid && isSameKey(key.jwk, jwk)) ?? false;
  }

  /** Takes keys from the record, then from the index. */
  async function removeKeys(
    tenant: string,
    user: string,
    change: (before: UserRecord) => RecordChange | null,
  ): Promise<UserRecord | null> {
    let removed: readonly UserKey[] = [];
    const after = await records.update(tenant, user, (before) => {
      const next = before === null || before.deleted ? null : change(before);
      removed =
        next === null ? [] : (before?.keys.filter((key) => !next.keys.some(({ kid }) => kid === key.kid)) ?? []);
      return next;
    });
    for (const { kid, jwk } of removed) await records.removeOwner(tenant, thumbprint(jwk), { user, kid });
    return after;
  }

  return {
    async current(tenant, id) {
      const record = await records.current(tenant, id);
      return record === null || record.deleted ? null : record;
    },
    async ensure(tenant, id) {
      const present = await records.current(tenant, id);
      if (present !== null && !present.deleted) return present;
      const record = await records.update(tenant, id, (before) =>
        before === null || before.deleted ? revived(before) : null,
      );
      if (record === null) throw new HttpProblem('conflict', 'the user could not be made');
      return record;
    },
    async raiseEpoch(tenant, id) {
      const record = await records.update(tenant, id, (before) =>
        before === null || before.deleted ? null : { ...before, epoch: before.epoch + 1 },
      );
      return record === null || record.deleted ? null : record.epoch;
    },

    async add(tenant, user, key) {
      const { kid, jwk, scheme } = key;
      await records.update(tenant, user, (before) => {
        mergeKey(before, key, nowMs()); // Refuses before anything is written.
        return null;
      });
      await reserve(tenant, user, kid, jwk);
      let outcome = { isNewKey: true, isNewUse: true };
      let replaced: UserKey | undefined;
      await records.update(tenant, user, (before) => {
        const known = before?.keys.find((one) => one.kid === kid);
        const isKnown = known !== undefined && isSameKey(known.jwk, jwk);
        outcome = { isNewKey: !isKnown, isNewUse: !isKnown || !known.uses.includes(scheme) };
        replaced = isKnown ? undefined : known;
        return mergeKey(before, key, nowMs());
      });
      if (replaced !== undefined) await records.removeOwner(tenant, thumbprint(replaced.jwk), { user, kid });
      const { owner } = await records.ownerOf(tenant, thumbprint(jwk));
      if (outcome.isNewKey && !(owner?.user === user && owner.kid === kid)) {
        const isOurs = (one: UserKey) => one.kid === kid && isSameKey(one.jwk, jwk);
        await records.update(
          tenant,
          user,
          (before) => before && { ...before, keys: before.keys.filter((one) => !isOurs(one)) },
        );
        throw keyTaken();
      }
      return outcome;
    },

    async withdraw(tenant, user, scheme, kid) {
      let isFound = false;
      await removeKeys(tenant, user, (before) => {
        isFound = before.keys.some((key) => key.kid === kid && key.uses.includes(scheme));
        return isFound ? { ...before, keys: withoutUse(before.keys, scheme, kid) } : null;
      });
      return isFound;
    },
    async withdrawAll(tenant, user, scheme) {
      const after = await removeKeys(tenant, user, (before) => ({
        ...before,
        epoch: before.epoch + 1,
        keys: withoutUse(before.keys, scheme),
      }));
      return after !== null && !after.deleted;
    },
    async deleteUser(tenant, user) {
      let isFound = false;
      await removeKeys(tenant, user, (before) => {
        isFound = true;
        return { ...EMPTY, epoch: before.epoch + 1, deleted: true };
      });
      return isFound;
    },
  };
}

/** A tombstone comes back with the epoch it has: a later user of a name inherits no session of an earlier one. */
export function revived(before: UserRecord | null): RecordChange {
  return { ...EMPTY, epoch: before?.epoch ?? 0 };
}

function mergeKey(before: UserRecord | null, key: NewKey, nowMs: number): RecordChange {
  const base = before === null || before.deleted ? revived(before) : before;
  if (key.epoch !== undefined && key.epoch !== base.epoch)
    throw new HttpProblem('conflict', 'the user was deleted or revoked meanwhile');
  const known = base.keys.find(({ kid }) => kid === key.kid);
  if (known !== undefined && isSameKey(known.jwk, key.jwk)) {
    const uses = known.uses.includes(key.scheme) ? known.uses : [...known.uses, key.scheme];
    return {
      ...base,
      keys: base.keys.map((one) =>
        one === known
          ? { ...known, uses, expiresAt: key.expiresAt === undefined ? known.expiresAt : key.expiresAt }
          : one,
      ),
    };
  }
  if (known !== undefined && !key.replace) throw new HttpProblem('conflict', 'another key has this id');
  const others = base.keys.filter((one) => one !== known);
  if (others.length >= MAX_KEYS) throw new HttpProblem('conflict', `a user has at most ${MAX_KEYS} keys`);
  const { kid, jwk, scheme, expiresAt = null } = key;
  return { ...base, keys: [...others, { kid, alg: algOf(jwk), jwk, uses: [scheme], addedAt: nowMs, expiresAt }] };
}

/** @param kid of the one key it is about; absent: all. */
function withoutUse(keys: readonly UserKey[], scheme: string, kid?: string): UserKey[] {
  return keys
    .map((key) =>
      kid === undefined || key.kid === kid ? { ...key, uses: key.uses.filter((use) => use !== scheme) } : key,
    )
    .filter((key) => key.uses.length > 0);
}

function keyTaken(): HttpProblem {
  return new HttpProblem('conflict', 'the key belongs to another user or has another id');
}
