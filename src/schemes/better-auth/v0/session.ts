/**
 * The record of a session: a refresh key, the digest of the nonce that must be shown next, and what was shown before, so that a copy
 * of a message is told from a second use of its nonce.
 */
import { within } from '../../../core/clock.ts';
import { deviceOf, type LiveAccount, remember, tailOf } from './account.ts';

export interface LiveSession {
  readonly v: 1;
  readonly seq: number;
  readonly accountId: string;
  /** Null: made with the passphrase. */
  readonly deviceId: string | null;
  /** Of the method at that time. */
  readonly epoch: number;
  readonly refreshKey: string;
  readonly nextDigest: string;
  /** Tails of the digests of nonces shown, oldest first. */
  readonly past: readonly string[];
  /** SHA-256 of the messages that showed them, base64url. */
  readonly recent: readonly string[];
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

export interface EndedSession {
  readonly v: 1;
  readonly ended: true;
}

export type Session = LiveSession | EndedSession;

export const ENDED: EndedSession = { v: 1, ended: true };

const MAX_PAST = 8;

export function newSession(members: Omit<LiveSession, 'v' | 'seq' | 'past' | 'recent'>): LiveSession {
  return { v: 1, seq: 1, ...members, past: [], recent: [] };
}

/** @param digest of the nonce now shown. @param message SHA-256 of what was signed. */
export function advanced(session: LiveSession, digest: string, message: string, nextDigest: string): LiveSession {
  return {
    ...session,
    seq: session.seq + 1,
    nextDigest,
    past: remember(session.past, tailOf(digest), MAX_PAST),
    recent: remember(session.recent, message, MAX_PAST),
  };
}

export function isLive(session: Session, nowMs: number): session is LiveSession {
  return !('ended' in session) && within(0, nowMs, session.expiresAtMs);
}

/**
 * Whether the account still stands behind the session: the method it was made with is there, unchanged, and nobody ended all
 * sessions since.
 */
export function isBacked(session: LiveSession, account: LiveAccount, allowsPassphrase: boolean): boolean {
  const { deviceId, epoch, createdAtMs } = session;
  if (deviceId === null && !allowsPassphrase) return false;
  const method = deviceId === null ? account.passphrase : deviceOf(account, deviceId);
  return method?.epoch === epoch && within(account.sessionsNotBeforeMs, createdAtMs, Number.MAX_SAFE_INTEGER);
}
