/**
 * Judges one request: does its token continue the chain, was it scrambled just now, and in `keyed`, is it bound to this very request?
 * The wire format is `message.ts`, the chain `link.ts`, the record `state.ts`, what it becomes `advance.ts`, what is answered
 * `answers.ts`. Guards stand in the order of every scheme; no chain is hashed before the MAC of a `keyed` request fits.
 */
import { coveredBody } from '../../core/body.ts';
import { within } from '../../core/clock.ts';
import { Denial, deny, type Identity } from '../../core/decision.ts';
import type { UserRecord } from '../../core/directory.ts';
import { Fault } from '../../core/fault.ts';
import type { AuthRequest, RoutePolicy } from '../../core/request.ts';
import { requireTime, type CheckCall, type Resources } from '../../core/scheme.ts';
import { sha256 } from '../../crypto/digest.ts';
import { constantTimeEqual } from '../../crypto/equal.ts';
import { authSchemeOf, parseAuthHeader } from '../../encoding/auth-header.ts';
import { encodeBase64url } from '../../encoding/base64url.ts';
import { advance, type Link } from './advance.ts';
import { identityOf, refuseOutOfStep, withServerTime } from './answers.ts';
import { beginning, type FirstUses } from './first-use.ts';
import { isInPlace, isSpent, linksTo } from './link.ts';
import { AUTH_SCHEME, boundBytes, parseProof, profileOf, SCHEME, xor, type Profile, type Proof } from './message.ts';
import { candidates, windowOf } from './message-window.ts';
import type { ChainRecord } from './record.ts';
import { keyedScrambling, seedScrambling, type Scrambling } from './scrambling.ts';
import type { Settings } from './settings.ts';
import type { ChainState, HeldChain } from './state.ts';

const MINE = AUTH_SCHEME.toLowerCase();
const NOT_COVERED = new Uint8Array(0);
const PROOF_ID_BYTES = 16;

export interface VerifyParts {
  readonly resources: Resources;
  readonly settings: Settings;
  readonly state: ChainState;
  readonly firstUses: FirstUses;
}

/**
 * Does NOT check authorization: which subject may do what is the upstream's business.
 *
 * @throws {Denial} one code per guard below. Of `out_of_sync` and `replayed` its hint is the `Resync` that the refusal carries.
 * @throws whatever store, directory and key ring throw; the caller treats that as a fault.
 */
export async function verify(
  parts: VerifyParts,
  request: AuthRequest,
  policy: RoutePolicy,
  call: CheckCall,
): Promise<Identity> {
  const header = request.headers.single('authorization');
  if (header === undefined || authSchemeOf(header) !== MINE) deny('credentials_missing', 'not TimeScrambled');
  try {
    return await judge(parts, header, request, policy, call);
  } catch (thrown) {
    throw thrown instanceof Denial ? withServerTime(thrown, parts.resources.clock.nowMs()) : thrown;
  }
}

/** All that a judgement goes by, but for the chain. */
interface Case extends VerifyParts {
  readonly request: AuthRequest;
  readonly tenant: string;
  readonly call: CheckCall;
  readonly proof: Proof;
  readonly profile: Profile;
  /** Zero bytes when the body is not covered. */
  readonly bodyDigest: Uint8Array;
  /** Names the proof in the record: base64url of the first bytes of SHA-256(x1). */
  readonly proofId: string;
  /** Windows in which the client may have been, and the server's own. */
  readonly windows: readonly number[];
  readonly ownWindow: number;
}

