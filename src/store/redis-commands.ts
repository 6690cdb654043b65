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
  const judged = async (command: Promise<unknown>): Promise<unknown> => {
    try {
      const reply = await deadline.bound(command);
      breaker.answered();
      return reply;
    } catch (thrown) {
      const fault = storeFault(thrown);
      if (countsForBreaker(fault.reason)) breaker.failed();
      onFault(fault);
      throw fault;
    }
  };

  return {
    call: (name, args, node = link) => judged(node.send(name, args)),
    evaluate: (script, keysAndArgs) => judged(evaluateOn(link, script, keysAndArgs)),
  };
}

/** By its digest; when the server does not have the script, nothing was run, so the text is sent. */
async function evaluateOn(link: RedisLink, script: Script, keysAndArgs: Arguments): Promise<unknown> {
  try {
    return await link.send('evalsha', [script.sha1, script.keyCount, ...keysAndArgs]);
  } catch (thrown) {
    if (!isNoScript(thrown)) throw thrown;
    return link.send('eval', [script.lua, script.keyCount, ...keysAndArgs]);
  }
}
