/**
 * The records of v1 accounts in the store: class `r`, `v1-identity` and the identity; absence means refuse. An account that has had no
 * session ends after `v1.unusedAccountLifetime`, any other never. Every change is one `swap` of the text that was read.
 */
import { deny } from '../../../core/decision.ts';
import type { Store } from '../../../core/store.ts';
import { parseRecordJson } from '../../../encoding/record-json.ts';
import type { State } from '../state.ts';
import type { Account, AccountRecord } from './record.ts';

/** A record and the very text of it, which the next `swap` expects. */
export interface Found<Record extends AccountRecord = AccountRecord> {
  readonly text: string;
  readonly record: Record;
}

export interface Identities {
  find(identity: string): Promise<Found | null>;
  /** Of accounts that exist and are not deleted. */
  findActive(identity: string): Promise<Found<Account> | null>;
  /** @param before null: there must be none. @returns false when it is another by now. @throws {Denial} `malformed` above 16 KiB. */
  swap(before: Found | null, next: AccountRecord, nowMs: number): Promise<boolean>;
}

const MAX_BYTES = 16 * 1024;

export function createIdentities(
  { store }: { readonly store: Store },
  { key }: State,
  unusedLifetimeMs: number,
): Identities {
  const keyOf = (identity: string) => key('r', 'v1-identity', identity);

  async function find(identity: string): Promise<Found | null> {
    const text = await store.get(keyOf(identity));
    return text === null ? null : { text, record: parseRecordJson(text, 'a v1 account') as unknown as AccountRecord };
  }

  return {
    find,
    async findActive(identity) {
      const found = await find(identity);
      return found !== null && isActive(found) ? found : null;
    },
    swap(before, next, nowMs) {
      const text = JSON.stringify(next);
      // All of it is ASCII.
      if (text.length > MAX_BYTES) deny('malformed', 'the account would outgrow its record');
      const isUnused = next.state === 'active' && next.unused;
      const ttlMs = isUnused ? Math.max(1, next.createdAtMs + unusedLifetimeMs - nowMs) : Infinity;
      return store.swap(keyOf(next.identity), before?.text ?? null, text, ttlMs);
    },
  };
}

function isActive(found: Found): found is Found<Account> {
  return found.record.state === 'active';
}
