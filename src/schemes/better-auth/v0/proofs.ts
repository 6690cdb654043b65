/**
 * Proof that a client holds a method of its account: a challenge of ours, signed by the device's key or by the passphrase key. Whatever
 * is missing, the same is looked up and one signature verified, so that a stranger learns nothing from an answer.
 */
import { within } from '../../../core/clock.ts';
import { Denial, deny } from '../../../core/decision.ts';
import { Fault } from '../../../core/fault.ts';
import type { Charge } from '../../../core/limits.ts';
import { textDigest } from '../../../crypto/blake3.ts';
import { constantTimeEqual } from '../../../crypto/equal.ts';
import { hmacSha256 } from '../../../crypto/mac.ts';
import { isAcceptableKey } from '../../../crypto/signatures.ts';
import { encodeBase64url } from '../../../encoding/base64url.ts';
import { utf8 } from '../../../encoding/bytes.ts';
import { decode } from '../../../encoding/cesr.ts';
import type { VerifyingKey } from '../imported-keys.ts';
import type { Caller, V0Challenge, V0Parts } from './operation.ts';
import { type Account, type Device, deviceOf, type LiveAccount, type RegistrationKind } from './account.ts';
import type { Loaded } from './records.ts';
import type { SignedMessage } from './requests.ts';

export interface Proven {
  readonly nonce: string;
  readonly challenge: V0Challenge;
  /** Of the challenge as it was read. */
  readonly text: string;
  readonly account: Loaded<LiveAccount>;
}

type Signed = Pick<SignedMessage<unknown>, 'bytes' | 'signature'>;

/** @throws {Denial} `signature_invalid`, also for what is unknown. @throws {Fault} */
export async function proveDevice(
  parts: V0Parts,
  { nonce, deviceId }: { nonce: string; deviceId: string },
  message: Signed,
  { nowMs }: Caller,
): Promise<Proven & { readonly device: Device }> {
  const signature = decode(message.signature, ['0I'], 'signature').raw;
  const found = await challengeOf(parts, nonce, 'key', nowMs);
  const account = await activeAccount(parts, found?.challenge.accountId);
  const device = account === null ? undefined : deviceOf(account.record, deviceId);
  const key = device === undefined ? parts.clientKeys.dummy : parts.clientKeys.import(device.current);
  const isSigned = await parts.resources.signatures.verify(key, message.bytes, signature);
  if (found === null || account === null || device === undefined)
    return deny('unknown_credential', 'no such challenge, account or device');
  if (!isSigned) deny('signature_invalid', "not signed by the device's current key");
  return { nonce, ...found, account, device };
}

/** Each attempt lets the client test one guess, so it is charged before it is judged and given back only when it was right. */
export async function provePassphrase(
  parts: V0Parts,
  { nonce, publicKey }: { nonce: string; publicKey: string },
  message: Signed,
  { source, nowMs }: Caller,
): Promise<Proven> {
  const signature = decode(message.signature, ['0B'], 'signature').raw;
  const key = passphraseKey(publicKey);
  const found = await challengeOf(parts, nonce, 'passphrase', nowMs);
  const charges = found === null ? [] : guessCharges(parts, source, found.challenge.accountId);
  const { limits } = parts.resources;
  limits.charge(charges);
  try {
    const account = await activeAccount(parts, found?.challenge.accountId);
    const stored = account?.record.passphrase?.digest ?? '';
    const isSigned = await parts.resources.signatures.verify(key, message.bytes, signature);
    const isKnown = constantTimeEqual(utf8(pepperedDigest(parts, publicKey)), utf8(stored.padEnd(43, '.')));
    if (!isSigned) deny('signature_invalid', 'not signed by the key shown');
    if (found === null || account === null || !isKnown)
      return deny('unknown_credential', 'no such challenge, account or passphrase');
    limits.refund(charges);
    return { nonce, ...found, account };
  } catch (thrown) {
    // A fault judged no guess.
    if (!(thrown instanceof Denial)) limits.refund(charges);
    throw thrown;
  }
}

/** Last before anything is written. @throws {Denial} `replayed` when a copy of the message was faster. */
export async function spendChallenge({ challenges }: V0Parts, { nonce, text }: Proven): Promise<void> {
  if (!(await challenges.spend(nonce, text))) deny('replayed', 'the challenge was spent by another message');
}

/** What keeps of a passphrase key. The pepper is not in the store, so its reader can't test guesses. */
export function pepperedDigest({ resources }: V0Parts, publicKey: string): string {
  const { material } = resources.keyring.active('pepper');
  return encodeBase64url(hmacSha256(material, utf8(textDigest(publicKey))));
}

/** @throws {Denial} `malformed` for a point that no honest client has. */
export function passphraseKey(word: string): VerifyingKey {
  const x = encodeBase64url(decode(word, ['B'], 'publicKey').raw);
  const jwk = { kty: 'OKP', crv: 'Ed25519', x } as const;
  if (!isAcceptableKey(jwk)) deny('malformed', 'publicKey: no acceptable point of Ed25519');
  return { alg: 'Ed25519', jwk };
}

/** Null for one that is absent, too old or of the other kind. @throws {Denial} `stale` @throws {Fault} `recovering` */
async function challengeOf({ challenges }: V0Parts, nonce: string, kind: RegistrationKind, nowMs: number) {
  const found = await challenges.find(nonce, nowMs);
  return found?.challenge.kind === kind ? found : null;
}

/** Null for one that is absent, pending or deleted; looked up whether or not there is an id. */
export async function activeAccount(
  { records, nobody }: V0Parts,
  accountId: string | undefined,
): Promise<Loaded<LiveAccount> | null> {
  const account = await records.account(accountId ?? nobody);
  return account !== null && isActive(account) ? account : null;
}

function isActive(account: Loaded<Account>): account is Loaded<LiveAccount> {
  return account.record.state === 'active';
}

/** Sessions of before that instant are revoked, and a clock that is ahead must not make one that is born dead. */
export function requireSessionsAllowed({ sessionsNotBeforeMs }: LiveAccount, nowMs: number): void {
  if (within(sessionsNotBeforeMs, nowMs, Number.MAX_SAFE_INTEGER)) return;
  throw new Fault('recovering', 'all sessions of the account were ended a moment ago', {
    retryAfterSeconds: Math.ceil((sessionsNotBeforeMs - nowMs) / 1000),
  });
}

function guessCharges({ settings }: V0Parts, source: string, accountId: string): readonly Charge[] {
  const { passphrasePerAccountAndPeer, passphrasePerAccount } = settings.limits;
  return [
    { bucket: 'passphrase', limit: passphrasePerAccountAndPeer, key: [source, accountId] },
    { bucket: 'passphrase', limit: passphrasePerAccount, key: [accountId], anyAddress: true },
  ];
}
