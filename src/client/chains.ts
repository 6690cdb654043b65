/**
 * A browser's chains in IndexedDB: they survive reloads, until the user clears the site's data. A script of the page can read them.
 * Tabs share them, a lane each for as long as a request takes, by the browser's own locks, which end with the tab that holds them.
 */
import { CountersignError } from '../core/client-error.ts';
import type { ChainStorage, HeldLane } from '../schemes/time-scrambled/client-state.ts';

/** As much of the browser as is used here, so that the library needs no browser's types. */
interface Target {
  addEventListener(event: string, listener: () => void): void;
}
interface DatabaseRequest<T> extends Target {
  readonly result: T;
  readonly error: unknown;
}
interface Transaction extends Target {
  readonly error: unknown;
  objectStore(name: string): {
    get(name: string): DatabaseRequest<unknown>;
    put(value: unknown, name: string): DatabaseRequest<unknown>;
  };
}
interface Database {
  createObjectStore(name: string): unknown;
  transaction(store: string, mode: 'readonly' | 'readwrite', options?: { durability: 'strict' }): Transaction;
  close(): void;
}
declare const indexedDB: { open(name: string, version: number): DatabaseRequest<Database> };
declare const navigator: {
  locks: {
    request(
      name: string,
      options: { ifAvailable?: boolean; signal?: AbortSignal },
      use: (lock: object | null) => Promise<void>,
    ): Promise<void>;
  };
};

const DATABASE = 'countersign-chains';
const STORE = 'lanes';

/** @param name of the chains among those that this origin keeps. */
export function browserChains(name: string): ChainStorage {
  const laneName = (lane: number) => `${name}/${lane}`;

  async function count(): Promise<number> {
    const lanes = await read(name);
    return typeof lanes === 'number' ? lanes : 0;
  }

  /** Under the browser's lock of the lane. @returns undefined when `isWaiting` is false and another request has it. @throws the signal's reason. */
  function lock(lane: number, isWaiting: boolean, signal?: AbortSignal | null): Promise<(() => void) | undefined> {
    return new Promise((resolve, reject) => {
      const use = async (held: object | null) => {
        if (held === null) return resolve(undefined);
        // The lock is ours until this ends.
        await new Promise<void>((release) => resolve(release));
      };
      const options = isWaiting ? { ...(signal != null && { signal }) } : { ifAvailable: true };
      navigator.locks.request(`${DATABASE}/${laneName(lane)}`, options, use).catch(reject);
    });
  }

  async function hold(lane: number, release: () => void): Promise<HeldLane> {
    try {
      const text = await read(laneName(lane));
      const write = (next: string) => writeAll([[laneName(lane), next]]);
      return { text: typeof text === 'string' ? text : '', write, release };
    } catch (thrown) {
      release();
      throw thrown;
    }
  }

  return {
    async take(signal) {
      signal?.throwIfAborted();
      const lanes = await count();
      if (lanes === 0) throw new CountersignError('key_unusable', 'no chain is enrolled here');
      for (let lane = 0; lane < lanes; lane += 1) {
        const release = await lock(lane, false);
        if (release !== undefined) return hold(lane, release);
      }
      const lane = Math.floor(Math.random() * lanes);
      return hold(lane, (await lock(lane, true, signal)) ?? (() => {}));
    },
    async read() {
      const lanes = await count();
      const texts = await Promise.all(Array.from({ length: lanes }, (_, lane) => read(laneName(lane))));
      return texts.map(String);
    },
    async replace(texts) {
      // A request that is on its way would put the old chain back into its lane.
      const releases: ((() => void) | undefined)[] = [];
      for (let lane = 0; lane < (await count()); lane += 1) releases.push(await lock(lane, true));
      try {
        await writeAll([[name, texts.length], ...texts.map((text, lane) => [laneName(lane), text] as const)]);
      } finally {
        for (const release of releases) release?.();
      }
    },
  };
}

function read(name: string): Promise<unknown> {
  return withDatabase((database) => done(database.transaction(STORE, 'readonly').objectStore(STORE).get(name)));
}

/** All or none of them, on the disk when it resolves. */
function writeAll(entries: readonly (readonly [name: string, value: unknown])[]): Promise<void> {
  return withDatabase(async (database) => {
    const transaction = database.transaction(STORE, 'readwrite', { durability: 'strict' });
    const store = transaction.objectStore(STORE);
    for (const [name, value] of entries) store.put(value, name);
    await new Promise<void>((resolve, reject) => {
      transaction.addEventListener('complete', resolve);
      for (const event of ['error', 'abort'])
        transaction.addEventListener(event, () => reject(failed(transaction.error)));
    });
  });
}

async function withDatabase<T>(use: (database: Database) => Promise<T>): Promise<T> {
  const opening = indexedDB.open(DATABASE, 1);
  opening.addEventListener('upgradeneeded', () => opening.result.createObjectStore(STORE));
  const database = await done(opening);
  try {
    return await use(database);
  } finally {
    database.close();
  }
}

function done<T>(request: DatabaseRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(failed(request.error)));
  });
}

function failed(cause: unknown): CountersignError {
  return new CountersignError('key_unusable', 'the browser keeps no chains for this page', { cause });
}
