/**
 * The five operations by which a device shows its next key: rotate, link, unlink, change recovery, delete. One function verifies all of
 * them, so that none can forget the commitment; what each is for besides is a row of its own. Rotation and effect are one write.
 */
import type { GenericSchema } from 'valibot';
import { deny } from '../../../core/decision.ts';
import type { Endpoint } from '../../../core/scheme.ts';
import { textDigest } from '../../../crypto/blake3.ts';
import { decode } from '../../../encoding/cesr.ts';
import { isEqualDigest } from './digests.ts';
import { effectOf, isRepetition } from './effect.ts';
import { refuse } from './errors.ts';
import { untilSwapped } from '../swapped.ts';
import type { Operation } from './message.ts';
import { signedOperation, type SignedMessage } from './operation.ts';
import {
  brief,
  isDeviceOf,
  newDevice,
  rotated,
  tombstone,
  withDevice,
  withoutDevice,
  withRecovery,
  type Account,
  type AccountRecord,
  type Applied,
} from './record.ts';
import { NAME_RECOVERY, LINK, ROTATE, UNLINK, type Committed } from './requests.ts';
import type { V1Parts } from './v1-parts.ts';

interface ChainOperation<Request extends { authentication: Committed }> {
  readonly name: Operation;
  readonly schema: GenericSchema<unknown, Request>;
  /** What is asked for besides the new key. */
  effect(request: Request): readonly string[];
  /** What can be judged of the message alone, before its signature. @throws {Denial} */
  rules?(parts: V1Parts, request: Request): void;
  /** A second signature inside. */
  isCosigned?(parts: V1Parts, message: SignedMessage<Request>): Promise<boolean>;
  /** What the account forbids. Only an authentic sender gets here. @throws {Denial} */
  history?(parts: V1Parts, account: Account, request: Request): void;
  /** @param account in which the device has shown its key already. */
  change(account: Account, request: Request, given: { parts: V1Parts; nowMs: number }): AccountRecord;
  /** Whether what was asked for is still so. */
  stillHolds(account: Account, request: Request): boolean;
  /** Tokens that the change revokes: of one device, or of all. */
  revokes?(request: Request): { device: string | undefined };
  /** Told of, since a thief may be who asked. */
  readonly event?: 'recovery_changed';
}

export function chainEndpoints(parts: V1Parts): readonly Endpoint[] {
  return [
    chainEndpoint(parts, rotate),
    chainEndpoint(parts, link),
    chainEndpoint(parts, unlink),
    chainEndpoint(parts, changeRecovery),
    chainEndpoint(parts, deleteAccount),
  ];
}

function chainEndpoint<Request extends { authentication: Committed }>(
  parts: V1Parts,
  operation: ChainOperation<Request>,
): Endpoint {
  return signedOperation(parts, operation.name, operation.schema, async (message, { nowMs }) => {
    await requireSigned(parts, operation, message);
    await apply(parts, operation, message, nowMs);
    return {};
  });
}

async function requireSigned<Request extends { authentication: Committed }>(
  parts: V1Parts,
  operation: ChainOperation<Request>,
  message: SignedMessage<Request>,
): Promise<void> {
  const { publicKey, rotationHash } = message.request.authentication;
  const key = parts.clientKeys.import(publicKey);
  operation.rules?.(parts, message.request);
  if (rotationHash === textDigest(publicKey)) refuse('BA104', 'commits to the key just shown');
  if (!(await message.isSignedBy(key))) deny('signature_invalid', 'signature does not fit message and key');
  if (operation.isCosigned !== undefined && !(await operation.isCosigned(parts, message)))
    deny('signature_invalid', 'signature of the link container');
}

function apply<Request extends { authentication: Committed }>(
  parts: V1Parts,
  operation: ChainOperation<Request>,
  { nonce, request }: SignedMessage<Request>,
  nowMs: number,
): Promise<true> {
  const { identities } = parts;
  const { authentication } = request;
  const applied = { effect: effectOf(operation.name, authentication, operation.effect(request)), nonce };
  const revoked = operation.revokes?.(request);

  return untilSwapped(async () => {
    const found = await identities.findActive(authentication.identity);
    const stillHolds = (account: Account) => operation.stillHolds(account, request);
    if (found !== null && isRepetition(found.record, authentication, applied, stillHolds)) return true;

    const account = verifyCommitted(parts, found?.record, authentication);
    operation.history?.(parts, account, request);
    const next = operation.change(rotated(account, authentication, applied), request, { parts, nowMs });
    // Before the write: a mark too much costs its owner minutes, one too few would leave a revoked token alive elsewhere.
    if (revoked !== undefined) await parts.publishMark(authentication.identity, revoked.device, nowMs);
    let hasRun: boolean | undefined;
    try {
      hasRun = await identities.swap(found, next, nowMs);
    } finally {
      // Also when it timed out: it may have run, and its repetition changes nothing any more.
      if (operation.event !== undefined && hasRun !== false) parts.tell(operation.event, authentication.identity);
    }
    return hasRun;
  });
}

