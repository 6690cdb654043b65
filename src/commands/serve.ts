/** `countersign serve`: runs until a signal. */
import { runSupervisor } from '../supervisor.ts';
import { optional, several, type Command } from './command.ts';

export const serve: Command = {
  summary: 'run the service',
  usage: '[--config FILE] [--set path=value]...',
  options: { config: { type: 'string' }, set: { type: 'string', multiple: true } },
  words: 0,
  run(values, _words, env) {
    const file = optional(values, 'config');
    return runSupervisor({ ...(file !== undefined && { file }), env, set: several(values, 'set') });
  },
};
