/** User records as text in the store: how they are written, and what is believed of what is read. */
import type { UserKey, UserRecord } from '../core/directory.ts';
import { Fault } from '../core/fault.ts';
import { HttpProblem } from '../core/http.ts';
import { REMOVED } from '../core/store.ts';
import { parseRecordJson } from '../encoding/record-json.ts';

/** Bytes of a record, and keys in it. */
const MAX_RECORD_BYTES = 16 * 1024;
export const MAX_KEYS = 16;

/** @throws {Fault} `protocol`: records are ours alone, so one that can't be read is damage, never an absent user. */
export function parseUserRecord(text: string): UserRecord {
  const value = parseRecordJson(text, 'a user record') as { [Member in keyof UserRecord]?: unknown };
  const isRecord =
    Number.isSafeInteger(value.v) &&
    typeof value.user === 'string' &&
    Number.isSafeInteger(value.epoch) &&
    typeof value.disabled === 'boolean' &&
    typeof value.deleted === 'boolean' &&
    typeof value.attributes === 'object' &&
    value.attributes !== null &&
    Array.isArray(value.keys) &&
    value.keys.every(isUserKey);
  if (!isRecord) throw new Fault('protocol', 'a user record that is none of ours');
  return value as unknown as UserRecord;
}

/** @throws {HttpProblem} `conflict` when the record would be too large. */
export function formatUserRecord(record: UserRecord): string {
  const { v, user, epoch, disabled, deleted, attributes, keys, updatedAt } = record;
  const text = JSON.stringify({ v, user, epoch, disabled, deleted, attributes, keys: keys.map(inOrder), updatedAt });
  if (new TextEncoder().encode(text).length > MAX_RECORD_BYTES)
    throw new HttpProblem('conflict', 'user record over 16 KiB');
  return text;
}

function inOrder({ kid, alg, jwk, uses, addedAt, expiresAt }: UserKey): UserKey {
  return { kid, alg, jwk, uses, addedAt, expiresAt };
}

export interface KeyOwner {
  readonly user: string;
  readonly kid: string;
}

/** @returns null for an entry that was removed. @throws {Fault} `protocol` */
export function parseKeyOwner(text: string): KeyOwner | null {
  if (text === REMOVED) return null;
  const { user, kid } = parseRecordJson(text, 'a key index entry') as Partial<KeyOwner>;
  if (typeof user !== 'string' || typeof kid !== 'string')
    throw new Fault('protocol', 'a key index entry that is none of ours');
  return { user, kid };
}

function isUserKey(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { kid, alg, jwk, uses, expiresAt } = value as Partial<UserKey>;
  return (
    typeof kid === 'string' &&
    (alg === 'Ed25519' || alg === 'ES256') &&
    typeof jwk === 'object' &&
    Array.isArray(uses) &&
    (expiresAt === null || Number.isSafeInteger(expiresAt))
  );
}
