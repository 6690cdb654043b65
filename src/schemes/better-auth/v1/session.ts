/** Sessions of v1: a challenge, a token for a key of the session's own, and its renewal, each time for the key committed to before. */
import { within } from '../../../core/clock.ts';
import { deny } from '../../../core/decision.ts';
import { Fault } from '../../../core/fault.ts';
import type { Endpoint } from '../../../core/scheme.ts';
import { textDigest } from '../../../crypto/blake3.ts';
import { newNonce } from '../../../encoding/cesr.ts';
import { tokenAttributes } from '../attributes.ts';
import type { V1Token } from '../token.ts';
import { isEqualDigest } from './digests.ts';
import { refuse } from './errors.ts';
import { untilSwapped } from '../swapped.ts';
import { signedOperation, unsignedOperation } from './operation.ts';
import { isDeviceOf, type Account } from './record.ts';
import { CREATE_SESSION, REFRESH_SESSION, REQUEST_SESSION } from './requests.ts';
import { isStanding } from './standing.ts';
import type { V1Parts } from './v1-parts.ts';

export function sessionEndpoints(parts: V1Parts): readonly Endpoint[] {
  return [requestSession(parts), createSession(parts), refreshSession(parts)];
}

/** Answers the same for accounts that do not exist. */
function requestSession(parts: V1Parts): Endpoint {
  const { settings, resources, challenges } = parts;
  return unsignedOperation(
    parts,
    'session/request',
    REQUEST_SESSION,
    ({ authentication: { identity } }, source) => ({
      bucket: 'challenge',
      limit: settings.limits.challengePerAccountAndPeer,
      key: [source, identity],
    }),
    async ({ request: { authentication } }, { nowMs }) => {
      const nonce = newNonce(resources.random);
      await challenges.issue(nonce, { identity: authentication.identity, issuedAtMs: nowMs });
      return { authentication: { nonce } };
    },
  );
}

function createSession(parts: V1Parts): Endpoint {
  const { settings, clientKeys, challenges, identities, refreshes, nobody } = parts;
  return signedOperation(parts, 'session/create', CREATE_SESSION, async ({ request, isSignedBy }, { nowMs }) => {
    const { access, authentication } = request;
    clientKeys.import(access.publicKey, 'access.publicKey');
    if (access.rotationHash === textDigest(access.publicKey)) refuse('BA104', 'commits to the key just shown');

    const issued = await challenges.find(authentication.nonce, nowMs);
    const found = await identities.findActive(issued?.challenge.identity ?? nobody);
    const isKnown = found !== null && isDeviceOf(found.record, authentication.device);
    const device = isKnown ? found.record.devices[authentication.device] : undefined;
    const isSigned = await isSignedBy(device === undefined ? clientKeys.dummy : clientKeys.import(device.publicKey));
    if (!isSigned || issued === null || found === null || device === undefined)
      return deny('signature_invalid', 'no such challenge, account or device, or not signed by its current key');

    const account = found.record;
    if (Object.values(account.devices).some(({ publicKey }) => publicKey === access.publicKey))
      refuse('BA104', 'a device key for the session');
    requireSessionsAllowed(account, nowMs);
    if (!(await challenges.spend(authentication.nonce, issued.text))) deny('replayed', 'challenge was answered before');
    const whose = { identity: account.identity, device: authentication.device };
    if (!(await refreshes.permit(access.rotationHash, whose, settings.refreshLifetimeMs)))
      refuse('BA104', 'commitment in use');
    if (account.unused) await markUsed(parts, whose, nowMs);
    const refreshExpiryMs = nowMs + settings.refreshLifetimeMs;
    return { access: { token: mint(parts, account, { ...access, ...whose, refreshExpiryMs }, nowMs) } };
  });
}

/** So soon after the administrator ended all sessions a new one could not be told from them by a clock that runs behind. */
function requireSessionsAllowed({ sessionsNotBeforeMs }: Account, nowMs: number): void {
  if (within(sessionsNotBeforeMs, nowMs, Number.MAX_SAFE_INTEGER)) return;
  throw new Fault('recovering', 'sessions were ended a moment ago', {
    retryAfterSeconds: Math.ceil((sessionsNotBeforeMs - nowMs) / 1000),
  });
}

/** From its first session on an account has no end. */
async function markUsed(
  { identities }: V1Parts,
  { identity, device }: { identity: string; device: string },
  nowMs: number,
): Promise<void> {
  await untilSwapped(async () => {
    const found = await identities.findActive(identity);
    if (found === null || !isDeviceOf(found.record, device)) return deny('revoked', 'account or device is gone');
    const { record } = found;
    if (!record.unused) return true;
    const next = { ...record, seq: record.seq + 1, unused: false };
    return identities.swap(found, next, nowMs);
  });
}

function refreshSession(parts: V1Parts): Endpoint {
  const { tokens, clientKeys, identities, refreshes, aheadMs } = parts;
  return signedOperation(parts, 'session/refresh', REFRESH_SESSION, async ({ request, isSignedBy }, { nowMs }) => {
    const { access } = request;
    const key = clientKeys.import(access.publicKey, 'access.publicKey');
    const decoded = tokens.decode(access.token);
    const token = decoded.content;
    if (token.version !== 'v1') return deny('malformed', 'token of another version');
    if (!isEqualDigest(textDigest(access.publicKey), token.rotationHash))
      refuse('BA104', 'a key that the token does not commit to');
    if ([token.rotationHash, textDigest(token.publicKey)].includes(access.rotationHash))
      refuse('BA104', 'commits to a key of before');
    // Its own expiry is not looked at: that it has passed is what refreshing is for.
    if (!within(0, token.issuedAtMs, nowMs + aheadMs)) refuse('BA403', `token ahead by more than ${aheadMs} ms`);
    if (!within(0, nowMs, token.refreshExpiryMs)) refuse('BA401', 'session has ended');
    if ((await tokens.verify(decoded)) !== 'signed') deny('signature_invalid', 'signature or audience of the token');
    if (!(await isSignedBy(key))) deny('signature_invalid', 'signature does not fit message and key');

    const found = await identities.findActive(token.subject);
    if (found === null || !isStanding(found.record, token)) return deny('revoked', 'account or device is gone');
    const whose = { identity: token.subject, device: token.device };
    if (!(await refreshes.spend(token.rotationHash, whose)))
      deny('replayed', 'session was refreshed with this key before');
    if (!(await refreshes.permit(access.rotationHash, whose, token.refreshExpiryMs - nowMs)))
      refuse('BA104', 'commitment in use');
    const { refreshExpiryMs } = token;
    return { access: { token: mint(parts, found.record, { ...access, ...whose, refreshExpiryMs }, nowMs) } };
  });
}

type Minted = Pick<V1Token, 'publicKey' | 'rotationHash' | 'device' | 'refreshExpiryMs'> & { identity: string };

/** Attributes are those of now. */
function mint({ settings, tokens }: V1Parts, account: Account, minted: Minted, nowMs: number): string {
  return tokens.mintV1({
    ...minted,
    issuedAtMs: nowMs,
    expiryMs: nowMs + settings.accessLifetimeMs,
    attributes: tokenAttributes(settings, account.attributes),
  });
}
