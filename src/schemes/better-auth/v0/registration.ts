/**
 * Registration: whoever bears a token adds a method to its account. The account's entry decides, and the swap that adds the method
 * burns it; the record under the token only says which account. Handing tokens out is `invitation.ts`.
 */
import { deny } from '../../../core/decision.ts';
import { decode } from '../../../encoding/cesr.ts';
import type { VerifyingKey } from '../imported-keys.ts';
import type { Caller, V0Parts } from './operation.ts';
import { passphraseKey, pepperedDigest } from './proofs.ts';
import {
  deviceOf,
  isKeyOf,
  isLive,
  type LiveAccount,
  PASSPHRASE,
  type Pending,
  pendingOf,
  type RegistrationKind,
  withDevice,
  withPassphrase,
} from './account.ts';
import type { Payload, SignedMessage } from './requests.ts';
import { shownKeys } from './rotation.ts';
import { untilSwapped } from '../swapped.ts';

/** @throws {Denial} @throws {Fault} */
export async function registerKey(
  parts: V0Parts,
  message: SignedMessage<Payload<'registerKey'>>,
  { nowMs }: Caller,
): Promise<object> {
  const { registration, identification, authentication } = message.payload;
  const { deviceId } = identification;
  const shown = shownKeys(parts, authentication.publicKeys);
  const key = parts.clientKeys.import(shown.current);
  const accountId = await register(
    parts,
    { ...registration, kind: 'key', key, code: '0I' },
    message,
    nowMs,
    (account, used) => {
      if (deviceOf(account, deviceId) !== undefined) deny('malformed', 'the account has a device of this id');
      if (isKeyOf(account, shown.current)) deny('malformed', 'the key is one of the account already');
      if (Object.keys(account.devices).length >= parts.settings.v0.maxDevices) deny('malformed', 'one device too many');
      return withDevice(account, used, deviceId, shown, nowMs);
    },
  );
  return { identification: { accountId } };
}

/** @throws {Denial} @throws {Fault} */
export async function registerPassphraseKey(
  parts: V0Parts,
  message: SignedMessage<Payload<'registerPassphraseKey'>>,
  { nowMs }: Caller,
): Promise<object> {
  const { registration, passphraseAuthentication } = message.payload;
  const { publicKey } = passphraseAuthentication;
  const key = passphraseKey(publicKey);
  const accountId = await register(
    parts,
    { ...registration, kind: PASSPHRASE, key, code: '0B' },
    message,
    nowMs,
    (account, used) => withPassphrase(account, used, pepperedDigest(parts, publicKey)),
  );
  return { identification: { accountId } };
}

interface Registering {
  readonly token: string;
  readonly kind: RegistrationKind;
  readonly key: VerifyingKey;
  readonly code: '0I' | '0B';
}

/** @returns the account that has the method now. */
async function register(
  parts: V0Parts,
  { token, kind, key, code }: Registering,
  message: SignedMessage<unknown>,
  nowMs: number,
  add: (account: LiveAccount, used: Pending) => LiveAccount,
): Promise<string> {
  const { records, resources, nobody } = parts;
  const signature = decode(message.signature, [code], 'signature').raw;
  let accountId = nobody;
  await untilSwapped(async () => {
    const registration = await records.registration(token);
    accountId = registration?.record.accountId ?? nobody;
    const read = await records.account(accountId);
    const account = read !== null && isLive(read.record) ? read.record : null;
    const used = account === null ? undefined : pendingOf(account, token, kind, nowMs);
    const isSigned = await resources.signatures.verify(key, message.bytes, signature);
    if (!isSigned) deny('signature_invalid', 'not signed by the key shown');
    if (read === null || account === null || used === undefined)
      return deny('unknown_credential', 'no such registration token');
    return records.saveAccountReplicated(accountId, read, add(account, used));
  });
  // The token is burnt already: what is left points nowhere and expires, and the client must not be told otherwise.
  await records.dropRegistration(token).catch(() => undefined);
  return accountId;
}
