/**
 * Changes to a key ring, as lists in and lists out: a new key, a rotation, an early end. What replicas may assume of each
 * other's rings is kept here: a key is published before it makes anything, and outlives what it made.
 * Reading and writing the file is `ring-file.ts`; the commands are `commands/`.
 */
import { within } from '../core/clock.ts';
import type { SignatureAlg } from '../core/directory.ts';
import type { KeyState, KeyUse } from '../core/keyring.ts';
import { Secret } from '../core/secret.ts';
import { generateKeyPair, thumbprint } from '../crypto/signatures.ts';
import { encodeBase64url } from '../encoding/base64url.ts';
import { utf8 } from '../encoding/bytes.ts';
import { RingError, SIGNING_ALGS, secretBytes, type StoredKey } from './ring.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const FOREVER = Number.MAX_SAFE_INTEGER;

/** Longer than others cache the public keys (5 min) and than a replica takes to read a ring. */
export const PUBLISH_MS = 10 * MINUTE_MS;

/**
 * How long a retired key is kept: the longest life that the settings allow to what it made, plus clocks. Null: for ever, since
 * password records name their setup. The configuration isn't known here, and too long costs nothing but patience.
 */
const KEEP_MS: Readonly<Record<KeyUse, number | null>> = {
  'challenge-mac': 10 * MINUTE_MS,
  wrap: 400 * DAY_MS,
  pepper: 0,
  'opaque-setup': null,
  'token-signing': DAY_MS + 10 * MINUTE_MS,
  'response-signing': 31 * DAY_MS,
  'access-signing': 31 * DAY_MS,
};

/** A change of these makes every registration worthless. */
const RE_REGISTERS: ReadonlySet<KeyUse> = new Set(['pepper', 'opaque-setup']);

export interface KeyOrder {
  readonly use: KeyUse;
  /** Required for uses that sign, unless one algorithm alone fits. */
  readonly alg?: SignatureAlg;
  /** Instant from which a `next` key counts as active by itself, unix ms; without it only `rotateKey` makes it so. */
  readonly activateAtMs?: number;
  readonly nowMs: number;
  random(bytes: number): Uint8Array;
  /** 128 bytes made by the OPAQUE engine; required for `opaque-setup`, since random bytes are no setup. */
  readonly setup?: Uint8Array;
}

/** Adds a key as `next`; the first of its use as `active`, since nobody can have cached anything. @throws {RingError} */
export function addKey(ring: readonly StoredKey[], order: KeyOrder): { ring: readonly StoredKey[]; added: StoredKey } {
  const isFirst = !ring.some((key) => key.use === order.use);
  if (ring.some((key) => key.use === order.use && key.state === 'next')) {
    throw new RingError(`${order.use}: there is a next key already; rotate first`);
  }
  const { activateAtMs = null, nowMs } = order;
  if (!isFirst && activateAtMs !== null && !within(nowMs + PUBLISH_MS, activateAtMs, FOREVER)) {
    throw new RingError(
      `${order.use}: expected an activation at least 10 min from now, so that every replica and cache has the key by then`,
    );
  }
  const added = makeKey(order, isFirst ? 'active' : 'next', isFirst ? nowMs : activateAtMs);
  return { ring: [...ring, added], added };
}

export interface Rotation extends Omit<KeyOrder, 'activateAtMs' | 'setup'> {
  /** Accepts that every account of the use's scheme has to register anew. */
  readonly reRegistersEveryone?: boolean;
}

