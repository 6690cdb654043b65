/**
 * Writes that must not be lost with the primary: the write, then WAIT for replicas, over a connection of their own, since WAIT blocks
 * the one it runs on. It narrows the window in which a failover forgets; it is not consensus.
 */
import { StoreFault } from '../core/fault.ts';
import type { Deadline } from './deadline.ts';
import { isNoScript, storeFault } from './redis-errors.ts';
import type { Evaluator } from './redis-fence.ts';
import type { Arguments, RedisLink } from './redis-link.ts';

export interface DurableWrites extends Evaluator {
  /**
   * @param args the key is the first.
   * @throws {StoreFault} `not_replicated`: the write may exist, and may be repeated.
   */
  call(name: string, args: readonly [key: string, ...Arguments]): Promise<unknown>;
}

export interface DurableParts {
  readonly link: RedisLink;
  /** The command timeout and the time replicas are given. */
  readonly deadline: Deadline;
  readonly replicas: number;
  readonly timeoutMs: number;
  readonly onFault: (fault: StoreFault) => void;
}

export function createDurableWrites({ link, deadline, replicas, timeoutMs, onFault }: DurableParts): DurableWrites {
  const wait: [string, Arguments] = ['wait', [replicas, timeoutMs]];

  const judged = async (pair: Promise<readonly [unknown, unknown]>, wroteBy: (reply: unknown) => boolean) => {
    try {
      const [reply, acknowledgements] = await deadline.bound(pair);
      const isEnough = typeof acknowledgements === 'number' && acknowledgements >= replicas;
      if (wroteBy(reply) && !isEnough)
        throw new StoreFault('not_replicated', `fewer than ${replicas} replicas have it`);
      return reply;
    } catch (thrown) {
      const fault = storeFault(thrown);
      onFault(fault);
      throw fault;
    }
  };

  return {
    call: (name, args) => judged(link.sendPair(args[0], [name, args], wait), () => true),
    evaluate(script, keysAndArgs) {
      const key = String(keysAndArgs[0]);
      const byDigest: [string, Arguments] = ['evalsha', [script.sha1, script.keyCount, ...keysAndArgs]];
      const byText: [string, Arguments] = ['eval', [script.lua, script.keyCount, ...keysAndArgs]];
      const pair = link.sendPair(key, byDigest, wait).catch((thrown: unknown) => {
        if (!isNoScript(thrown)) throw thrown;
        return link.sendPair(key, byText, wait);
      });
      return judged(pair, hasWritten);
    },
  };
}

/** A swap that found another value wrote nothing, so nothing need be acknowledged. */
function hasWritten(reply: unknown): boolean {
  return !Array.isArray(reply) || reply[0] === 'swapped';
}
