/**
 * Judges an access token: did a key of ours sign it, for this site and tenant, is it in its time, and does its user still stand behind
 * it? On every request, from the first byte: a verdict that is kept is a second truth, and would save a tenth of a millisecond
 * (`bench/tokens.ts`). Keys are imported once, users are cached by the directory. Which header carried the token is the scheme's
 * business, and so is the proof of possession that a bound one needs besides.
 */
import { within } from '../core/clock.ts';
import { deny } from '../core/decision.ts';
import type { UserRecord } from '../core/directory.ts';
import type { RoutePolicy } from '../core/request.ts';
import type { CheckCall, Resources } from '../core/scheme.ts';
import { readClaims, type AccessClaims } from './claims.ts';
import type { RevokedTokens } from './revoked-tokens.ts';
import type { TokenKeys } from './token-keys.ts';
import { parseToken } from './token.ts';

export interface TokenRules {
  /** `open`: a user without a record is the one whose key it is. */
  readonly accounts: 'listed' | 'open';
  /** Longest accepted `exp - iat`. */
  readonly maxLifetimeMs: number;
  /** Undefined: no look at single revocations, which costs a store read each. */
  readonly revoked: RevokedTokens | undefined;
}

/** Where the token was presented. */
export interface TokenRoute {
  readonly policy: Pick<RoutePolicy, 'tenant' | 'audience' | 'storeFree'>;
  /** A proof of possession came along: then the token names its key, else it names none. */
  readonly isBound: boolean;
  readonly call: CheckCall;
  /** Once the token is parsed, before any look-up. @param subject unverified. @throws {Denial} `rate_limited` */
  charge(subject: string): void;
}

export interface AcceptedToken {
  readonly claims: AccessClaims;
  /** The user's current ones, not those at issue. */
  readonly attributes: UserRecord['attributes'];
}

/** @throws {Denial} one code per guard. @throws whatever directory, store and key ring throw: a fault. */
export type VerifyAccessToken = (text: string, route: TokenRoute, nowMs: number) => Promise<AcceptedToken>;

export function createVerifyAccessToken(
  resources: Pick<Resources, 'directory' | 'users' | 'skewMs' | 'issuerUrl'>,
  keys: Pick<TokenKeys, 'byId'>,
  rules: TokenRules,
): VerifyAccessToken {
  return async (text, route, nowMs) => {
    const { policy, call } = route;
    const { header, payload, signed, signature } = parseToken(text);
    route.charge(typeof payload['sub'] === 'string' ? payload['sub'] : '');
    call.stageDone('parse');

    const key = keys.byId(header.kid) ?? deny('unknown_credential', 'kid of no key in force');
    if (header.alg !== key.header.alg) deny('signature_invalid', "alg is not the key's");
    if (header.typ !== key.header.typ) deny('signature_invalid', "typ is not the key's");
    call.stageDone('key');
    if (!(await key.verify(signed, signature))) deny('signature_invalid', 'signature of the token does not fit');
    call.stageDone('verify');

    const claims = readClaims(payload) ?? deny('signature_invalid', 'a claim is missing or of another type');
    if (claims.iss !== resources.issuerUrl) deny('signature_invalid', 'token of another issuer');
    if (!policy.audience.includes(claims.aud)) deny('signature_invalid', 'token for another audience');
    if ((claims.tenant ?? 'default') !== policy.tenant) deny('signature_invalid', 'token of another tenant');
    if (!within(0, (claims.exp - claims.iat) * 1000, rules.maxLifetimeMs))
      deny('signature_invalid', 'token that lives longer than any of ours');
    if (key.isShared && (claims.public_key === undefined || claims.tenant !== undefined))
      deny('signature_invalid', "the shared key signs tokens of the seed's form only");

    requireInTime(claims, nowMs, resources.skewMs, call);
    if (route.isBound !== (claims.cnf !== undefined))
      deny('signature_invalid', route.isBound ? 'token that is bound to no key' : 'token that is bound to a key');
    const attributes = await standingOf(claims, route, resources, rules);
    if (rules.revoked !== undefined && (await rules.revoked.isRevoked(policy.tenant, claims.jti)))
      deny('revoked', 'token was revoked');
    call.stageDone('store');
    return { claims, attributes };
  };
}

/** Both ends are times of a server of ours: `skew` is for the difference between two of them. */
function requireInTime({ iat, exp }: AccessClaims, nowMs: number, skewMs: number, call: CheckCall): void {
  call.proofAge(nowMs - iat * 1000);
  const sinceMs = iat * 1000 - skewMs;
  if (!within(sinceMs, nowMs, Number.MAX_SAFE_INTEGER)) deny('not_yet_valid', 'token issued ahead of our time');
  if (!within(sinceMs, nowMs, exp * 1000 + skewMs - 1)) deny('stale', 'token has expired');
}

/** The user's attributes, when the user still stands behind the token. */
async function standingOf(
  { sub, key, epoch }: AccessClaims,
  { policy: { tenant, storeFree = false } }: TokenRoute,
  { directory, users }: Pick<Resources, 'directory' | 'users'>,
  { accounts }: TokenRules,
): Promise<UserRecord['attributes']> {
  const isOfStranger = accounts === 'open' && sub === key && epoch === 0;
  const known = await directory.record(tenant, sub, { storeFree });
  // A token of ours that is ahead of the cache: its user was registered, or logged in anew after a revocation, at another replica.
  const isBehind = known === null ? !isOfStranger : known.epoch < epoch;
  const record = isBehind ? await users.current(tenant, sub) : known;
  if (record === null) {
    if (!isOfStranger) deny('revoked', 'user is gone');
    return {};
  }
  if (record.deleted) deny('revoked', 'user was deleted');
  if (record.disabled) deny('revoked', 'user is disabled');
  if (record.epoch !== epoch) deny('revoked', "token of another epoch of the user's");
  return record.attributes;
}
