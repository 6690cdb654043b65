/**
 * What opaque-pop keeps in the store for Checks: sessions and spent nonces. What only the issuer needs is `registrations.ts` and
 * `logins.ts`.
 *
 * | record | class, parts | value | lifetime | absence means |
 * |---|---|---|---|---|
 * | session | `s`: `session`, sid | sealed: user, profile, MAC key, epoch, times | `strict`: idle, at most to its end; `seed`: to its end | deny |
 * | spent nonce | `c`: `nonce`, sid, nonce | owner | to the end of the proof's freshness | accept, hence the horizon |
 * | registration record | `r`: `record`, user | record, name of its setup | none | deny, with a made-up answer |
 * | login state | `o`: `login`, login id | sealed: user, expected KE3, session key | `loginLifetime` | deny |
 *
 * A session is made by `put` and moved by `swap` only: a `put` could bring back one that a logout has just deleted.
 */
import { claimExpiresAtMs } from '../../core/clock.ts';
import { Fault } from '../../core/fault.ts';
import type { Resources } from '../../core/scheme.ts';
import { Secret } from '../../core/secret.ts';
import type { ClaimResult } from '../../core/store.ts';
import { encodeBase64url } from '../../encoding/base64url.ts';
import { decodeExactly, STRICT_KEY_BYTES, type Profile } from './message.ts';
import { SEED_KEY_BYTES } from './seed-message.ts';
import { sealedAs } from './sealed.ts';

export interface Session {
  readonly user: string;
  readonly profile: Profile;
  readonly key: Secret<Uint8Array>;
  /** The user's when the session was made. */
  readonly epoch: number;
  /** Made, or last slid. */
  readonly atMs: number;
  /** Exclusive. */
  readonly absUntilMs: number;
}

export interface FoundSession extends Session {
  /** False: nobody's session, with a key that nobody has. */
  readonly isKnown: boolean;
  /** As it stands in the store, for `slide`. */
  readonly text: string;
  readonly version: number;
}

interface Stored {
  readonly v: number;
  readonly user: string;
  readonly profile: Profile;
  readonly k: string;
  readonly epoch: number;
  readonly at: number;
  readonly absUntil: number;
}

const KEY_BYTES: Readonly<Record<Profile, number>> = { strict: STRICT_KEY_BYTES, seed: SEED_KEY_BYTES };

export interface SessionState {
  start(tenant: string, sid: string, session: Session): Promise<void>;
  /** Of an unknown session one that costs as much to find and to verify against. @throws {Fault} `sealed` */
  find(tenant: string, sid: string, sought: Profile): Promise<FoundSession>;
  /** Begins the idle time anew. One that was ended or moved meanwhile stays as it is. */
  slide(tenant: string, sid: string, session: FoundSession, nowMs: number): Promise<void>;
  end(tenant: string, sid: string): Promise<void>;
  /** @param owner the Check's id: a retry of the same Check is answered `mine`. */
  spend(
    tenant: string,
    sid: string,
    nonce: string | Uint8Array,
    owner: string,
    validUntilMs: number,
  ): Promise<ClaimResult>;
}

export function createSessions(resources: Resources, idleMs: number): SessionState {
  const { store, storeKey, random, clock, skewMs } = resources;
  const sealed = sealedAs<Stored>('opaque-pop session', resources);
  const keyOf = (tenant: string, sid: string) => storeKey('s', tenant, 'session', sid);

  const lifetimeMs = ({ profile, absUntilMs }: Session, nowMs: number): number =>
    profile === 'strict' ? Math.min(idleMs, absUntilMs - nowMs) : absUntilMs - nowMs;

  const nobodysKey = keyOf('default', '');
  /** Of each profile one, as large as a known one: opening is most of what a known session costs. */
  const nobody: Readonly<Record<Profile, Stored>> = { strict: nobodyOf('strict'), seed: nobodyOf('seed') };
  const sealedNobody: Partial<Record<Profile, string>> = {};

  function nobodyOf(profile: Profile): Stored {
    const k = encodeBase64url(random(KEY_BYTES[profile]));
    const nowMs = clock.nowMs();
    return { v: 1, user: 'nobody', profile, k, epoch: 0, at: nowMs, absUntil: nowMs };
  }

  function openNobody(profile: Profile): Stored {
    const text = (sealedNobody[profile] ??= sealed.seal(nobodysKey, nobody[profile]));
    try {
      return sealed.open(nobodysKey, text);
    } catch {
      // Its wrap key has left the ring.
      delete sealedNobody[profile];
      return nobody[profile];
    }
  }

  return {
    start: (tenant, sid, session) => {
      const key = keyOf(tenant, sid);
      return store.put(key, sealed.seal(key, storedOf(session, 1)), lifetimeMs(session, session.atMs));
    },
    async find(tenant, sid, sought) {
      const key = keyOf(tenant, sid);
      const text = await store.get(key);
      const { v, user, profile, k, epoch, at, absUntil } = text === null ? openNobody(sought) : sealed.open(key, text);
      const raw = decodeExactly(k, KEY_BYTES[profile]);
      // A key of no bytes is one that everybody has.
      if (raw === undefined) throw new Fault('sealed', 'a session that is none of ours');
      const session = { user, profile, key: new Secret(raw), epoch, atMs: at, absUntilMs: absUntil };
      return { ...session, isKnown: text !== null, text: text ?? '', version: v };
    },
    async slide(tenant, sid, session, nowMs) {
      const key = keyOf(tenant, sid);
      const next = sealed.seal(key, storedOf({ ...session, atMs: nowMs }, session.version + 1));
      await store.swap(key, session.text, next, lifetimeMs(session, nowMs));
    },
    end: (tenant, sid) => store.delete(keyOf(tenant, sid)),
    spend: (tenant, sid, nonce, owner, validUntilMs) =>
      store.claim(storeKey('c', tenant, 'nonce', sid, nonce), owner, claimExpiresAtMs(validUntilMs, skewMs)),
  };
}

function storedOf({ user, profile, key, epoch, atMs, absUntilMs }: Session, v: number): Stored {
  return { v, user, profile, k: encodeBase64url(key.reveal()), epoch, at: atMs, absUntil: absUntilMs };
}
