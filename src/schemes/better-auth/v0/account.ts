/**
 * What v0 keeps of an account, and the changes it allows. Each change gives a whole new record for one `swap`; loading and storing
 * is `records.ts`. A record holds public keys and digests: no private key, no passphrase key, no token.
 */
import { within } from '../../../core/clock.ts';
import { sha256Base64url } from '../../../crypto/digest.ts';
import { textDigest } from '../../../crypto/blake3.ts';
import { constantTimeEqual } from '../../../crypto/equal.ts';
import { utf8 } from '../../../encoding/bytes.ts';

export type RegistrationKind = 'key' | 'passphrase';

export interface Device {
  /** The key now shown, qb64. */
  readonly current: string;
  /** H(next key); null: it can never rotate. */
  readonly nextDigest: string | null;
  /** Of the `seq` in which the device was registered or last rotated: sessions carry it. */
  readonly epoch: number;
  readonly createdAtMs: number;
  /** Tails of the digests of keys it has shown, the current one last. */
  readonly past: readonly string[];
}

export interface Passphrase {
  /** Peppered digest of the key: base64url of 32 bytes. */
  readonly digest: string;
  readonly parameters: string;
  readonly salt: string;
  readonly epoch: number;
}

/** A registration token that was handed out and not yet used. */
export interface Pending {
  /** SHA-256 of the token, base64url. */
  readonly token: string;
  readonly kind: RegistrationKind;
  /** Of a passphrase; else null. */
  readonly parameters: string | null;
  readonly salt: string | null;
  readonly expiresAtMs: number;
  /** Who asked: a device, `passphrase`, or null for the administrator. What ends the one ends what it asked for. */
  readonly by: string | null;
}

export interface LiveAccount {
  readonly v: 1;
  /** Grows with each swap, so that no value comes twice. */
  readonly seq: number;
  /** `pending` until a first method is registered. */
  readonly state: 'pending' | 'active';
  readonly createdAtMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Sessions made before are revoked. */
  readonly sessionsNotBeforeMs: number;
  readonly devices: Readonly<Record<string, Device>>;
  readonly passphrase: Passphrase | null;
  readonly pending: readonly Pending[];
}

/** Stays, so that nobody brings the account back. */
export interface Tombstone {
  readonly v: 1;
  readonly seq: number;
  readonly state: 'deleted';
  readonly accountId: string;
  readonly deletedAtMs: number;
}

export type Account = LiveAccount | Tombstone;

export const MAX_PENDING = 4;
const MAX_PAST_KEYS = 16;
const TAIL_CHARS = 16;

/** The passphrase as a method beside devices, whose ids are 44 characters. */
export const PASSPHRASE = 'passphrase';

export function newAccount(attributes: LiveAccount['attributes'], nowMs: number): LiveAccount {
  return {
    v: 1,
    seq: 1,
    state: 'pending',
    createdAtMs: nowMs,
    attributes,
    sessionsNotBeforeMs: 0,
    devices: {},
    passphrase: null,
    pending: [],
  };
}

/** As much of a digest as histories keep: 96 bits, behind the code. */
export function tailOf(digest: string): string {
  return digest.slice(1, 1 + TAIL_CHARS);
}

/** @param most entries kept; the oldest goes. */
export function remember(past: readonly string[], one: string, most = MAX_PAST_KEYS): readonly string[] {
  return [...past, one].slice(-most);
}

export function tokenDigest(token: string): string {
  return sha256Base64url(utf8(token));
}

export function pendingOf(
  account: LiveAccount,
  token: string,
  kind: RegistrationKind,
  nowMs: number,
): Pending | undefined {
  const digest = utf8(tokenDigest(token));
  return livePending(account, nowMs).find(
    (entry) => entry.kind === kind && constantTimeEqual(utf8(entry.token), digest),
  );
}

export function livePending({ pending }: LiveAccount, nowMs: number): readonly Pending[] {
  return pending.filter(({ expiresAtMs }) => within(0, nowMs, expiresAtMs));
}

export function isLive(account: Account): account is LiveAccount {
  return account.state !== 'deleted';
}

