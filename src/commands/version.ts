/** `countersign version` */
import process from 'node:process';
import { schemes } from '../schemes/index.ts';
import { COMMIT, VERSION } from '../version.ts';
import { EXIT, print, printJson, type Command } from './command.ts';

export const version: Command = {
  summary: 'version, commit, runtime, schemes',
  usage: '',
  options: {},
  words: 0,
  async run(values) {
    const facts = {
      version: VERSION,
      commit: COMMIT,
      node: process.version,
      openssl: process.versions.openssl,
      schemes: schemes.map(({ name }) => name),
    };
    if (values['json'] === true) printJson(facts);
    else
      print(
        `countersign ${facts.version} (${facts.commit}), Node ${facts.node}, OpenSSL ${facts.openssl}, schemes ${facts.schemes.join(', ')}`,
      );
    return EXIT.ok;
  },
};
