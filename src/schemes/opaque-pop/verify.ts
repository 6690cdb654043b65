/**
 * Judges one OPAQUE-PoP request: is this MAC made with the session's key, over this very request, just now, for the first time?
 * Establishing the session is `login.ts`; the wire formats are `message.ts` and `seed-message.ts`; the judgement itself is `judge.ts`.
 */
import { coveredBody } from '../../core/body.ts';
import { within } from '../../core/clock.ts';
import { Denial, deny } from '../../core/decision.ts';
import type { AuthRequest, RoutePolicy } from '../../core/request.ts';
import { requireTime, type CheckCall, type Identity } from '../../core/scheme.ts';
import { sha256, sha256Base64url } from '../../crypto/digest.ts';
import { utf8 } from '../../encoding/bytes.ts';
import { authSchemeOf } from '../../encoding/auth-header.ts';
import { judge, type JudgeParts, type Proof } from './judge.ts';
import { AUTH_SCHEME, parseStrictProof, SCHEME, strictMessage, type Profile } from './message.ts';
import { bearerSid, parseSeedProof, seedMessage, seedPath } from './seed-message.ts';
import type { Settings } from './settings.ts';

const MINE = AUTH_SCHEME.toLowerCase();
const CONSUMED: Readonly<Record<Profile, readonly string[]>> = {
  strict: ['authorization'],
  seed: ['authorization', 'x-ts', 'x-nonce', 'x-pop'],
};
const NOT_COVERED = new Uint8Array(0);
const KEY_ID_CHARS = 16;

/**
 * Does NOT check authorization: which subject may do what is the upstream's business.
 *
 * @throws {Denial} one code per guard here and in `judge`. Its hint is the profile of the proof, once that is known.
 * @throws whatever store, directory and key ring throw; the caller treats that as a fault.
 */
export async function verify(
  parts: JudgeParts,
  request: AuthRequest,
  policy: RoutePolicy,
  call: CheckCall,
): Promise<Identity> {
  const header = request.headers.single('authorization') ?? '';
  const profile = profileOf(header);
  const { profiles } = policy.options as Settings;
  if (profile === undefined || !profiles.includes(profile))
    return deny('credentials_missing', 'no form that is taken here');
  try {
    return await verifyAs(profile, header, parts, request, policy, call);
  } catch (thrown) {
    throw thrown instanceof Denial ? hinted(thrown, profile) : thrown;
  }
}

function profileOf(header: string): Profile | undefined {
  if (authSchemeOf(header) === MINE) return 'strict';
  return bearerSid(header) === undefined ? undefined : 'seed';
}

/** For `www-authenticate`: the line of the profile that was refused says so. */
export function hinted(denial: Denial, profile: Profile): Denial {
  return new Denial(denial.code, denial.detail, { ...denial.options, hint: profile });
}

async function verifyAs(
  profile: Profile,
  header: string,
  parts: JudgeParts,
  request: AuthRequest,
  policy: RoutePolicy,
  call: CheckCall,
): Promise<Identity> {
  const { resources, settings, sessions } = parts;
  const { tenant } = policy;
  const nowMs = request.receivedAtMs;
  const read = profile === 'strict' ? readStrict(header) : readSeed(header, request, settings);
  resources.limits.credential(request.source, SCHEME, read.sid);
  const body = coveredBody(request, policy);
  const proof: Proof = { ...read, profile, message: read.message(request, body === null ? NOT_COVERED : sha256(body)) };
  call.stageDone('parse');
  call.proofAge(nowMs - proof.tsMs);

  const { session, user, isRetried } = await judge(parts, proof, {
    tenant,
    nowMs,
    owner: request.checkId,
    stageDone: (stage) => call.stageDone(stage),
    requireTime: () => requireTime(call),
  });

  const isDue = !within(nowMs - Math.floor(settings.idleMs / 10), session.atMs, Number.MAX_SAFE_INTEGER);
  if (profile === 'strict' && isDue) {
    await sessions.slide(tenant, proof.sid, session, nowMs);
    call.stageDone('store');
  }
  return {
    subject: session.user,
    keyId: sha256Base64url(utf8(proof.sid)).slice(0, KEY_ID_CHARS),
    attributes: user.attributes,
    consumed: CONSUMED[profile],
    retried: isRetried,
  };
}

interface Read extends Omit<Proof, 'profile' | 'message'> {
  message(request: AuthRequest, bodyDigest: Uint8Array): Uint8Array;
}

function readStrict(header: string): Read {
  const proof = parseStrictProof(header);
  return { ...proof, message: (request, bodyDigest) => strictMessage(proof, request, bodyDigest) };
}

function readSeed(header: string, request: AuthRequest, { seedAllowQuery }: Settings): Read {
  const proof = parseSeedProof(bearerSid(header) ?? '', request.headers);
  const path = seedPath(request, seedAllowQuery);
  return {
    ...proof,
    tsMs: Number(proof.ts) * 1000,
    message: ({ method }, bodyDigest) => seedMessage(proof, method, path, bodyDigest),
  };
}
