/** `--scheme challenge-signature`: a key in a file, of a user. */
import { readKeyFile } from '../../client/node.ts';
import { challengeSignature } from '../../schemes/challenge-signature/client.ts';
import { optional, required } from '../command.ts';
import type { TerminalSigner } from '../terminal-signer.ts';

export const challengeSignatureSigner: TerminalSigner = {
  hasServerTime: true,
  usage: '--key FILE --user U [--kid K]',
  options: { key: { type: 'string' }, user: { type: 'string' }, kid: { type: 'string' } },
  async signer(values) {
    const tenant = optional(values, 'tenant');
    const key = await readKeyFile(required(values, 'key'));
    return challengeSignature({
      user: required(values, 'user'),
      kid: optional(values, 'kid') ?? 'k1',
      key,
      ...(tenant !== undefined && { tenant }),
    });
  },
};
