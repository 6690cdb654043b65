/**
 * Logins under way. Their state holds the answer that the client must give: who has it needs no password, so it stays here, sealed,
 * is taken out once, and names the user, whatever the request that takes it says.
 */
import { Fault } from '../../core/fault.ts';
import { within } from '../../core/clock.ts';
import type { Resources } from '../../core/scheme.ts';
import { Secret } from '../../core/secret.ts';
import { decodeBase64url, encodeBase64url } from '../../encoding/base64url.ts';
import type { Profile } from './message.ts';
import { sealedAs } from './sealed.ts';

export interface LoginState {
  readonly user: string;
  /** Digest of the registration record; null: the user has none, and nothing will pass. */
  readonly registration: string | null;
  /** 128 bytes of the engine's. */
  readonly state: Secret<Uint8Array>;
  /** `kid`. */
  readonly setup: string;
  readonly profile: Profile;
  readonly atMs: number;
}

interface Stored {
  readonly user: string;
  /** Digest of the registration record, or what stands for none. */
  readonly known: string;
  readonly state: string;
  readonly setup: string;
  readonly profile: Profile;
  readonly at: number;
}

export interface Logins {
  /** @param loginId 22 characters. */
  begin(tenant: string, loginId: string, login: LoginState): Promise<void>;
  /** One attempt, also when it fails. Null when absent, expired, or begun before the store lost its memory. @throws {Fault} `sealed` */
  take(tenant: string, loginId: string, nowMs: number): Promise<LoginState | null>;
}

/** As long as a digest: the length of a sealed value must not tell known from unknown users. */
const NO_REGISTRATION = '-'.repeat(43);

export function createLogins(resources: Resources, lifetimeMs: number): Logins {
  const { store, storeKey, skewMs } = resources;
  const sealed = sealedAs<Stored>('opaque-pop login', resources);
  const keyOf = (tenant: string, loginId: string) => storeKey('o', tenant, 'login', loginId);
  return {
    begin(tenant, loginId, { user, registration, state, setup, profile, atMs }) {
      const key = keyOf(tenant, loginId);
      const text = sealed.seal(key, {
        user,
        known: registration ?? NO_REGISTRATION,
        state: encodeBase64url(state.reveal()),
        setup,
        profile,
        at: atMs,
      });
      return store.put(key, text, lifetimeMs);
    },
    async take(tenant, loginId, nowMs) {
      const key = keyOf(tenant, loginId);
      const text = await store.take(key);
      if (text === null) return null;
      const { user, known, state: stateText, setup, profile, at } = sealed.open(key, text);
      const state = decodeBase64url(stateText);
      if (state === undefined) throw new Fault('sealed', 'a login state that is none of ours');
      // Another replica's clock may be ahead of ours when it began, by the skew.
      if (!within(at - skewMs, nowMs, at + lifetimeMs)) return null;
      if (!within(store.horizonMs(), at, Number.MAX_SAFE_INTEGER)) return null;
      return {
        user,
        registration: known === NO_REGISTRATION ? null : known,
        state: new Secret(state),
        setup,
        profile,
        atMs: at,
      };
    },
  };
}
