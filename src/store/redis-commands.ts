/** Sends commands, each with its deadline; turns what goes wrong into faults and keeps the breaker's books. */
import type { StoreFault } from '../core/fault.ts';
import type { Breaker } from './breaker.ts';
import type { Deadline } from './deadline.ts';
import { countsForBreaker, isNoScript, storeFault } from './redis-errors.ts';
import type { Arguments, RedisLink, RedisNode } from './redis-link.ts';
import type { Script } from './redis-scripts.ts';

export interface Commands {
  /** @throws {StoreFault} */
  call(name: string, args: Arguments, node?: RedisNode): Promise<unknown>;
  /** @param keysAndArgs the script's keys, then its arguments. @throws {StoreFault} */
  evaluate(script: Script, keysAndArgs: Arguments): Promise<unknown>;
}

export interface CommandParts {
  readonly link: RedisLink;
  readonly deadline: Deadline;
  readonly breaker: Breaker;
  /** Every fault of a command, whoever asked. */
  readonly onFault: (fault: StoreFault) => void;
}

export function createCommands({ link, deadline, breaker, onFault }: CommandParts): Commands {
  const failed = (thrown: unknown): StoreFault => {
    const fault = storeFault(thrown);
    if (countsForBreaker(fault.reason)) breaker.failed();
    onFault(fault);
    return fault;
  };

  return {
    async call(name, args, node = link) {
      try {
        const reply = await deadline.bound(node.send(name, args));
        breaker.answered();
        return reply;
      } catch (thrown) {
        throw failed(thrown);
      }
    },
    async evaluate(script, keysAndArgs) {
      try {
        const reply = await deadline.bound(byDigest(script, keysAndArgs));
        breaker.answered();
        return reply;
      } catch (thrown) {
        throw failed(thrown);
      }
    },
  };

  /** When the server does not have the script nothing was run, so the text is sent. Both share one deadline. */
  function byDigest(script: Script, keysAndArgs: Arguments): Promise<unknown> {
    return link.send('evalsha', [script.sha1, script.keyCount, ...keysAndArgs]).catch((thrown: unknown) => {
      if (!isNoScript(thrown)) throw thrown;
      return link.send('eval', [script.lua, script.keyCount, ...keysAndArgs]);
    });
  }
}