async function judge(
  parts: VerifyParts,
  header: string,
  request: AuthRequest,
  policy: RoutePolicy,
  call: CheckCall,
): Promise<Identity> {
  const { resources, settings, state } = parts;
  const proof = parseProof(parseAuthHeader(header).params, settings.maxChain);
  const profile = profileOf(proof);
  // Nobody else takes this header, so a form that is not enabled is not somebody else's.
  if (!(policy.options as Settings).profiles.includes(profile)) deny('malformed', 'this form is not enabled here');
  const isUncommitted = profile === 'seed' && proof.newChain?.commitment === null;
  if (isUncommitted && !settings.seedOneStepRenewal) deny('malformed', 'a new anchor without its commitment');
  resources.limits.credential(request.source, SCHEME, proof.chain);
  const body = profile === 'keyed' ? coveredBody(request, policy) : null;
  call.stageDone('parse');

  const ownWindow = windowOf(request.receivedAtMs, settings.windowMs);
  const allowAhead = profile === 'keyed' ? settings.allowAhead : settings.seedAllowAhead;
  const given: Case = {
    ...parts,
    request,
    tenant: policy.tenant,
    call,
    proof,
    profile,
    bodyDigest: body === null ? NOT_COVERED : sha256(body),
    proofId: encodeBase64url(sha256(proof.x1).subarray(0, PROOF_ID_BYTES)),
    windows: candidates(ownWindow, proof.parity, allowAhead),
    ownWindow,
  };
  // Twice, since another request may move the head between reading and writing.
  for (let attempts = 1; ; attempts += 1) {
    const chain = await state.read(policy.tenant, proof.id, profile);
    call.stageDone('store');
    const timeKey = profile === 'keyed' ? state.timeKey(chain) : undefined;
    const scrambling = timeKey === undefined ? seedScrambling : keyedScrambling(timeKey, proof.id);
    call.stageDone('key');
    const identity =
      profile === 'keyed' ? await judgeKeyed(given, chain, scrambling) : await judgeSeed(given, chain, scrambling);
    if (identity !== undefined) return identity;
    if (attempts === 2)
      refuseOutOfStep({ ...given, scrambling }, chain, 'out_of_sync', 'the head moved twice meanwhile');
  }
}

/** @returns undefined when the head moved meanwhile. */
async function judgeKeyed(given: Case, chain: HeldChain, scrambling: Scrambling): Promise<Identity | undefined> {
  const { call, request, settings, resources, ownWindow } = given;
  // A stranger's proof is tried in every window too, so that it costs as much as a wrong one.
  const [window] = given.windows.filter((candidate) => isBound(given, scrambling, candidate));
  call.stageDone('verify');
  if (chain.isFake) deny('unknown_credential', 'no such chain');
  if (window === undefined) return deny('signature_invalid', 'MAC does not fit request, window and chain');
  const user = await validUser(given, chain.record);
  call.proofAge(request.receivedAtMs - window * settings.windowMs);
  requireAfterHorizon(window, ownWindow, request.receivedAtMs, settings, resources.store.horizonMs());
  return follow({ ...given, windows: [window] }, chain, scrambling, async () => user);
}

/** @returns undefined when the head moved meanwhile. */
async function judgeSeed(given: Case, chain: HeldChain, scrambling: Scrambling): Promise<Identity | undefined> {
  const { settings, resources, state, firstUses, tenant, request, proof, proofId, windows, call } = given;
  const isBeforeHorizon = (atMs: number) =>
    settings.afterLoss === 'enrol' && !within(resources.store.horizonMs(), atMs, Number.MAX_SAFE_INTEGER);
  // A chain that began before the horizon would be out of step at once, and for good.
  const mayBegin = settings.seedFirstUse === 'permit' && !isBeforeHorizon(request.receivedAtMs);
  if (mayBegin && (await firstUses.isPermitted(tenant))) {
    const [window] = windows;
    const token = window === undefined ? undefined : xor(proof.x1, scrambling.pad('x1', window));
    const accepted = { owner: request.checkId, proofId, nowMs: request.receivedAtMs };
    requireTime(call);
    const next = await beginning(resources, firstUses, tenant, chain, proof, token, accepted);
    if (next !== undefined) {
      const user = await validUser(given, next);
      if (!(await state.advance(chain, next, true))) return undefined;
      resources.notice('first_use', next.user);
      return identityOf({ ...given, scrambling }, user, next, false, undefined);
    }
  }
  return follow(given, chain, scrambling, (record) => validUser(given, record), isBeforeHorizon(chain.record.at));
}