/** An account whose first registration nobody uses is gone with it. @returns ms, from now. */
export function lifetimeOf({ state, pending }: LiveAccount, nowMs: number): number {
  if (state === 'active') return Infinity;
  return Math.max(1, ...pending.map(({ expiresAtMs }) => expiresAtMs - nowMs));
}

export function withPending(account: LiveAccount, entry: Pending, nowMs: number): LiveAccount {
  return { ...account, seq: account.seq + 1, pending: [...livePending(account, nowMs), entry] };
}

/** Whether any device shows this key, or has shown it. */
export function isKeyOf({ devices }: LiveAccount, publicKey: string): boolean {
  const tail = tailOf(textDigest(publicKey));
  return Object.values(devices).some(({ past }) => past.includes(tail));
}

export interface ShownKeys {
  readonly current: string;
  readonly nextDigest: string | null;
}

/** The token is burnt and the device there, or neither. */
export function withDevice(
  account: LiveAccount,
  used: Pending,
  deviceId: string,
  { current, nextDigest }: ShownKeys,
  nowMs: number,
): LiveAccount {
  const seq = account.seq + 1;
  const device: Device = {
    current,
    nextDigest,
    epoch: seq,
    createdAtMs: nowMs,
    past: [tailOf(textDigest(current))],
  };
  return {
    ...account,
    seq,
    state: 'active',
    devices: { ...account.devices, [deviceId]: device },
    pending: account.pending.filter((entry) => entry !== used),
  };
}

/** In place of an earlier one, whose sessions end. */
export function withPassphrase(account: LiveAccount, used: Pending, digest: string): LiveAccount {
  const seq = account.seq + 1;
  const { parameters, salt } = used;
  return {
    ...account,
    seq,
    state: 'active',
    passphrase: { digest, parameters: parameters ?? '', salt: salt ?? '', epoch: seq },
    pending: account.pending.filter((entry) => entry !== used && entry.by !== PASSPHRASE),
  };
}

/** @param endsSessions else those that were made with the key before go on. */
export function withRotation(
  account: LiveAccount,
  deviceId: string,
  device: Device,
  { current, nextDigest }: ShownKeys,
  endsSessions: boolean,
): LiveAccount {
  const seq = account.seq + 1;
  const rotated: Device = {
    ...device,
    current,
    nextDigest,
    epoch: endsSessions ? seq : device.epoch,
    past: remember(device.past, tailOf(textDigest(current))),
  };
  return {
    ...account,
    seq,
    devices: { ...account.devices, [deviceId]: rotated },
    // Whoever stole the key that goes may have asked for registrations with it.
    pending: account.pending.filter(({ by }) => by !== deviceId),
  };
}

/** @returns undefined when there is no such method. */
export function withoutMethod(account: LiveAccount, method: string): LiveAccount | undefined {
  const pending = account.pending.filter(({ by }) => by !== method);
  const changed = { ...account, seq: account.seq + 1, pending };
  if (method === PASSPHRASE) return account.passphrase === null ? undefined : { ...changed, passphrase: null };
  if (deviceOf(account, method) === undefined) return undefined;
  const devices = Object.fromEntries(Object.entries(account.devices).filter(([deviceId]) => deviceId !== method));
  return { ...changed, devices };
}

export function withoutSessions(account: LiveAccount, sessionsNotBeforeMs: number): LiveAccount {
  return { ...account, seq: account.seq + 1, sessionsNotBeforeMs };
}

export function withAttributes(account: LiveAccount, attributes: LiveAccount['attributes']): LiveAccount {
  return { ...account, seq: account.seq + 1, attributes };
}

export function tombstone(account: Account, accountId: string, nowMs: number): Tombstone {
  return { v: 1, seq: account.seq + 1, state: 'deleted', accountId, deletedAtMs: nowMs };
}

/** What a method proves itself by: the key that its device shows, or the digest of the passphrase key. */
export function proofOf(account: LiveAccount, method: string): string | undefined {
  return method === PASSPHRASE ? account.passphrase?.digest : deviceOf(account, method)?.current;
}

export function deviceOf({ devices }: LiveAccount, deviceId: string): Device | undefined {
  return Object.hasOwn(devices, deviceId) ? devices[deviceId] : undefined;
}
