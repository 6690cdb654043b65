/**
 * The store of one process, and the reference for what the verbs mean. Nothing survives a restart, so it starts with a horizon:
 * what may have been spent before is refused. It never evicts a live record; when it is full, it says so.
 */
import type { Clock } from '../core/clock.ts';
import { StoreFault } from '../core/fault.ts';
import type { Key, Store, StoreObserver, StoreState } from '../core/store.ts';
import { requireOwner, requireTime, requireTtl, requireValue } from './arguments.ts';
import { createExpiryHeap, type Expiring } from './expiry-heap.ts';
import { observed } from './observed.ts';
import { createRejudge } from './rejudge.ts';

export interface MemoryStoreOptions {
  readonly clock: Clock;
  readonly skewMs: number;
  /** Above it a write of a new record is a fault `full`. About 400 bytes of heap each. */
  readonly maxEntries: number;
  /** The operator vouches that no proof from before this start can still be accepted: no horizon. */
  readonly fresh: boolean;
  readonly observer: StoreObserver;
}

/** A write removes at most so many expired records: more than it adds, so they die out, and no write takes long. */
const SWEEP_PER_WRITE = 4;

interface MemoryRecord extends Expiring {
  readonly key: string;
  readonly isClaim: boolean;
  value: string;
}

export function createMemoryStore(options: MemoryStoreOptions): Store & { entries(): number } {
  const { clock, skewMs, maxEntries, observer } = options;
  const records = new Map<string, MemoryRecord>();
  const expiry = createExpiryHeap<MemoryRecord>();
  const rejudge = createRejudge(() => clock.monotonicMs());
  let newestMs = clock.nowMs();
  let horizonMs = options.fresh ? 0 : newestMs + skewMs;
  /** Latest expiry of a claim that is gone. */
  let forgottenMs = 0;
  let isClosed = false;
  let told: StoreState | undefined;

  /**
   * The clock, looked at once per call. After a step back proofs are fresh again whose claims have expired: those claims and
   * whatever else the wrong time let happen lie before the raised horizon.
   */
  const look = (): number => {
    const nowMs = clock.nowMs();
    if (nowMs < newestMs - skewMs) {
      horizonMs = Math.max(horizonMs, nowMs + skewMs, forgottenMs);
      newestMs = nowMs;
      rejudge.horizonRose();
      observer.horizon(horizonMs, true);
    }
    newestMs = Math.max(newestMs, nowMs);
    tell(stateAt(nowMs));
    return nowMs;
  };

  const stateAt = (nowMs: number): StoreState => {
    if (isClosed) return 'down';
    return nowMs < horizonMs ? 'recovering' : 'ok';
  };

  const tell = (state: StoreState) => {
    if (state === told) return;
    told = state;
    observer.state(state, state);
  };

  const begin = (): number => {
    if (isClosed) throw new StoreFault('down', 'the store is closed');
    return look();
  };

  const beginFenced = (call: string): number => {
    const nowMs = begin();
    if (rejudge.mustJudgeAgain(call)) throw new StoreFault('horizon_moved', 'the clock stepped back');
    return nowMs;
  };

  const live = (key: Key, nowMs: number): MemoryRecord | undefined => {
    const record = records.get(key.text);
    return record !== undefined && nowMs < record.expiresAtMs ? record : undefined;
  };

  const remove = (record: MemoryRecord) => {
    if (record.isClaim) forgottenMs = Math.max(forgottenMs, record.expiresAtMs);
    records.delete(record.key);
    if (record.expiresAtMs !== Number.POSITIVE_INFINITY) expiry.remove(record);
  };

  const sweep = (nowMs: number) => {
    for (let count = 0; count < SWEEP_PER_WRITE; count += 1) {
      const record = expiry.soonest();
      if (record === undefined || nowMs < record.expiresAtMs) return;
      remove(record);
    }
  };

  const write = (key: Key, value: string, expiresAtMs: number, nowMs: number) => {
    sweep(nowMs);
    const held = records.get(key.text);
    if (held !== undefined) remove(held);
    else if (records.size >= maxEntries) throw new StoreFault('full', `the memory store holds ${maxEntries} records`);
    const record: MemoryRecord = { key: key.text, isClaim: key.class === 'c', value, expiresAtMs, place: -1 };
    records.set(key.text, record);
    if (expiresAtMs !== Number.POSITIVE_INFINITY) expiry.add(record);
  };

  // Each body runs without a pause, so each verb is atomic.
  const verbs = observed(
    {
      async get(key) {
        return live(key, begin())?.value ?? null;
      },
      async put(key, value, ttlMs) {
        requireValue(value);
        requireTtl(ttlMs);
        const nowMs = begin();
        write(key, value, nowMs + ttlMs, nowMs);
      },
      async claim(key, owner, expiresAtMs) {
        requireOwner(owner);
        requireTime(expiresAtMs);
        const nowMs = beginFenced(`${key.text} ${owner}`);
        if (expiresAtMs <= nowMs) throw new StoreFault('clock', 'a claim would have expired at once');
        const held = live(key, nowMs);
        if (held !== undefined) return held.value === owner ? 'mine' : 'taken';
        write(key, owner, expiresAtMs, nowMs);
        return 'claimed';
      },
      async take(key) {
        const held = live(key, beginFenced(key.text));
        if (held === undefined) return null;
        remove(held);
        return held.value;
      },
      async swap(key, expected, next, ttlMs) {
        if (expected !== null) requireValue(expected);
        requireValue(next);
        requireTtl(ttlMs);
        const nowMs = beginFenced(`${key.text} ${next}`);
        if ((live(key, nowMs)?.value ?? null) !== expected) return false;
        write(key, next, nowMs + ttlMs, nowMs);
        return true;
      },
      async delete(key) {
        const held = live(key, begin());
        if (held !== undefined) remove(held);
      },
    },
    observer,
    clock,
  );

  observer.horizon(horizonMs, false);
  look();

  return {
    ...verbs,
    horizonMs() {
      look();
      return horizonMs;
    },
    state: () => stateAt(look()),
    provenOnce: () => true,
    entries: () => records.size,
    async close() {
      isClosed = true;
      tell('down');
    },
  };
}
