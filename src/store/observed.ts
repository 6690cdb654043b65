/** Tells the observer of every verb: its result and how long it took. The verbs themselves are the implementations'. */
import type { Clock } from '../core/clock.ts';
import { StoreFault } from '../core/fault.ts';
import type { Store, StoreObserver, StoreResult, StoreVerb } from '../core/store.ts';

export type Verbs = Pick<Store, StoreVerb>;

export function observed(verbs: Verbs, observer: StoreObserver, clock: Clock): Verbs {
  const timed = async <Result>(
    verb: StoreVerb,
    resultOf: (result: Result) => StoreResult,
    run: () => Promise<Result>,
  ): Promise<Result> => {
    const startMs = clock.monotonicMs();
    try {
      const result = await run();
      observer.operation(verb, resultOf(result), (clock.monotonicMs() - startMs) / 1000);
      return result;
    } catch (thrown) {
      if (thrown instanceof StoreFault) observer.operation(verb, thrown.reason, (clock.monotonicMs() - startMs) / 1000);
      throw thrown;
    }
  };
  return {
    get: (key) => timed('get', ok, () => verbs.get(key)),
    put: (key, value, ttlMs) => timed('put', ok, () => verbs.put(key, value, ttlMs)),
    claim: (key, owner, expiresAtMs) => timed('claim', itself, () => verbs.claim(key, owner, expiresAtMs)),
    take: (key) => timed('take', ok, () => verbs.take(key)),
    swap: (key, expected, next, ttlMs) => timed('swap', swapped, () => verbs.swap(key, expected, next, ttlMs)),
    delete: (key) => timed('delete', ok, () => verbs.delete(key)),
  };
}

const ok = () => 'ok' as const;
const itself = (result: 'claimed' | 'mine' | 'taken') => result;
const swapped = (wasSwapped: boolean) => (wasSwapped ? 'ok' : 'differs');
