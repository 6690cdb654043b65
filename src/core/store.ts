/**
 * The store's verbs and their promises. Each verb is atomic; there is no list, scan or pattern verb, so no caller can build a
 * check-then-set race. Implementations: `store/memory.ts` (reference semantics) and `store/redis.ts`.
 */
import type { StoreFaultReason } from './fault.ts';

/**
 * What loss of a record does depends on what its absence means; so every record belongs to one class.
 *
 * | class | record | absence means |
 * |---|---|---|
 * | `c` | claimed one-time value | accept (hence the horizon) |
 * | `o` | one-time state: challenge, login state, invitation | deny |
 * | `s` | session | deny |
 * | `r` | registered credential, account, epoch | deny |
 * | `h` | chain head | deny |
 * | `x` | revocation mark of something the store does not hold | accept |
 */
export type KeyClass = 'c' | 'o' | 's' | 'r' | 'h' | 'x';

/** Made only by `crypto/store-key.ts`. Raw user text never enters a key. */
export interface Key {
  readonly class: KeyClass;
  /** `<class>:<base64url SHA-256 of the length-prefixed parts>`. */
  readonly text: string;
  /** First byte of the digest: picks the Cluster hash tag. */
  readonly firstByte: number;
  /** Writes wait for replicas: classes `r` and `x` always, `h` where the scheme says so. `s` on delete only, which the store knows. */
  readonly durable: boolean;
}

export type ClaimResult = 'claimed' | 'mine' | 'taken';
export const STORE_STATES = ['ok', 'recovering', 'clock', 'down', 'unsafe'] as const;
export type StoreState = (typeof STORE_STATES)[number];

/** Values are UTF-8 text of at most 16 KiB. Every verb throws `StoreFault`, or `RangeError` for a programmer's mistake, before any I/O. */
export interface Store {
  /** The value, or null when absent or expired. */
  get(key: Key): Promise<string | null>;
  /** Sets the value whatever was there, with a fresh TTL. @param ttlMs integer of at least 1, or Infinity. */
  put(key: Key, value: string, ttlMs: number): Promise<void>;
  /**
   * Spends a one-time value. Absent: stores `owner` until `expiresAtMs` and answers `claimed`. Present with the same owner:
   * `mine`, expiry unchanged. Else `taken`.
   *
   * @param owner 1 to 64 bytes of `[A-Za-z0-9_-]`.
   * @param expiresAtMs unix ms on the store's clock; one that is not in the future is a fault `clock`.
   */
  claim(key: Key, owner: string, expiresAtMs: number): Promise<ClaimResult>;
  /** Returns the value and deletes it; of concurrent callers one gets it. Never on the Check path: a proxy's retry would look like an attack. */
  take(key: Key): Promise<string | null>;
  /** Compare and set: true when the value equalled `expected` byte for byte (`null`: was absent) and is now `next`. */
  swap(key: Key, expected: string | null, next: string, ttlMs: number): Promise<boolean>;
  delete(key: Key): Promise<void>;
  /** Proofs made before this time must be refused (`requireAfterHorizon`). Last known; never decreases within a process. */
  horizonMs(): number;
  state(): StoreState;
  /** Whether the self-test has passed once since start. */
  provenOnce(): boolean;
  close(): Promise<void>;
}

/** What an entry that was compared and removed holds until it expires, soon: readers take it for absent. */
export const REMOVED = '{}';
const REMOVED_TTL_MS = 1000;

/** Removes the entry if it still holds `text`. @returns whether it did. */
export function removeIfSame(store: Store, key: Key, text: string): Promise<boolean> {
  return store.swap(key, text, REMOVED, REMOVED_TTL_MS);
}

export const STORE_VERBS = ['get', 'put', 'claim', 'take', 'swap', 'delete'] as const;
export type StoreVerb = (typeof STORE_VERBS)[number];
export type StoreResult = 'ok' | ClaimResult | 'differs' | StoreFaultReason;

/** What a store tells the outside; `telemetry/` implements it. */
export interface StoreObserver {
  operation(verb: StoreVerb, result: StoreResult, seconds: number): void;
  state(state: StoreState, reason: StoreFaultReason | 'ok'): void;
  breaker(open: boolean): void;
  clockOffset(offsetMs: number): void;
  horizon(horizonMs: number, raised: boolean): void;
  connections(role: 'request' | 'durable' | 'sentinel', count: number): void;
}
