/**
 * Which key makes new things, and which still verify or open, at this instant. A ring that is read anew replaces the old one in one
 * step, and only when it is sound: a bad file leaves the last good ring in force.
 */
import type { Clock } from '../core/clock.ts';
import { within } from '../core/clock.ts';
import { Fault } from '../core/fault.ts';
import type { Keyring, KeyState, KeyUse, RingKey } from '../core/keyring.ts';
import type { SignatureAlg } from '../core/directory.ts';
import { readRingBytes } from './ring-file.ts';
import { parseRing, RingError, type StoredKey } from './ring.ts';
import { selfTest } from './self-test.ts';
import { watchFile } from './watch-file.ts';

/** What may be told about a key. */
export interface KeyDescription {
  readonly kid: string;
  readonly use: KeyUse;
  readonly alg: SignatureAlg | null;
  readonly state: KeyState;
  /** Unix ms; null for keys that were not read from a file. */
  readonly createdAtMs: number | null;
  readonly activateAtMs: number | null;
  readonly retireAtMs: number | null;
}

export interface OpenKeyring extends Keyring {
  describe(): readonly KeyDescription[];
  /** Reads the file now; never rejects. */
  reload(): Promise<void>;
  close(): void;
}

export interface KeyringOptions {
  readonly file: string;
  readonly clock: Clock;
  readonly reloadIntervalMs: number;
  /** A ring that was read anew is in force. */
  onChange(keys: readonly KeyDescription[]): void;
  /** The file is bad or gone; the ring in force stays. Holds no material. */
  onError(error: unknown): void;
  /** Uses that must have an active key; a ring without one is refused like a broken one. */
  readonly required?: readonly KeyUse[];
}

/** @throws {RingError} when the first ring is bad: there is no older one to stay with. */
export async function openKeyring(options: KeyringOptions): Promise<OpenKeyring> {
  const { file, clock, required = [] } = options;
  const read = () => readRingBytes(file);
  const load = async (bytes: Uint8Array) => {
    const keys = parseRing(bytes);
    requireUses(keys, required);
    await selfTest(keys);
    return keys;
  };
  const initial = await read();
  let keys = await load(initial);
  const ring = keyringOver(() => keys, clock);
  const fileWatch = watchFile({
    file,
    intervalMs: options.reloadIntervalMs,
    read,
    initial,
    async onChange(bytes) {
      keys = await load(bytes);
      options.onChange(ring.describe());
    },
    onError: (error) => options.onError(error),
  });
  return { ...ring, reload: () => fileWatch.check(), close: () => fileWatch.close() };
}

/** A ring in memory: tests and the demonstration. */
export function createKeyring(
  keys: readonly RingKey[],
  clock: Clock,
): Keyring & { describe(): readonly KeyDescription[] } {
  return keyringOver(() => keys, clock);
}

function requireUses(keys: readonly StoredKey[], required: readonly KeyUse[]): void {
  for (const use of required) {
    if (!keys.some((key) => key.use === use))
      throw new RingError(`key ring: no key of use ${use}, which a scheme needs`);
  }
}

function keyringOver(current: () => readonly RingKey[], clock: Clock) {
  return {
    active(use: KeyUse): RingKey {
      const key = activeOf(current(), use, clock.nowMs());
      if (key === undefined) throw new Fault('key_source', `the key ring has no active key of use ${use}`);
      return key;
    },
    usable(use: KeyUse): readonly RingKey[] {
      const nowMs = clock.nowMs();
      const active = activeOf(current(), use, nowMs);
      if (active === undefined) return [];
      // One that changed would tell made-up answers from real ones.
      if (use === 'pepper') return [active];
      const others = current().filter((key) => key.use === use && key !== active && isUsable(key, nowMs));
      return [
        active,
        ...others.filter((key) => key.state !== 'retired'),
        ...others.filter((key) => key.state === 'retired'),
      ];
    },
    describe(): readonly KeyDescription[] {
      return current().map((key) => describe(key, activeOf(current(), key.use, clock.nowMs()) === key));
    },
  };
}

/** The active key, or a `next` one whose time of activation has come: the latest. */
function activeOf(keys: readonly RingKey[], use: KeyUse, nowMs: number): RingKey | undefined {
  let found: RingKey | undefined;
  for (const key of keys) {
    if (key.use !== use || !isActive(key, nowMs)) continue;
    if (found === undefined || (key.activateAtMs ?? 0) > (found.activateAtMs ?? 0)) found = key;
  }
  return found;
}

function isActive(key: RingKey, nowMs: number): boolean {
  return (
    key.state === 'active' ||
    (key.state === 'next' && key.activateAtMs !== null && within(key.activateAtMs, nowMs, Number.MAX_SAFE_INTEGER))
  );
}

/** `next` keys verify too: another replica may call it active already. */
function isUsable(key: RingKey, nowMs: number): boolean {
  return (
    key.state !== 'retired' ||
    (key.retireAtMs === null ? key.use === 'opaque-setup' : within(0, nowMs, key.retireAtMs - 1))
  );
}

function describe(key: RingKey, isActiveNow: boolean): KeyDescription {
  const { kid, use, alg, state, activateAtMs, retireAtMs } = key;
  const createdAtMs = 'createdAtMs' in key && typeof key.createdAtMs === 'number' ? key.createdAtMs : null;
  return { kid, use, alg, state: isActiveNow ? 'active' : state, createdAtMs, activateAtMs, retireAtMs };
}