/** Makes `next` active, retires the active key, drops ended ones and adds a new `next`. @throws {RingError} */
export function rotateKey(
  ring: readonly StoredKey[],
  order: Rotation,
): { ring: readonly StoredKey[]; activated: StoredKey } {
  const { use, nowMs } = order;
  if (RE_REGISTERS.has(use) && order.reRegistersEveryone !== true) {
    throw new RingError(
      `${use}: a rotation makes every registration worthless; say --re-registers-everyone to accept that`,
    );
  }
  const next = ring.find((key) => key.use === use && key.state === 'next');
  if (next === undefined) throw new RingError(`${use}: no next key; generate one and rotate 10 min later`);
  if (!within(next.createdAtMs + PUBLISH_MS, nowMs, FOREVER)) {
    const waitSeconds = Math.ceil((next.createdAtMs + PUBLISH_MS - nowMs) / 1000);
    throw new RingError(
      `${use}: the next key is too young; replicas and caches may not have it for another ${waitSeconds} s`,
    );
  }
  const activatedAtMs = Math.min(next.activateAtMs ?? nowMs, nowMs);
  const activated: StoredKey = { ...next, state: 'active', activateAtMs: activatedAtMs };
  const kept = ring
    .map((key) => (key === next ? activated : key.use === use && key.state === 'active' ? retired(key, nowMs) : key))
    .filter((key) => !(key.use === 'pepper' && key.state === 'retired') && !hasEnded(key, nowMs));
  if (RE_REGISTERS.has(use)) return { ring: kept, activated };
  const alg = order.alg ?? activated.alg;
  return { ring: [...kept, makeKey({ ...order, ...(alg !== null && { alg }) }, 'next', null)], activated };
}

/**
 * Ends a key at once, for one that leaked: what it made is refused from the next reload on. An active key gives way to `next`,
 * however young: a few refusals by replicas that don't know it yet weigh less than a stolen key.
 *
 * @throws {RingError}
 */
export function retireKey(
  ring: readonly StoredKey[],
  { kid, nowMs }: { kid: string; nowMs: number },
): readonly StoredKey[] {
  const ended = ring.find((key) => key.kid === kid);
  if (ended === undefined) throw new RingError('no key of this kid in the ring');
  const successor =
    ended.state === 'active' ? ring.find((key) => key.use === ended.use && key.state === 'next') : undefined;
  if (ended.state === 'active' && successor === undefined) {
    throw new RingError(`${ended.use}: this is the active key and there is no next one; generate one first`);
  }
  return ring.map((key): StoredKey => {
    if (key === ended) return { ...key, state: 'retired', retireAtMs: nowMs };
    return key === successor ? { ...key, state: 'active', activateAtMs: nowMs } : key;
  });
}

function retired(key: StoredKey, nowMs: number): StoredKey {
  const keepMs = KEEP_MS[key.use];
  return { ...key, state: 'retired', retireAtMs: keepMs === null ? null : nowMs + keepMs };
}

function hasEnded(key: StoredKey, nowMs: number): boolean {
  return key.state === 'retired' && key.retireAtMs !== null && within(key.retireAtMs, nowMs, FOREVER);
}

function makeKey(order: KeyOrder, state: KeyState, activateAtMs: number | null): StoredKey {
  const { use, nowMs } = order;
  const common = { use, state, createdAtMs: nowMs, activateAtMs, retireAtMs: null };
  const algs = SIGNING_ALGS[use];
  if (algs === undefined) {
    if (order.alg !== undefined) throw new RingError(`${use}: a shared secret has no algorithm`);
    return { ...common, kid: encodeBase64url(order.random(16)), alg: null, material: new Secret(secretFor(order)) };
  }
  const alg = order.alg ?? (algs.length === 1 ? algs[0] : undefined);
  if (alg === undefined || !algs.includes(alg))
    throw new RingError(`${use}: expected the algorithm ${algs.join(' or ')}`);
  const { privateJwk, publicJwk } = generateKeyPair(alg);
  const material = new Secret(utf8(JSON.stringify({ ...publicJwk, d: privateJwk.d })));
  return { ...common, kid: encodeBase64url(thumbprint(publicJwk)), alg, material };
}

function secretFor({ use, setup, ...order }: KeyOrder): Uint8Array {
  if (use !== 'opaque-setup') return order.random(secretBytes(use));
  if (setup?.length !== secretBytes(use))
    throw new RingError('opaque-setup: expected the 128 bytes of a setup made by the OPAQUE engine');
  return setup;
}