/** The chain's part, the same in both profiles. */
async function follow(
  given: Case,
  chain: HeldChain,
  scrambling: Scrambling,
  userOf: (record: ChainRecord) => Promise<UserRecord>,
  isOutlived = false,
): Promise<Identity | undefined> {
  const { request, state, settings, proof, proofId, windows, call, profile, resources } = given;
  const { record } = chain;
  const tokens = windows.map((window) => xor(proof.x1, scrambling.pad('x1', window)));
  const answer = { ...given, scrambling };

  if (!isOutlived && !chain.isFake && record.owner === request.checkId && record.proof === proofId) {
    const user = await userOf(record);
    requireTime(call);
    // The head is the token, unless this request put a new chain in its place.
    const renewed = tokens.every((token) => !constantTimeEqual(token, record.head)) || undefined;
    // The first version has an owner only when it was begun by first use.
    const wasDurable = renewed === true || record.pending !== null || record.v === 1;
    if (!(await state.confirm(chain, wasDurable))) return undefined;
    call.stageDone('store');
    return identityOf(answer, user, record, true, renewed);
  }

  const link = linkOf(given, record, tokens);
  if (link === undefined || isOutlived || chain.isFake) {
    // Of outlived chains too: of unknown ones, which are never outlived, it would tell them apart.
    const isReplay = isSpent(record.head, tokens, settings.maxSkip);
    call.stageDone('verify');
    if (isReplay) return refuseOutOfStep(answer, chain, 'replayed', 'token is the head, or was spent before it');
    const why = isOutlived ? 'the store may have rolled the chain back' : 'token does not continue the chain';
    return refuseOutOfStep(answer, chain, 'out_of_sync', why);
  }
  const user = await userOf(record);
  const accepted = { owner: request.checkId, proofId, nowMs: request.receivedAtMs };
  const { next, renewal } = advance(record, proof, link, scrambling, accepted);
  call.stageDone('verify');
  requireTime(call);
  // The head moves last: a token must not be spendable by someone who can't continue the chain.
  if (!(await state.advance(chain, next, renewal === 'committed' || renewal === 'pending'))) return undefined;
  call.stageDone('store');
  if (renewal !== undefined) resources.count('time_scrambled_renewals_total', { profile, outcome: renewal });
  if (renewal === 'dropped') resources.notice('renewal_dropped', record.user);
  const renewed = renewal === undefined || renewal === 'pending' ? undefined : renewal === 'committed';
  return identityOf(answer, user, next, false, renewed);
}

function linkOf(
  { windows, settings, proof }: Case,
  record: ChainRecord,
  tokens: readonly Uint8Array[],
): Link | undefined {
  // A client that asks to be brought back in step must show the very next token.
  const maxLinks = proof.order === 2 ? 1 : settings.maxSkip;
  let found: Link | undefined;
  for (const [at, token] of tokens.entries()) {
    const links = linksTo(record.head, token, settings.maxSkip);
    const isFitting = links !== undefined && links <= maxLinks && isInPlace(record.index, proof.index, links);
    if (isFitting) found ??= { token, window: windows[at] ?? 0, links };
  }
  return found;
}

function isBound({ proof, request, bodyDigest }: Case, scrambling: Scrambling, window: number): boolean {
  const mac = scrambling.mac(boundBytes(proof, window, request, bodyDigest));
  return mac !== null && proof.binding !== null && constantTimeEqual(mac, proof.binding);
}

async function validUser({ resources, tenant }: Case, { user: id, epoch }: ChainRecord): Promise<UserRecord> {
  const user = await resources.directory.user(tenant, id);
  if (user === null || user.disabled) return deny('revoked', 'user is gone or disabled');
  if (user.epoch !== epoch) deny('revoked', 'chain of an ended epoch');
  return user;
}

/**
 * A token may have been accepted from the start of its window on, and with `allowAhead` from that of the window before.
 *
 * @throws {Fault} `recovering`, with the seconds to wait, when no token made now could pass either.
 * @throws {Denial} `stale` when a new one passes.
 */
function requireAfterHorizon(
  window: number,
  ownWindow: number,
  nowMs: number,
  { windowMs, allowAhead }: Settings,
  horizonMs: number,
): void {
  const lead = allowAhead ? 1 : 0;
  const isAfter = (one: number) => within(horizonMs, (one - lead) * windowMs, Number.MAX_SAFE_INTEGER);
  if (isAfter(window)) return;
  if (!isAfter(ownWindow)) {
    const firstPassingMs = (Math.ceil(horizonMs / windowMs) + lead) * windowMs;
    throw new Fault('recovering', 'the store lost state; tokens made now cannot be judged yet', {
      retryAfterSeconds: Math.ceil((firstPassingMs - nowMs) / 1000),
    });
  }
  deny('stale', 'made before the horizon of the store');
}
