/**
 * Login: two calls, between which the client finds out whether it knows the password. Known, unknown and disabled users get the same
 * answer to the first, at the same cost. A first call is one guess, so it is what is counted (`guesses.ts`); failures are not, since a
 * client that guessed wrong need never make the second.
 */
import { deny } from '../../core/decision.ts';
import { Fault } from '../../core/fault.ts';
import type { RingKey } from '../../core/keyring.ts';
import type { Resources } from '../../core/scheme.ts';
import { encodeBase64url } from '../../encoding/base64url.ts';
import type { OpaqueEngine } from './engine.ts';
import { chargeGuess, credentialIdOf } from './guesses.ts';
import { macKey } from './keys.ts';
import type { Logins } from './logins.ts';
import { LOGIN_ID_BYTES, SID_BYTES, type Profile } from './message.ts';
import type { Registrations } from './registrations.ts';
import type { Settings } from './settings.ts';
import type { SessionState } from './state.ts';

export interface LoginParts {
  readonly resources: Resources;
  readonly settings: Settings;
  readonly engine: OpaqueEngine;
  readonly registrations: Registrations;
  readonly logins: Logins;
  readonly sessions: SessionState;
}

export interface LoginAttempt {
  readonly tenant: string;
  readonly profile: Profile;
  readonly nowMs: number;
}

/** @throws {Denial} `rate_limited`, `malformed` */
export async function startLogin(
  parts: LoginParts,
  { tenant, profile, nowMs }: LoginAttempt,
  { user, ke1, source }: { readonly user: string; readonly ke1: Uint8Array; readonly source: string },
): Promise<{ loginId: Uint8Array; ke2: Uint8Array; expiresAtMs: number }> {
  const { resources, settings, engine, registrations, logins } = parts;
  chargeGuess(parts, { tenant, user, source });
  const registration = await registrations.find(tenant, user);
  const setup = setupFor(resources, registration?.setup);
  const record = registration?.record ?? null;
  const { ke2, state } = await engine.loginStart(setup.material, credentialIdOf(tenant, user), record, ke1);
  const loginId = resources.random(LOGIN_ID_BYTES);
  const login = { user, registration: registration?.digest ?? null, state, setup: setup.kid, profile, atMs: nowMs };
  await logins.begin(tenant, encodeBase64url(loginId), login);
  return { loginId, ke2, expiresAtMs: nowMs + settings.loginLifetimeMs };
}

/** The one that the record names, or the active one for a record that is made up: looked up for both, so that both take as long. */
function setupFor({ keyring }: Resources, kid: string | undefined): RingKey {
  const active = keyring.active('opaque-setup');
  const named = keyring.usable('opaque-setup').find((key) => key.kid === (kid ?? active.kid));
  if (named === undefined)
    throw new Fault('key_source', 'a registration record names a setup that is not in the key ring');
  return named;
}

export interface StartedSession {
  /** From the first call: never from the second, which anyone could have sent. */
  readonly user: string;
  readonly sid: string;
  readonly expiresAtMs: number;
}

/**
 * @param claimedUser whom the request names, where its form has room for that.
 * @throws {Denial} `signature_invalid`: no such login, of another user, or without the password. `revoked`: the user is disabled or gone.
 */
export async function finishLogin(
  { resources, settings, engine, registrations, logins, sessions }: LoginParts,
  { tenant, profile, nowMs }: LoginAttempt,
  {
    loginId,
    ke3,
    claimedUser,
  }: { readonly loginId: Uint8Array; readonly ke3: Uint8Array; readonly claimedUser?: string },
): Promise<StartedSession> {
  const login = await logins.take(tenant, encodeBase64url(loginId), nowMs);
  if (login === null || login.profile !== profile) return deny('signature_invalid', 'no such login');
  const { user } = login;
  if (claimedUser !== undefined && claimedUser !== user) deny('signature_invalid', 'a login of another user');
  const sessionKey = await engine.loginFinish(login.state, ke3);
  if (sessionKey === null) return deny('signature_invalid', 'the client does not know the password');

  // The epoch first: a password that changes from here on raises it, and so ends the session that is made below.
  const record = await resources.users.current(tenant, user);
  const registration = await registrations.find(tenant, user);
  if (login.registration === null || registration?.digest !== login.registration)
    deny('signature_invalid', 'the user has no such record, or no longer');
  if (record === null || record.disabled) return deny('revoked', 'user is disabled or gone');

  const sid = encodeBase64url(resources.random(SID_BYTES));
  const expiresAtMs = nowMs + (profile === 'strict' ? settings.absoluteMs : settings.seedSessionMs);
  const key = macKey(profile, sessionKey, sid);
  await sessions.start(tenant, sid, { user, profile, key, epoch: record.epoch, atMs: nowMs, absUntilMs: expiresAtMs });
  return { user, sid, expiresAtMs };
}
