/** `--scheme client-challenge`: a key in a file. Each call logs in anew. */
import { readKeyFile } from '../../client/node.ts';
import { clientChallenge } from '../../schemes/client-challenge/client.ts';
import { optional, required } from '../command.ts';
import type { TerminalSigner } from '../terminal-signer.ts';

export const clientChallengeSigner: TerminalSigner = {
  isToken: true,
  usage: '--key FILE',
  options: { key: { type: 'string' } },
  async signer(values) {
    const tenant = optional(values, 'tenant');
    const key = await readKeyFile(required(values, 'key'));
    return clientChallenge({ key, ...(tenant !== undefined && { tenant }) });
  },
};
