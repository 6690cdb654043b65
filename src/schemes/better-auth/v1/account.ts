/** Operations of v1 that a device key alone does not carry: creation, by a key that nobody knows yet, and recovery, by the recovery key. */
import { within } from '../../../core/clock.ts';
import { deny } from '../../../core/decision.ts';
import type { Answer, Endpoint } from '../../../core/scheme.ts';
import { textDigest } from '../../../crypto/blake3.ts';
import { SCHEME } from '../message.ts';
import { TENANT } from '../state.ts';
import { isEqualDigest } from './digests.ts';
import { effectOf, isRepetition } from './effect.ts';
import { errorBody, refuse } from './errors.ts';
import { untilSwapped } from '../swapped.ts';
import { signedOperation, type Caller } from './operation.ts';
import { brief, isDeviceOf, newAccount, newDevice, recovered, type Account } from './record.ts';
import { NAME_RECOVERY, RECOVER, type Committed } from './requests.ts';
import type { V1Parts } from './v1-parts.ts';

type Recoverable = Committed & { readonly recoveryHash: string };

export function accountEndpoints(parts: V1Parts): readonly Endpoint[] {
  const { registration } = parts.settings.v1;
  return [registration === 'closed' ? closed(parts, create(parts)) : create(parts), recover(parts)];
}

function create(parts: V1Parts): Endpoint {
  return signedOperation(parts, 'account/create', NAME_RECOVERY, async ({ nonce, request, isSignedBy }, caller) => {
    const { authentication } = request;
    const { publicKey, rotationHash, recoveryHash, device, identity } = authentication;
    const key = parts.clientKeys.import(publicKey);
    if (identity !== textDigest(publicKey, rotationHash, recoveryHash)) refuse('BA102', 'identity');
    requireDeviceForm(authentication);
    if (recoveryHash === textDigest(publicKey) || recoveryHash === rotationHash)
      refuse('BA104', 'a device key for recovery');
    if (!(await isSignedBy(key))) deny('signature_invalid', 'signature does not fit message and key');

    const applied = { effect: effectOf('account/create', authentication, [recoveryHash]), nonce };
    const isAdmitted = await admit(parts, caller);
    const account = newAccount(authentication, applied, caller.nowMs);
    if (isAdmitted && (await parts.identities.swap(null, account, caller.nowMs))) return {};
    // It exists, or the invitation is spent: by the very message whose reply was lost?
    const found = await parts.identities.findActive(identity);
    const stillHolds = (now: Account) => isDeviceOf(now, device);
    if (found !== null && isRepetition(found.record, authentication, applied, stillHolds)) return {};
    return deny('signature_invalid', 'account exists, was deleted, or its sender is not invited');
  });
}

/** Whether the sender may make an account: charged, and its invitation spent, as late as can be. */
async function admit({ settings, resources }: V1Parts, { source, header }: Caller): Promise<boolean> {
  const { limits, invitations } = resources;
  const token = settings.v1.registration === 'token' ? (header('countersign-registration') ?? '') : undefined;
  if (token !== undefined && (await invitations.find(TENANT, SCHEME, token)) === null) return false;
  limits.charge([{ bucket: 'create', limit: settings.limits.createPerPeer, key: [source] }]);
  return token === undefined || (await invitations.spend(TENANT, SCHEME, token)) !== null;
}

/** Whatever is asked: nobody is told which messages would have been good. */
function closed({ settings, resources }: V1Parts, endpoint: Endpoint): Endpoint {
  return {
    ...endpoint,
    handle({ source }): Answer {
      resources.limits.charge([{ bucket: 'peer', limit: settings.limits.peer, key: [source] }]);
      return { status: 403, body: errorBody(403) };
    },
  };
}

function recover(parts: V1Parts): Endpoint {
  return signedOperation(parts, 'account/recover', RECOVER, async ({ nonce, request, isSignedBy }, { nowMs }) => {
    const { authentication } = request;
    const { publicKey, rotationHash, recoveryKey, recoveryHash, identity, device } = authentication;
    parts.clientKeys.import(publicKey);
    const key = parts.clientKeys.import(recoveryKey, 'recoveryKey');
    requireDeviceForm(authentication);
    if (publicKey === recoveryKey) refuse('BA104', 'recovery key for the device');
    if ([textDigest(recoveryKey), textDigest(publicKey), rotationHash].includes(recoveryHash))
      refuse('BA104', 'keeps the recovery key, or takes a device key for it');
    if (!(await isSignedBy(key))) deny('signature_invalid', 'signature does not fit message and recovery key');

    const applied = { effect: effectOf('account/recover', authentication, [recoveryHash, recoveryKey]), nonce };
    await untilSwapped(async () => {
      const found = await parts.identities.findActive(identity);
      const stillHolds = (account: Account) => account.recoveryHash === recoveryHash;
      if (found !== null && isRepetition(found.record, authentication, applied, stillHolds)) return true;
      const account = verifyRecovery(parts, found?.record, recoveryKey, nowMs);
      requireUnusedBefore(account, authentication);
      for (const gone of Object.keys(account.devices)) await parts.publishMark(identity, gone, nowMs);
      const next = recovered(account, recoveryHash, device, newDevice(authentication, applied, nowMs), nowMs);
      return parts.identities.swap(found, next, nowMs);
    });
    return {};
  });
}

/** @throws {Denial} `signature_invalid`, the same for accounts that do not exist. */
function verifyRecovery(
  { nobody }: V1Parts,
  account: Account | undefined,
  recoveryKey: string,
  nowMs: number,
): Account {
  const shown = textDigest(recoveryKey);
  const previous = account?.previousRecovery ?? { hash: nobody, untilMs: -1 };
  const isCurrent = isEqualDigest(shown, account?.recoveryHash ?? nobody);
  const isPrevious = isEqualDigest(shown, previous.hash) && within(0, nowMs, previous.untilMs);
  if (account === undefined || !(isCurrent || isPrevious))
    return deny('signature_invalid', 'no such account, or another recovery key');
  return account;
}

function requireUnusedBefore(account: Account, { device, recoveryHash }: Recoverable): void {
  if (account.recoveryHash === recoveryHash || account.usedRecovery.includes(brief(recoveryHash)))
    refuse('BA104', 'recovery key of before');
  if (isDeviceOf(account, device) || account.revoked.includes(brief(device)))
    refuse('BA104', 'device is known, or was revoked');
}

function requireDeviceForm({ device, publicKey, rotationHash }: Committed): void {
  if (device !== textDigest(publicKey, rotationHash)) refuse('BA103', 'device');
  if (rotationHash === textDigest(publicKey)) refuse('BA104', 'commits to the key just shown');
}
