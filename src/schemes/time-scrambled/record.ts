/** Chain records as text in the store: how they are written, and what is believed of what is read. */
import { Fault } from '../../core/fault.ts';
import { REMOVED } from '../../core/store.ts';
import { fromHex, toHex } from '../../encoding/bytes.ts';
import { parseRecordJson } from '../../encoding/record-json.ts';
import { PROFILES, TOKEN_BYTES, type Profile } from './message.ts';

/** A new chain of `seed` that waits for the token which proves that it is the client's. */
export interface Pending {
  readonly anchor: Uint8Array;
  readonly commitment: Uint8Array;
  readonly length: number;
  /** Unix ms. */
  readonly at: number;
}

export interface ChainRecord {
  /** Raised by every accepted request. */
  readonly v: number;
  /** With its lane. */
  readonly id: string;
  readonly user: string;
  /** The user's at enrolment. */
  readonly epoch: number;
  readonly profile: Profile;
  /** Last accepted token; the anchor at first. 64 bytes. */
  readonly head: Uint8Array;
  /** Of the head. Null in a chain begun by first use, until it is renewed. */
  readonly index: number | null;
  /** The time key, sealed. Null in `seed`. */
  readonly timeKey: string | null;
  readonly pending: Pending | null;
  /** The last accepted Check, and base64url of 16 bytes of SHA-256(x1): by both the proxy's retry is known. */
  readonly owner: string | null;
  readonly proof: string | null;
  /** Time of the last write, unix ms. */
  readonly at: number;
  /** Begun by first use: whose it is was never proven. */
  readonly isFirstUse: boolean;
}

const WHAT = 'a chain record';

export function formatRecord(record: ChainRecord): string {
  const { v, id, user, epoch, profile, head, index, timeKey, pending, owner, proof, at, isFirstUse } = record;
  const pend = pending && {
    a: toHex(pending.anchor),
    c: toHex(pending.commitment),
    nn: pending.length,
    at: pending.at,
  };
  const chain = { v, id, user, epoch, profile, h: toHex(head), n: index, kt: timeKey, pend, owner, rx: proof, at };
  return JSON.stringify(isFirstUse ? { ...chain, firstUse: true } : chain);
}

/** @returns null for an entry that was removed. @throws {Fault} `protocol`: one that can't be read is damage, never an absent chain. */
export function parseRecord(text: string): ChainRecord | null {
  if (text === REMOVED) return null;
  const { v, id, user, epoch, profile, h, n, kt, pend, owner, rx, at, firstUse } = parseRecordJson(text, WHAT);
  return {
    v: count(v),
    id: string(id),
    user: string(user),
    epoch: count(epoch),
    profile: PROFILES.find((one) => one === profile) ?? damaged(),
    head: token(h),
    index: n === null ? null : count(n),
    timeKey: kt === null ? null : string(kt),
    pending: pend === null ? null : pendingOf(pend),
    owner: owner === null ? null : string(owner),
    proof: rx === null ? null : string(rx),
    at: count(at),
    isFirstUse: firstUse === true,
  };
}

function pendingOf(value: unknown): Pending {
  if (typeof value !== 'object' || value === null) return damaged();
  const { a, c, nn, at } = value as Readonly<Record<string, unknown>>;
  return { anchor: token(a), commitment: token(c), length: count(nn), at: count(at) };
}

function token(value: unknown): Uint8Array {
  const bytes = typeof value === 'string' && value.length === 2 * TOKEN_BYTES ? fromHex(value) : undefined;
  return bytes ?? damaged();
}

function string(value: unknown): string {
  return typeof value === 'string' ? value : damaged();
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : damaged();
}

function damaged(): never {
  throw new Fault('protocol', `${WHAT} that is none of ours`);
}
