/** A store that writes down what is asked of it, and fails where the test says so. What it does otherwise is the inner store's. */
import type { Store, StoreVerb } from '../../src/core/store.ts';

export interface StoreCall {
  readonly verb: StoreVerb;
  /** Logical key, `<class>:<digest>`. */
  readonly key: string;
  /** Whatever followed the key. */
  readonly rest: readonly unknown[];
  /** Undefined until the call has been answered. */
  answer: unknown;
}

export interface WatchedStore extends Store {
  readonly calls: StoreCall[];
  /** Called before each verb; what it throws is what the verb throws. */
  before: (verb: StoreVerb) => void;
  /** Overrides the inner store's. */
  horizon: number | undefined;
}

export function watchStore(inner: Store): WatchedStore {
  const calls: StoreCall[] = [];
  async function watch<T>(verb: StoreVerb, key: { text: string }, rest: readonly unknown[], run: () => Promise<T>) {
    const call: StoreCall = { verb, key: key.text, rest, answer: undefined };
    calls.push(call);
    watched.before(verb);
    const answer = await run();
    call.answer = answer;
    return answer;
  }
  const watched: WatchedStore = {
    calls,
    before: () => {},
    horizon: undefined,
    get: (key) => watch('get', key, [], () => inner.get(key)),
    put: (key, ...rest) => watch('put', key, rest, () => inner.put(key, ...rest)),
    claim: (key, ...rest) => watch('claim', key, rest, () => inner.claim(key, ...rest)),
    take: (key) => watch('take', key, [], () => inner.take(key)),
    swap: (key, ...rest) => watch('swap', key, rest, () => inner.swap(key, ...rest)),
    delete: (key) => watch('delete', key, [], () => inner.delete(key)),
    horizonMs: () => watched.horizon ?? inner.horizonMs(),
    state: () => inner.state(),
    provenOnce: () => inner.provenOnce(),
    close: () => inner.close(),
  };
  return watched;
}

const WRITES: readonly StoreVerb[] = ['put', 'claim', 'take', 'swap', 'delete'];

/** Calls that change something. */
export function writesOf(store: WatchedStore): readonly StoreCall[] {
  return store.calls.filter(({ verb }) => WRITES.includes(verb));
}
