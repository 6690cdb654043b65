/**
 * The record of a v1 account, and each change of it as a new record: nothing here reads or writes (`identities.ts`) or judges whether a
 * change is allowed. All that must change together is in this one record.
 */
import { textDigest } from '../../../crypto/blake3.ts';
import type { Attributes } from '../attributes.ts';
import type { Committed } from './requests.ts';

/** What a device asked for last, so that the same may be asked for again when its answer was lost. */
export interface Applied {
  readonly effect: string;
  readonly nonce: string;
}

export interface Device {
  readonly publicKey: string;
  /** H of the key that may be shown next. */
  readonly rotationHash: string;
  readonly createdAtMs: number;
  /** Keys shown so far, the current one among them; newest last. */
  readonly past: readonly string[];
  readonly applied: Applied;
}

export interface Account {
  readonly v: 1;
  /** Grows with each write: no value comes twice. */
  readonly seq: number;
  readonly identity: string;
  readonly state: 'active';
  /** Until its first session; then the record has no end. */
  readonly unused: boolean;
  readonly createdAtMs: number;
  readonly recoveryHash: string;
  readonly previousRecovery: { readonly hash: string; readonly untilMs: number } | null;
  readonly usedRecovery: readonly string[];
  readonly sessionsNotBeforeMs: number;
  readonly attributes: Attributes;
  readonly devices: Readonly<Record<string, Device>>;
  readonly revoked: readonly string[];
}

/** Stays for ever: an account that was deleted never rises again. */
export interface Tombstone {
  readonly v: 1;
  readonly seq: number;
  readonly identity: string;
  readonly state: 'deleted';
  readonly deletedAtMs: number;
}

export type AccountRecord = Account | Tombstone;

const MAX_PAST = 16;
const MAX_REVOKED = 32;

/** Of a digest, what lists keep: enough to know it again. */
export function brief(digest: string): string {
  return digest.slice(1, 17);
}

export function isDeviceOf(account: Account, device: string): boolean {
  return Object.hasOwn(account.devices, device);
}

export function newAccount(
  { identity, recoveryHash, ...first }: Committed & { recoveryHash: string },
  applied: Applied,
  nowMs: number,
): Account {
  return {
    v: 1,
    seq: 0,
    identity,
    state: 'active',
    unused: true,
    createdAtMs: nowMs,
    recoveryHash,
    previousRecovery: null,
    usedRecovery: [],
    sessionsNotBeforeMs: 0,
    attributes: {},
    devices: { [first.device]: newDevice(first, applied, nowMs) },
    revoked: [],
  };
}

export function newDevice(
  { publicKey, rotationHash }: Pick<Committed, 'publicKey' | 'rotationHash'>,
  applied: Applied,
  nowMs: number,
): Device {
  return { publicKey, rotationHash, createdAtMs: nowMs, past: [brief(textDigest(publicKey))], applied };
}

/** The acting device shows its next key and commits to another. */
export function rotated(account: Account, { device, publicKey, rotationHash }: Committed, applied: Applied): Account {
  const before = account.devices[device];
  if (before === undefined) throw new RangeError('rotated: no such device');
  const past = latest(MAX_PAST, [...before.past, brief(textDigest(publicKey))]);
  return {
    ...account,
    seq: account.seq + 1,
    devices: { ...account.devices, [device]: { ...before, publicKey, rotationHash, past, applied } },
  };
}

export function withDevice(account: Account, id: string, device: Device): Account {
  return { ...account, devices: { ...account.devices, [id]: device } };
}

export function withoutDevice(account: Account, id: string): Account {
  const { [id]: _, ...devices } = account.devices;
  return { ...account, devices, revoked: latest(MAX_REVOKED, [...account.revoked, brief(id)]) };
}

/** @param graceMs how long the one before still works. */
export function withRecovery(account: Account, recoveryHash: string, graceMs: number, nowMs: number): Account {
  return {
    ...account,
    recoveryHash,
    previousRecovery: graceMs === 0 ? null : { hash: account.recoveryHash, untilMs: nowMs + graceMs },
    usedRecovery: latest(MAX_PAST, [...account.usedRecovery, brief(account.recoveryHash)]),
  };
}

/** Every device goes; the new one is alone. */
export function recovered(account: Account, recoveryHash: string, id: string, device: Device, nowMs: number): Account {
  const gone = Object.keys(account.devices).map(brief);
  return {
    ...withRecovery(account, recoveryHash, 0, nowMs),
    seq: account.seq + 1,
    devices: { [id]: device },
    revoked: latest(MAX_REVOKED, [...account.revoked, ...gone]),
  };
}

export function tombstone({ seq, identity }: AccountRecord, nowMs: number): Tombstone {
  return { v: 1, seq: seq + 1, identity, state: 'deleted', deletedAtMs: nowMs };
}

function latest(count: number, list: readonly string[]): readonly string[] {
  return list.slice(-count);
}
