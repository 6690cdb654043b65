/**
 * Judges one login: did the holder of this key sign it, for us, just now, for the first time, and may that key come in? Both profiles
 * end here once `endpoints.ts` has read their form; what the token then says is `tokens/mint.ts`.
 */
import { requireAfterHorizon, within } from '../../core/clock.ts';
import { deny } from '../../core/decision.ts';
import type { PublicJwk } from '../../core/directory.ts';
import { requireTime, type EndpointCall, type Resources } from '../../core/scheme.ts';
import { encodeBase64url } from '../../encoding/base64url.ts';
import { algOf } from '../../encoding/jwk.ts';
import { mintToken, type MintedToken } from '../../tokens/mint.ts';
import type { TokenKey } from '../../tokens/token-keys.ts';
import { accountOf } from './accounts.ts';
import type { LoginState, SpentLogin } from './state.ts';

export interface LoginParts {
  readonly resources: Resources;
  readonly accounts: 'listed' | 'open';
  readonly state: LoginState;
}

/** A login in either profile, its form in order, its audience ours. */
export interface Login {
  readonly tenant: string;
  readonly jwk: PublicJwk;
  /** 32 bytes. */
  readonly thumbprint: Uint8Array;
  /** What was signed. */
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  /** Client's clock, unix ms. */
  readonly tsMs: number;
  readonly futureMs: number;
  readonly windowMs: number;
  /** What makes it once. */
  readonly spent: SpentLogin;
  readonly token: {
    /** @throws {Fault} `key_source` */
    key(): TokenKey;
    readonly audience: string;
    readonly lifetimeMs: number;
    readonly publicKeyHex?: string;
    readonly boundTo?: string;
  };
}

export interface LoggedIn extends MintedToken {
  readonly subject: string;
}

/**
 * @throws {Denial} one code per guard. Only the holder of the key learns whether it is disabled.
 * @throws whatever store, directory and key ring throw; the caller treats that as a fault.
 */
export async function logIn(
  { resources, accounts, state }: LoginParts,
  login: Login,
  call: Pick<EndpointCall, 'receivedAtMs' | 'owner' | 'signal'>,
): Promise<LoggedIn> {
  const { signatures, random, issuerUrl = '' } = resources;
  const { tenant, jwk, token } = login;
  const nowMs = call.receivedAtMs;
  const keyThumbprint = encodeBase64url(login.thumbprint);

  requireFresh(login, nowMs, resources);
  const account = await accountOf(resources, accounts, tenant, { jwk, thumbprint: keyThumbprint }, nowMs);
  const isSigned = await signatures.verify({ alg: algOf(jwk), jwk }, login.message, login.signature);
  if (!isSigned) deny('signature_invalid', 'the key did not sign this login');
  if (account === undefined) return deny('unknown_credential', 'key of no user who may log in');
  if (account.isDisabled) deny('revoked', 'user is disabled');

  // Before the claim: a ring without a key must not cost the client its login.
  const { subject, epoch } = account;
  const { key, ...grant } = token;
  const minted = mintToken(key(), { ...grant, issuerUrl, subject, epoch, keyThumbprint, tenant }, { nowMs, random });
  requireTime(call);
  // Claim last: a nonce must not be spendable by someone who can't sign.
  const spent = await state.spend(login.spent, call.owner, login.tsMs + login.windowMs);
  if (spent === 'taken') deny('replayed', 'login was spent by another request');
  return { ...minted, subject };
}

function requireFresh({ tsMs, futureMs, windowMs }: Login, nowMs: number, { store }: Pick<Resources, 'store'>): void {
  const madeAtMs = tsMs - futureMs;
  if (!within(madeAtMs, nowMs, Number.MAX_SAFE_INTEGER))
    deny('not_yet_valid', `login ahead by more than ${futureMs} ms`);
  if (!within(madeAtMs, nowMs, tsMs + windowMs)) deny('stale', `login older than ${windowMs} ms`);
  requireAfterHorizon({ madeAtMs, leadMs: futureMs, nowMs }, store.horizonMs());
}
