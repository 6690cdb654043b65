/**
 * Judges one MAC, of a request or of a logout: made just now, with the key of a live session, of a user in good standing, for the first
 * time? What the MAC covers, and in which form it came, is `verify.ts` and `endpoints.ts`.
 */
import { requireAfterHorizon, within } from '../../core/clock.ts';
import { deny } from '../../core/decision.ts';
import type { UserRecord } from '../../core/directory.ts';
import type { Resources } from '../../core/scheme.ts';
import { constantTimeEqual } from '../../crypto/equal.ts';
import { hmacSha256 } from '../../crypto/mac.ts';
import type { Profile } from './message.ts';
import type { Settings } from './settings.ts';
import type { FoundSession, SessionState } from './state.ts';

export interface JudgeParts {
  readonly resources: Resources;
  readonly settings: Settings;
  readonly sessions: SessionState;
}

export interface Proof {
  readonly profile: Profile;
  readonly sid: string;
  /** The client's clock, unix ms. */
  readonly tsMs: number;
  /** As it was decoded: 16 bytes, or text. */
  readonly nonce: string | Uint8Array;
  /** 32 bytes. */
  readonly mac: Uint8Array;
  /** What the MAC covers. */
  readonly message: Uint8Array;
}

export interface Judging {
  readonly tenant: string;
  readonly nowMs: number;
  /** Owner of the claim. */
  readonly owner: string;
  stageDone(stage: 'key' | 'verify' | 'store'): void;
  /** Stands before the claim. @throws {Fault} `deadline` */
  requireTime(): void;
}

export interface Judged {
  readonly session: FoundSession;
  readonly user: UserRecord;
  /** The claim said `mine`: the same Check again. */
  readonly isRetried: boolean;
}

/**
 * @throws {Denial} one code per guard below.
 * @throws whatever store, directory and key ring throw; the caller treats that as a fault.
 */
export async function judge({ resources, settings, sessions }: JudgeParts, proof: Proof, at: Judging): Promise<Judged> {
  const { profile, sid, nonce, mac, message } = proof;
  const validUntilMs = requireFresh(proof, at.nowMs, settings, resources);

  const session = await sessions.find(at.tenant, sid, profile);
  // A session of the other profile is nobody's here; verified against all the same, so that it costs as much.
  const isOurs = session.isKnown && session.profile === profile;
  at.stageDone('key');

  const isRight = constantTimeEqual(hmacSha256(session.key, message), mac);
  at.stageDone('verify');
  if (!isOurs) deny('unknown_credential', 'no such session');
  if (!isRight) deny('signature_invalid', 'MAC does not fit request and session');

  if (!within(0, at.nowMs, session.absUntilMs - 1)) deny('revoked', 'session is at its end');
  const user = await userOf(session, at.tenant, resources);
  if (user === null) return deny('revoked', 'the user is gone');
  if (user.disabled) deny('revoked', 'user is disabled');
  if (user.epoch !== session.epoch) deny('revoked', 'all sessions of the user were ended');
  at.stageDone('key');

  at.requireTime();
  // Claim last: a nonce must not be spendable by someone who can't make the MAC.
  const spent = await sessions.spend(at.tenant, sid, nonce, at.owner, validUntilMs);
  at.stageDone('store');
  if (spent === 'taken') deny('replayed', 'nonce was spent by another request');
  return { session, user, isRetried: spent === 'mine' };
}

/** A record older than the session is one that the cache has kept: another replica has changed the password, or made the user, since. */
async function userOf(
  { user, epoch }: FoundSession,
  tenant: string,
  { directory, users }: Resources,
): Promise<UserRecord | null> {
  const known = await directory.user(tenant, user);
  return known === null || known.epoch < epoch ? users.current(tenant, user) : known;
}

/** @returns the last instant at which the proof may be accepted. */
function requireFresh({ profile, tsMs }: Proof, nowMs: number, settings: Settings, resources: Resources): number {
  const [leadMs, windowMs] =
    profile === 'strict' ? [settings.futureMs, settings.windowMs] : [settings.seedWindowMs, settings.seedWindowMs];
  const madeAtMs = tsMs - leadMs;
  if (!within(madeAtMs, nowMs, Number.MAX_SAFE_INTEGER))
    deny('not_yet_valid', `timestamp ahead by more than ${leadMs} ms`);
  if (!within(madeAtMs, nowMs, tsMs + windowMs)) deny('stale', `timestamp older than ${windowMs} ms`);
  requireAfterHorizon({ madeAtMs, leadMs, nowMs }, resources.store.horizonMs());
  return tsMs + windowMs;
}
