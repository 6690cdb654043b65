/** `--scheme time-scrambled`: chains in a file, made by `countersign keys chain`. Each request rewrites it; nobody else may have it meanwhile. */
import { openChainFile } from '../../client/node.ts';
import { timeScrambled } from '../../schemes/time-scrambled/client.ts';
import { required } from '../command.ts';
import type { TerminalSigner } from '../terminal-signer.ts';

export const timeScrambledSigner: TerminalSigner = {
  usage: '--key FILE',
  options: { key: { type: 'string' } },
  async signer(values) {
    return timeScrambled(await openChainFile(required(values, 'key')));
  },
};
