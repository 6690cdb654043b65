/**
 * What a scheme may do to users and invitations while it registers a credential. Implementation: `users/`.
 * Reading users is `directory.ts`.
 */
import type { UserRecord } from './directory.ts';

export interface UserWrites {
  /** The record as it is now, past the cache that `Directory` reads; null for unknown and deleted users. @throws {StoreFault} */
  current(tenant: string, id: string): Promise<UserRecord | null>;
  /**
   * The user's record; made when there is none. A tombstone comes to life again with the epoch it has, so that a later user
   * of a name inherits no session of an earlier one.
   *
   * @throws {StoreFault}
   * @throws {HttpProblem} `conflict` after five lost races.
   */
  ensure(tenant: string, id: string): Promise<UserRecord>;
  /**
   * Ends all sessions, tokens and chains of the user. @returns the new epoch, or null without such a user.
   *
   * @throws {StoreFault}
   * @throws {HttpProblem} `conflict` after five lost races.
   */
  raiseEpoch(tenant: string, id: string): Promise<number | null>;
}

export interface Invitation {
  /** Null where accounts name themselves. */
  readonly user: string | null;
  readonly scheme: string;
  /** It may overwrite what the user has already. */
  readonly replace: boolean;
  /** The user's when it was issued, 0 where accounts name themselves: it ends with the user's epoch. */
  readonly epoch: number;
  /** Unix ms, exclusive. */
  readonly expiresAt: number;
}

export interface Invitations {
  /** @returns the token, 43 characters, which is told once and never kept in clear. @throws {StoreFault} */
  issue(
    tenant: string,
    invitation: {
      readonly scheme: string;
      readonly user: string | null;
      readonly replace: boolean;
      readonly ttlMs: number;
    },
  ): Promise<{ readonly token: string; readonly expiresAtMs: number }>;
  /** Looks without spending. Null when absent, expired or made for another scheme. @throws {StoreFault} */
  find(tenant: string, scheme: string, token: string): Promise<Invitation | null>;
  /** Spends it: of concurrent callers one gets it. Null as in `find`; one of another scheme is spent nonetheless. @throws {StoreFault} */
  spend(tenant: string, scheme: string, token: string): Promise<Invitation | null>;
}

const INVITATION = /^[A-Za-z0-9_-]{43}$/;

export function isInvitationToken(text: string): boolean {
  return INVITATION.test(text);
}
