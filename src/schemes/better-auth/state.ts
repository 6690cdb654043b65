/**
 * What better-auth keeps in the store for both versions; the records of accounts and sessions are `v1/record.ts` and `v0/record.ts`.
 *
 * | record | class, parts | value | lifetime | absence means |
 * |---|---|---|---|---|
 * | seen nonce | `c`: `nonce`, access key, nonce | owner | as long as its message is fresh | accept, hence the horizon |
 * | challenge | `o`: `v1-challenge` or `v0-challenge`, nonce | whom it is for, issuedAtMs | `challengeLifetime`, skew | deny |
 * | mark | `x`: `revoked-identity`, identity; `revoked-device`, identity, device | `1` | as long as a token it revokes may pass | accept, hence the horizon |
 *
 * The access key is in the key of a nonce so that nobody can burn another's.
 */
import { claimExpiresAtMs, requireAfterHorizon, revocationTtlMs, within } from '../../core/clock.ts';
import type { Resources } from '../../core/scheme.ts';
import type { ClaimResult, Key, KeyClass } from '../../core/store.ts';
import { parseRecordJson } from '../../encoding/record-json.ts';
import type { Settings } from './settings.ts';

/** Accounts of better-auth name no tenant: there is one. */
export const TENANT = 'default';

export type StoreParts = Pick<Resources, 'store' | 'storeKey' | 'skewMs'>;

export interface State {
  key(keyClass: KeyClass, ...parts: readonly string[]): Key;
  /** @param owner the Check's id: a retry of the same Check is answered `mine`. */
  claimNonce(accessKey: string, nonce: string, owner: string, timestampMs: number): Promise<ClaimResult>;
  /** For tokens of an issuer elsewhere, whose records are not here. @param device absent: all of them. */
  mark(identity: string, device: string | undefined, nowMs: number): Promise<void>;
  isMarked(identity: string, device: string): Promise<boolean>;
}

export function createState(
  { store, storeKey, skewMs }: StoreParts,
  { accessWindowMs, accessLifetimeMs }: Pick<Settings, 'accessWindowMs' | 'accessLifetimeMs'>,
): State {
  const key: State['key'] = (keyClass, ...parts) => storeKey(keyClass, TENANT, ...parts);
  const markKey = (identity: string, device: string | undefined) =>
    device === undefined ? key('x', 'revoked-identity', identity) : key('x', 'revoked-device', identity, device);
  return {
    key,
    claimNonce: (accessKey, nonce, owner, timestampMs) =>
      store.claim(key('c', 'nonce', accessKey, nonce), owner, claimExpiresAtMs(timestampMs + accessWindowMs, skewMs)),
    mark: (identity, device, nowMs) =>
      // The last token may have been made by a clock that far ahead.
      store.put(markKey(identity, device), '1', revocationTtlMs(nowMs + skewMs + accessLifetimeMs, skewMs, nowMs)),
    async isMarked(identity, device) {
      const [ofIdentity, ofDevice] = [
        await store.get(markKey(identity, undefined)),
        await store.get(markKey(identity, device)),
      ];
      return ofIdentity !== null || ofDevice !== null;
    },
  };
}

/** A challenge with whom it is for: v1 `identity`, v0 `accountId` and `kind`. */
export interface Challenge {
  readonly issuedAtMs: number;
}

export interface Challenges<T extends Challenge> {
  /** Also for accounts that do not exist: whether they do is not told here. */
  issue(nonce: string, challenge: T): Promise<void>;
  /**
   * Only looks. Null when absent or too old.
   *
   * @throws {Denial} `stale`, {Fault} `recovering`: issued before the store may have lost that it was spent.
   */
  find(nonce: string, nowMs: number): Promise<{ readonly challenge: T; readonly text: string } | null>;
  /** Spends the very challenge that was found: of concurrent callers one gets it. */
  spend(nonce: string, text: string): Promise<boolean>;
}

export function createChallenges<T extends Challenge>(
  kind: 'v0-challenge' | 'v1-challenge',
  { store, skewMs }: StoreParts,
  { key }: State,
  lifetimeMs: number,
): Challenges<T> {
  return {
    issue: (nonce, challenge) => store.put(key('o', kind, nonce), JSON.stringify(challenge), lifetimeMs + skewMs),
    async find(nonce, nowMs) {
      const text = await store.get(key('o', kind, nonce));
      if (text === null) return null;
      const challenge = parseRecordJson(text, 'a challenge') as unknown as T;
      const { issuedAtMs } = challenge;
      if (!within(0, nowMs, issuedAtMs + lifetimeMs)) return null;
      requireAfterHorizon({ madeAtMs: issuedAtMs, leadMs: 0, nowMs }, store.horizonMs());
      return { challenge, text };
    },
    spend: async (nonce, text) => (await store.take(key('o', kind, nonce))) === text,
  };
}
