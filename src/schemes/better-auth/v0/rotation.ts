/** A device shows the key that it committed to, and commits to the next: whoever stole the key shown so far has nothing any more. */
import { deny } from '../../../core/decision.ts';
import { textDigest } from '../../../crypto/blake3.ts';
import { constantTimeEqual } from '../../../crypto/equal.ts';
import { utf8 } from '../../../encoding/bytes.ts';
import { decode } from '../../../encoding/cesr.ts';
import type { V0Parts } from './operation.ts';
import { activeAccount } from './proofs.ts';
import { deviceOf, type ShownKeys, tailOf, withRotation } from './account.ts';
import type { Payload, SignedMessage } from './requests.ts';
import { untilSwapped } from '../swapped.ts';

/** @throws {Denial} @throws {Fault} */
export async function rotate(parts: V0Parts, message: SignedMessage<Payload<'rotateKey'>>): Promise<object> {
  const { records, settings, clientKeys, resources } = parts;
  const { identification, authentication } = message.payload;
  const { accountId, deviceId } = identification;
  const shown = shownKeys(parts, authentication.publicKeys);
  const signature = decode(message.signature, ['0I'], 'signature').raw;
  const key = clientKeys.import(shown.current);

  await untilSwapped(async () => {
    const account = await activeAccount(parts, accountId);
    const device = account === null ? undefined : deviceOf(account.record, deviceId);
    const isSigned = await resources.signatures.verify(key, message.bytes, signature);
    if (!isSigned) deny('signature_invalid', 'not signed by the key shown');
    if (account === null || device === undefined || device.nextDigest === null)
      return deny('unknown_credential', 'no such account or device, or one that can not rotate');
    if (device.current === shown.current) deny('replayed', 'the device shows this key already');
    if (!constantTimeEqual(utf8(textDigest(shown.current)), utf8(device.nextDigest)))
      deny('signature_invalid', 'not the key that was committed to');
    if (shown.nextDigest !== null && device.past.includes(tailOf(shown.nextDigest)))
      deny('malformed', 'commits to a key shown before');
    const after = withRotation(account.record, deviceId, device, shown, settings.v0.rotationEndsSessions);
    return records.saveAccount(accountId, account, after, Infinity);
  });
  return { success: true };
}

/** Rules of the keys in a message that need no state. @throws {Denial} `malformed` */
export function shownKeys(
  { settings, clientKeys }: V0Parts,
  { current, nextDigest }: Payload<'rotateKey'>['authentication']['publicKeys'],
): ShownKeys {
  clientKeys.import(current, 'current');
  if (nextDigest === undefined && !settings.v0.allowWithoutRotation) deny('malformed', 'commits to no next key');
  if (nextDigest === textDigest(current)) deny('malformed', 'commits to the key it shows');
  return { current, nextDigest: nextDigest ?? null };
}
