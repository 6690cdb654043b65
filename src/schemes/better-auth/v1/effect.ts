/**
 * What a message asks for, apart from its nonce. Public clients advance their keys only after a reply, so one whose reply was lost asks
 * again: the same effect under a fresh nonce changes nothing and succeeds, a copy of the first message is refused.
 */
import { deny } from '../../../core/decision.ts';
import { sha256Base64url } from '../../../crypto/digest.ts';
import { lpConcat } from '../../../encoding/bytes.ts';
import type { Operation } from './message.ts';
import type { Account, Applied } from './record.ts';
import type { Committed } from './requests.ts';

/** @param rest what the operation asks for besides. */
export function effectOf(operation: Operation, authentication: Committed, rest: readonly string[]): string {
  const { identity, device, publicKey, rotationHash } = authentication;
  return sha256Base64url(lpConcat(operation, identity, device, publicKey, rotationHash, ...rest));
}

/**
 * Whether an authentic message asks again for what its device was given already.
 *
 * @param stillHolds whether what it asked for is still so.
 * @throws {Denial} `replayed` for a copy, `signature_invalid` when something else has happened since.
 */
export function isRepetition(
  account: Account,
  { device }: Pick<Committed, 'device'>,
  { effect, nonce }: Applied,
  stillHolds: (account: Account) => boolean,
): boolean {
  const known = Object.hasOwn(account.devices, device) ? account.devices[device] : undefined;
  // The effect names the key that the device has shown.
  if (known === undefined || known.applied.effect !== effect) return false;
  if (known.applied.nonce === nonce) deny('replayed', 'this message was applied before');
  if (!stillHolds(account)) deny('signature_invalid', 'what the message asked for was undone since');
  return true;
}