/**
 * The key just shown is the one that its device has committed to, and the next one is none that it has shown before.
 *
 * @throws {Denial} `signature_invalid`, the same for accounts and devices that do not exist.
 */
function verifyCommitted({ nobody }: V1Parts, account: Account | undefined, shown: Committed): Account {
  const device = account !== undefined && isDeviceOf(account, shown.device) ? account.devices[shown.device] : undefined;
  const isCommitted = isEqualDigest(textDigest(shown.publicKey), device?.rotationHash ?? nobody);
  if (account === undefined || device === undefined || !isCommitted)
    return deny('signature_invalid', 'no such account or device, or a key that it has not committed to');
  if (device.past.includes(brief(shown.rotationHash))) refuse('BA104', 'commits to a key shown before');
  return account;
}

const rotate: ChainOperation<{ authentication: Committed }> = {
  name: 'device/rotate',
  schema: ROTATE,
  effect: () => [],
  change: (account) => account,
  stillHolds: () => true,
};

/** A device that was linked has asked for nothing yet. */
const NOTHING_APPLIED: Applied = { effect: '', nonce: '' };

interface LinkRequest {
  readonly authentication: Committed;
  readonly link: { readonly payload: { readonly authentication: Committed }; readonly signature: string };
}

const link: ChainOperation<LinkRequest> = {
  name: 'device/link',
  schema: LINK,
  effect({ link: { payload } }) {
    const { device, publicKey, rotationHash } = payload.authentication;
    return [device, publicKey, rotationHash];
  },
  rules({ clientKeys }, { authentication, link: { payload } }) {
    const { device, identity, publicKey, rotationHash } = payload.authentication;
    clientKeys.import(publicKey, 'link.publicKey');
    if (device !== textDigest(publicKey, rotationHash)) refuse('BA103', 'device of the link container');
    if (identity !== authentication.identity) refuse('BA302', 'link container of another identity');
    if (rotationHash === textDigest(publicKey)) refuse('BA104', 'link container commits to the key just shown');
    if (publicKey === authentication.publicKey) refuse('BA104', 'link container with the key of the acting device');
  },
  isCosigned({ clientKeys, resources }, { request, sourceOf }) {
    const { payload, signature } = request.link;
    const key = clientKeys.import(payload.authentication.publicKey);
    const bytes = decode(signature, ['0I'], 'link.signature').raw;
    return Promise.resolve(resources.signatures.verify(key, sourceOf('request', 'link', 'payload'), bytes));
  },
  history({ settings }, account, { link: { payload } }) {
    const { device, publicKey } = payload.authentication;
    if (isDeviceOf(account, device) || account.revoked.includes(brief(device)))
      refuse('BA104', 'device is known, or was revoked');
    if (Object.values(account.devices).some((known) => known.publicKey === publicKey))
      refuse('BA104', 'key of another device');
    if (Object.keys(account.devices).length >= settings.v1.maxDevices) refuse('BA104', 'too many devices');
  },
  change(account, { link: { payload } }, { nowMs }) {
    const { device } = payload.authentication;
    return withDevice(account, device, newDevice(payload.authentication, NOTHING_APPLIED, nowMs));
  },
  stillHolds: (account, { link: { payload } }) => isDeviceOf(account, payload.authentication.device),
};

const unlink: ChainOperation<{ authentication: Committed; link: { device: string } }> = {
  name: 'device/unlink',
  schema: UNLINK,
  effect: (request) => [request.link.device],
  history(_parts, account, request) {
    if (!isDeviceOf(account, request.link.device)) refuse('BA103', 'no such device to unlink');
  },
  change: (account, request) => withoutDevice(account, request.link.device),
  stillHolds: (account, request) => !isDeviceOf(account, request.link.device),
  revokes: (request) => ({ device: request.link.device }),
};

const changeRecovery: ChainOperation<{ authentication: Committed & { recoveryHash: string } }> = {
  name: 'recovery/change',
  schema: NAME_RECOVERY,
  effect: ({ authentication }) => [authentication.recoveryHash],
  rules(_parts, { authentication: { publicKey, rotationHash, recoveryHash } }) {
    if (recoveryHash === textDigest(publicKey) || recoveryHash === rotationHash)
      refuse('BA104', 'a device key for recovery');
  },
  history(_parts, account, { authentication: { recoveryHash } }) {
    if (account.recoveryHash === recoveryHash || account.usedRecovery.includes(brief(recoveryHash)))
      refuse('BA104', 'recovery key of before');
  },
  change: (account, { authentication: { recoveryHash } }, { parts, nowMs }) =>
    withRecovery(account, recoveryHash, parts.settings.v1.recoveryGraceMs, nowMs),
  stillHolds: (account, { authentication }) => account.recoveryHash === authentication.recoveryHash,
  event: 'recovery_changed',
};

const deleteAccount: ChainOperation<{ authentication: Committed }> = {
  name: 'account/delete',
  schema: ROTATE,
  effect: () => [],
  change: (account, _request, { nowMs }) => tombstone(account, nowMs),
  stillHolds: () => false,
  revokes: () => ({ device: undefined }),
};
