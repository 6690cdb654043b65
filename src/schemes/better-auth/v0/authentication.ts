/** Login: a challenge for whoever asks, and a session for whoever signs it with a method of the account. */
import { deny } from '../../../core/decision.ts';
import { Fault } from '../../../core/fault.ts';
import type { Charge } from '../../../core/limits.ts';
import { hmacSha256 } from '../../../crypto/mac.ts';
import { lpConcat } from '../../../encoding/bytes.ts';
import { encode, newNonce } from '../../../encoding/cesr.ts';
import type { Caller, V0Parts } from './operation.ts';
import {
  activeAccount,
  type Proven,
  proveDevice,
  provePassphrase,
  requireSessionsAllowed,
  spendChallenge,
} from './proofs.ts';
import { isKeyOf, type RegistrationKind } from './account.ts';
import type { Message, Payload, SignedMessage } from './requests.ts';
import { newSession } from './session.ts';

const SALT_LABEL = 'better-auth/v0/salt';
const SALT_BYTES = 16;
export const LABEL_BYTES = 32;

/** With the address, so that a stranger who knows an account can't keep its owner from a challenge. */
export function challengeCharges({ settings }: V0Parts, accountId: string, source: string): readonly Charge[] {
  return [{ bucket: 'challenge', limit: settings.limits.challengePerAccountAndPeer, key: [source, accountId] }];
}

export async function begin(
  parts: V0Parts,
  { payload }: Message<Payload<'begin'>>,
  { nowMs }: Caller,
): Promise<object> {
  return { authentication: { nonce: await issueChallenge(parts, payload.identification.accountId, 'key', nowMs) } };
}

/** The same for an account without a passphrase, or none at all: a salt made up, always the same one. */
export async function beginPassphrase(
  parts: V0Parts,
  { payload }: Message<Payload<'begin'>>,
  { nowMs }: Caller,
): Promise<object> {
  const { accountId } = payload.identification;
  const account = await activeAccount(parts, accountId);
  const madeUp = madeUpSalt(parts, accountId);
  const { parameters, salt } = account?.record.passphrase ?? {
    parameters: parts.settings.v0.passphraseParameters,
    salt: madeUp,
  };
  const nonce = await issueChallenge(parts, accountId, 'passphrase', nowMs);
  return { passphraseAuthentication: { nonce, parameters, salt } };
}

/** @throws {Denial} @throws {Fault} */
export async function complete(
  parts: V0Parts,
  message: SignedMessage<Payload<'complete'>>,
  caller: Caller,
): Promise<object> {
  const { identification, authentication, refresh } = message.payload;
  const { deviceId } = identification;
  parts.clientKeys.import(refresh.publicKey);
  const proven = await proveDevice(parts, { nonce: authentication.nonce, deviceId }, message, caller);
  return openSession(parts, proven, { deviceId, epoch: proven.device.epoch }, refresh, caller);
}

/** @throws {Denial} @throws {Fault} */
export async function completePassphrase(
  parts: V0Parts,
  message: SignedMessage<Payload<'completePassphrase'>>,
  caller: Caller,
): Promise<object> {
  const { passphraseAuthentication, refresh } = message.payload;
  parts.clientKeys.import(refresh.publicKey);
  const proven = await provePassphrase(parts, passphraseAuthentication, message, caller);
  const epoch = proven.account.record.passphrase?.epoch ?? Number.NaN;
  return openSession(parts, proven, { deviceId: null, epoch }, refresh, caller);
}

async function openSession(
  parts: V0Parts,
  proven: Proven,
  method: { deviceId: string | null; epoch: number },
  refresh: Payload<'complete'>['refresh'],
  { nowMs }: Caller,
): Promise<object> {
  const { settings, records, resources } = parts;
  const account = proven.account.record;
  if (isKeyOf(account, refresh.publicKey)) deny('malformed', 'the refresh key is an authentication key of the account');
  requireSessionsAllowed(account, nowMs);
  await spendChallenge(parts, proven);
  const sessionId = encode('E', resources.random(LABEL_BYTES));
  const session = newSession({
    accountId: proven.challenge.accountId,
    ...method,
    refreshKey: refresh.publicKey,
    nextDigest: refresh.nonces.nextDigest,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + settings.refreshLifetimeMs,
  });
  if (!(await records.saveSession(sessionId, null, session, settings.refreshLifetimeMs)))
    throw new Fault('internal', 'a new session id exists already');
  return { refresh: { sessionId } };
}

async function issueChallenge(
  { challenges, resources }: V0Parts,
  accountId: string,
  kind: RegistrationKind,
  nowMs: number,
): Promise<string> {
  const nonce = newNonce(resources.random);
  await challenges.issue(nonce, { accountId, kind, issuedAtMs: nowMs });
  return nonce;
}

/** Always computed, so that an account with a passphrase takes no less time. */
function madeUpSalt({ resources }: V0Parts, accountId: string): string {
  const { material } = resources.keyring.active('pepper');
  return encode('0A', hmacSha256(material, lpConcat(SALT_LABEL, accountId)).subarray(0, SALT_BYTES));
}
