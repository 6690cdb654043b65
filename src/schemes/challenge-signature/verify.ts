/**
 * Judges one request: is this challenge ours, fresh and unspent, and did the user's key sign it together with this very request?
 * Making challenges is `endpoints.ts`; the wire format is `message.ts`; the guards' order is that of every scheme: what is
 * cheap first, nothing looked up before it is well formed, nothing changed before the signature holds.
 */
import { coveredBody } from '../../core/body.ts';
import { requireAfterHorizon, within } from '../../core/clock.ts';
import { Denial, deny, type Header } from '../../core/decision.ts';
import type { UserKey } from '../../core/directory.ts';
import type { AuthRequest, RoutePolicy } from '../../core/request.ts';
import { requireTime, type CheckCall, type Identity, type Resources } from '../../core/scheme.ts';
import { sha256 } from '../../crypto/digest.ts';
import { authSchemeOf, parseAuthHeader, type HeaderParams } from '../../encoding/auth-header.ts';
import type { Challenges } from './challenge.ts';
import {
  AUTH_SCHEME,
  formatAuthenticationInfo,
  parseProof,
  parseUser,
  SCHEME,
  signedBytes,
  type Challenge,
  type IssuedChallenge,
} from './message.ts';
import type { Settings } from './settings.ts';
import type { ChallengeState } from './state.ts';

const MINE = AUTH_SCHEME.toLowerCase();
const CONSUMED = ['authorization'];
const NOT_COVERED = new Uint8Array(0);

export interface VerifyParts {
  readonly resources: Resources;
  readonly lifetimeMs: number;
  readonly challenges: Challenges;
  readonly state: ChallengeState;
  /** The challenge for the user's next request, or undefined when answers carry none. */
  readonly next: (tenant: string, user: string) => IssuedChallenge | undefined;
}

/**
 * Does NOT check authorization: which subject may do what is the upstream's business.
 *
 * @throws {Denial} one code per guard below. On 401 its hint is the `IssuedChallenge` that the refusal carries, if any.
 * @throws whatever store, directory and key ring throw; the caller treats that as a fault.
 */
export async function verify(
  parts: VerifyParts,
  request: AuthRequest,
  policy: RoutePolicy,
  call: CheckCall,
): Promise<Identity> {
  const header = request.headers.single('authorization');
  if (header === undefined || authSchemeOf(header) !== MINE) deny('credentials_missing', 'not ChallengeSignature');
  const { params } = parseAuthHeader(header);
  const user = parseUser(params);
  try {
    return await judge(parts, user, params, request, policy, call);
  } catch (thrown) {
    if (thrown instanceof Denial && thrown.form.status === 401) throw withNext(thrown, parts.next(policy.tenant, user));
    throw thrown;
  }
}

async function judge(
  { resources, lifetimeMs, challenges, state, next }: VerifyParts,
  user: string,
  params: HeaderParams,
  request: AuthRequest,
  policy: RoutePolicy,
  call: CheckCall,
): Promise<Identity> {
  const { tenant } = policy;
  const { accept } = policy.options as Settings;
  const nowMs = request.receivedAtMs;

  const { kid, challenge, signature } = parseProof(user, params);
  resources.limits.credential(request.source, SCHEME, user);
  if (!accept.includes(challenge.kind)) deny('stale', 'this kind of challenge is not accepted here');
  const body = coveredBody(request, policy);
  call.stageDone('parse');

  const isStored = challenge.kind === 'stored';
  if (!isStored && !challenges.isOurs(tenant, user, challenge.bytes)) deny('stale', 'MAC of the challenge is not ours');
  call.proofAge(nowMs - challenge.issuedAtMs);
  requireFresh(challenge, nowMs, lifetimeMs, resources);

  const digest = sha256(challenge.bytes);
  if (isStored && !(await state.isIssued(tenant, user, digest))) deny('stale', 'no such challenge for this user');
  call.stageDone('store');

  const record = await resources.directory.user(tenant, user);
  const key = record?.keys.find((candidate) => candidate.kid === kid && candidate.uses.includes(SCHEME));
  call.stageDone('key');

  // A stranger's proof is verified too, so that it costs as much as a wrong one.
  const message = signedBytes({ user, kid }, challenge.bytes, request, body === null ? NOT_COVERED : sha256(body));
  const isSigned = await resources.signatures.verify(key ?? resources.directory.dummyKey, message, signature);
  call.stageDone('verify');
  if (record === null || key === undefined) return deny('unknown_credential', 'no such user, or no such key');
  if (!isSigned) deny('signature_invalid', 'signature does not fit request, challenge and key');
  if (record.disabled) deny('revoked', 'user is disabled');
  if (isExpired(key, nowMs)) deny('revoked', 'key has expired');

  const replyHeaders = replyWith(next(tenant, user));
  requireTime(call);
  // Claim last: a challenge must not be spendable by someone who can't sign.
  const spent = await state.spend(tenant, user, digest, request.checkId, challenge.issuedAtMs);
  call.stageDone('store');
  if (spent === 'taken') deny('replayed', 'challenge was spent by another request');

  return {
    subject: user,
    keyId: kid,
    attributes: record.attributes,
    consumed: CONSUMED,
    replyHeaders,
    retried: spent === 'mine',
  };
}

/** The time is a server's, so clients get no tolerance: `skew` is for the difference between two servers. */
function requireFresh({ issuedAtMs }: Challenge, nowMs: number, lifetimeMs: number, resources: Resources): void {
  const earliestMs = issuedAtMs - resources.skewMs;
  if (!within(earliestMs, nowMs, Number.MAX_SAFE_INTEGER)) deny('not_yet_valid', 'challenge made ahead of our time');
  if (!within(earliestMs, nowMs, issuedAtMs + lifetimeMs)) deny('stale', `challenge older than ${lifetimeMs} ms`);
  requireAfterHorizon({ madeAtMs: issuedAtMs, leadMs: 0, nowMs }, resources.store.horizonMs());
}

function isExpired({ expiresAt }: UserKey, nowMs: number): boolean {
  return expiresAt !== null && !within(0, nowMs, expiresAt - 1);
}

function withNext(denial: Denial, next: IssuedChallenge | undefined): Denial {
  return next === undefined ? denial : new Denial(denial.code, denial.detail, { ...denial.options, hint: next });
}

function replyWith(next: IssuedChallenge | undefined): readonly Header[] {
  return next === undefined ? [] : [['authentication-info', formatAuthenticationInfo(next)]];
}
