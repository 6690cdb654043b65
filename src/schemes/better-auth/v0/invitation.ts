/**
 * Registration material: a token that adds one method to one account, once. The administrator hands it out, for a new account or an
 * existing one, or the account's owner asks for it with a method that is there already. Using it is `registration.ts`.
 */
import { deny } from '../../../core/decision.ts';
import { HttpProblem } from '../../../core/http.ts';
import { encode, newNonce } from '../../../encoding/cesr.ts';
import type { Attributes } from '../attributes.ts';
import { LABEL_BYTES } from './authentication.ts';
import { type Caller, signedReply, type V0Parts } from './operation.ts';
import { type Proven, proveDevice, provePassphrase, spendChallenge } from './proofs.ts';
import {
  isLive,
  lifetimeOf,
  type LiveAccount,
  livePending,
  MAX_PENDING,
  newAccount,
  PASSPHRASE,
  proofOf,
  type RegistrationKind,
  tokenDigest,
  withPending,
} from './account.ts';
import type { Payload, SignedMessage } from './requests.ts';
import { untilSwapped } from '../swapped.ts';

/** By the account's owner. @throws {Denial} @throws {Fault} */
export async function requestRegistration(
  parts: V0Parts,
  message: SignedMessage<Payload<'requestRegistration'>>,
  caller: Caller,
): Promise<object> {
  const { payload } = message;
  const { kind } = payload.registration;
  const { accountId } = payload.identification;
  requireOffered(parts, kind);
  if ('authentication' in payload) {
    const { deviceId } = payload.identification;
    const { nonce } = payload.authentication;
    const proven = await proveDevice(parts, { nonce, deviceId }, message, caller);
    return issueTo(parts, proven, accountId, { kind, by: deviceId }, caller);
  }
  const proven = await provePassphrase(parts, payload.passphraseAuthentication, message, caller);
  return issueTo(parts, proven, accountId, { kind, by: PASSPHRASE }, caller);
}

async function issueTo(
  parts: V0Parts,
  proven: Proven,
  accountId: string,
  asked: { kind: RegistrationKind; by: string },
  { nowMs }: Caller,
): Promise<object> {
  if (proven.challenge.accountId !== accountId) deny('signature_invalid', 'a challenge of another account');
  await spendChallenge(parts, proven);
  const order = { ...asked, nowMs, lifetimeMs: parts.settings.v0.registrationLifetimeMs };
  const proof = proofOf(proven.account.record, asked.by);
  return issue(parts, accountId, order, {
    // Taken back since it was proven, what it asked for would outlive it.
    isEntitled: (account) => proofOf(account, asked.by) === proof,
    absent: () => deny('unknown_credential', 'the account or the method is gone'),
    full: () => deny('malformed', `${MAX_PENDING} registrations of the account are waiting`),
  });
}

export interface Order {
  readonly kind: RegistrationKind;
  readonly lifetimeMs: number;
  readonly nowMs: number;
}

export interface Material {
  readonly subject: string;
  /** The signed envelope as text, for whatever channel the administrator has. */
  readonly material: string;
  readonly expiresAtMs: number;
}

/**
 * By the administrator.
 *
 * @param order.subject the account; absent: a new one.
 * @throws {HttpProblem} `not_found` without such an account; `conflict` when four registrations of it are waiting.
 */
export async function issueMaterial(
  parts: V0Parts,
  order: Order & { readonly subject?: string | undefined; readonly attributes?: Attributes | undefined },
): Promise<Material> {
  const { subject, attributes = {}, nowMs, lifetimeMs } = order;
  requireOffered(parts, order.kind);
  const accountId = subject ?? encode('E', parts.resources.random(LABEL_BYTES));
  const refusals = {
    isEntitled: () => true,
    absent(): never {
      throw new HttpProblem('not_found', 'no such account');
    },
    full(): never {
      throw new HttpProblem('conflict', `${MAX_PENDING} registrations of the account are waiting`);
    },
  };
  const created = subject === undefined ? newAccount(attributes, nowMs) : undefined;
  const members = await issue(parts, accountId, { ...order, by: null }, refusals, created);
  return { subject: accountId, material: signedReply(parts, members), expiresAtMs: nowMs + lifetimeMs };
}

/** @param created the account, when it is not there yet. @returns members of the material. */
async function issue(
  { records, settings, resources }: V0Parts,
  accountId: string,
  { kind, by, nowMs, lifetimeMs }: Order & { readonly by: string | null },
  { isEntitled, absent, full }: { isEntitled(account: LiveAccount): boolean; absent(): never; full(): never },
  created?: LiveAccount,
): Promise<object> {
  const token = encode('E', resources.random(LABEL_BYTES));
  const stretching =
    kind === PASSPHRASE
      ? { parameters: settings.v0.passphraseParameters, salt: newNonce(resources.random) }
      : undefined;
  const entry = {
    token: tokenDigest(token),
    kind,
    parameters: stretching?.parameters ?? null,
    salt: stretching?.salt ?? null,
    expiresAtMs: nowMs + lifetimeMs,
    by,
  };
  await untilSwapped(async () => {
    const read = created === undefined ? await records.account(accountId) : null;
    const account = created ?? read?.record;
    if (account === undefined || !isLive(account) || !isEntitled(account)) return absent();
    if (livePending(account, nowMs).length >= MAX_PENDING) return full();
    const after = withPending(account, entry, nowMs);
    return records.saveAccount(accountId, read, after, lifetimeOf(after, nowMs));
  });
  await records.putRegistration(token, { accountId }, lifetimeMs);
  return { registration: { token }, ...(stretching !== undefined && { passphraseAuthentication: stretching }) };
}

function requireOffered({ settings }: V0Parts, kind: RegistrationKind): void {
  if (kind === PASSPHRASE && !settings.v0.passphrase) deny('malformed', 'passphrases are off');
}
