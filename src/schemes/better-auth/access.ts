/**
 * Judges one access message: did the key that a token of ours names sign it, just now, for the first time, and does the account still
 * stand behind the token? How a message is carried is `body-form.ts` and `header-form.ts`; whether the account stands is each version's
 * `standing.ts`. What a subject may do is the upstream's business.
 */
import { requireAfterHorizon, within } from '../../core/clock.ts';
import { deny } from '../../core/decision.ts';
import type { AuthRequest, RoutePolicy } from '../../core/request.ts';
import { requireTime, type CheckCall, type Identity } from '../../core/scheme.ts';
import { authSchemeOf } from '../../encoding/auth-header.ts';
import type { AccessMessage } from './access-message.ts';
import { carriesBodyForm, readBodyForm } from './body-form.ts';
import { readHeaderForm } from './header-form.ts';
import { AUTH_SCHEME, SCHEME } from './message.ts';
import type { Parts } from './parts.ts';
import type { Settings, WireVersion } from './settings.ts';
import { TENANT } from './state.ts';
import type { Version } from './version.ts';

const MINE = AUTH_SCHEME.toLowerCase();

/**
 * @throws {Denial} one code per guard.
 * @throws whatever store and key ring throw; the caller treats that as a fault.
 */
export async function verify(
  parts: Parts,
  versions: Readonly<Record<WireVersion, Pick<Version, 'standing'>>>,
  request: AuthRequest,
  policy: RoutePolicy,
  call: CheckCall,
): Promise<Identity> {
  const { resources, tokens, state } = parts;
  const message = readMessage(parts, request, policy);
  const { content } = message.token;
  resources.limits.credential(request.source, SCHEME, content.subject);
  if (policy.tenant !== TENANT) deny('unknown_credential', 'accounts of better-auth belong to the default tenant');
  call.stageDone('parse');

  call.proofAge(request.receivedAtMs - message.timestampMs);
  requireFresh(parts, message, request.receivedAtMs);

  const verdict = await tokens.verify(message.token);
  call.stageDone('key');
  // Also of a message whose token is not ours, so that both cost the same.
  const isSigned = await resources.signatures.verify(content.key, message.signedBytes, message.signature);
  call.stageDone('verify');
  if (verdict === 'unknown') deny('unknown_credential', 'token is signed by no key of ours');
  if (verdict === 'forged') deny('signature_invalid', 'signature or audience of the token');
  if (!isSigned) deny('signature_invalid', 'signature does not fit message and access key');

  const standing = await versions[content.version].standing(message.token, request.receivedAtMs);
  call.stageDone('store');
  if (standing.isRevoked) return deny('revoked', standing.why);

  requireTime(call);
  // Claim last: a nonce must not be spendable by someone who can't sign.
  const claimed = await state.claimNonce(content.publicKey, message.nonce, request.checkId, message.timestampMs);
  call.stageDone('store');
  if (claimed === 'taken') deny('replayed', 'nonce was seen in another message');

  const { keyId, device } = standing;
  return {
    subject: content.subject,
    keyId,
    attributes: { ...content.attributes, auth: { device, nonce: message.nonce, version: content.version } },
    consumed: message.consumed,
    retried: claimed === 'mine',
  };
}

function readMessage(parts: Parts, request: AuthRequest, policy: RoutePolicy): AccessMessage {
  const { carriers } = policy.options as Settings;
  const [authorization] = request.headers.all('authorization');
  if (authorization === undefined) {
    if (carriers.includes('body') && carriesBodyForm(request, policy)) return readBodyForm(parts, request, policy);
  } else if (carriers.includes('header') && authSchemeOf(authorization) === MINE) {
    return readHeaderForm(parts, request, policy);
  }
  return deny('credentials_missing', 'no access message');
}

function requireFresh({ settings, resources, aheadMs }: Parts, message: AccessMessage, nowMs: number): void {
  const { timestampMs, token } = message;
  const { issuedAtMs, expiryMs } = token.content;
  const { accessWindowMs } = settings;
  if (!within(0, nowMs, timestampMs + accessWindowMs)) deny('stale', `message older than ${accessWindowMs} ms`);
  if (!within(0, timestampMs, nowMs + aheadMs)) deny('not_yet_valid', `message ahead by more than ${aheadMs} ms`);
  const horizonMs = resources.store.horizonMs();
  requireAfterHorizon({ madeAtMs: timestampMs - aheadMs, leadMs: aheadMs, nowMs }, horizonMs);
  if (!within(0, issuedAtMs, nowMs + aheadMs)) deny('not_yet_valid', `token ahead by more than ${aheadMs} ms`);
  if (!within(0, nowMs, expiryMs)) deny('stale', 'token has expired');
}
