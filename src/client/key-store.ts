/**
 * Keeps a browser's key pairs in IndexedDB as CryptoKey objects: they survive reloads, never leave the browser, and no script can
 * read them. What a script of the page can do is sign with them.
 */
import { CountersignError } from '../core/client-error.ts';
import type { SignatureAlg } from '../core/directory.ts';
import type { SigningKey } from '../core/signer.ts';
import { generateKeyPair, signingKey, type KeyPair } from './keys.ts';

/** As much of IndexedDB as is used here, so that the library needs no browser's types. */
interface DatabaseRequest<T> {
  readonly result: T;
  readonly error: unknown;
  addEventListener(event: 'success' | 'error' | 'upgradeneeded', listener: () => void): void;
}
interface ObjectStore {
  get(name: string): DatabaseRequest<unknown>;
  add(value: unknown, name: string): DatabaseRequest<unknown>;
  put(value: unknown, name: string): DatabaseRequest<unknown>;
  delete(name: string): DatabaseRequest<undefined>;
}
interface Database {
  createObjectStore(name: string): unknown;
  transaction(store: string, mode: 'readonly' | 'readwrite'): { objectStore(name: string): ObjectStore };
  close(): void;
}
declare const indexedDB: { open(name: string, version: number): DatabaseRequest<Database> };

const DATABASE = 'countersign';
const STORE = 'keys';

/**
 * The key of this name, made when there is none: not extractable, kept for this origin until the user clears its data.
 * Of two tabs that make it at once, both get the one that was first.
 *
 * @throws {CountersignError} `key_unusable` when the browser keeps nothing here (private mode, blocked storage).
 */
export async function browserKey(name: string, alg: SignatureAlg = 'ES256'): Promise<SigningKey> {
  return withStore(async (database) => {
    const kept = await read(database, name);
    if (kept !== undefined) return signingKey(kept);
    // Made before the transaction: IndexedDB ends one that waits for anything but itself.
    const made = await generateKeyPair(alg);
    try {
      await done(database.transaction(STORE, 'readwrite').objectStore(STORE).add(made, name));
      return await signingKey(made);
    } catch (cause) {
      const winner = await read(database, name);
      if (winner === undefined)
        throw new CountersignError('key_unusable', 'the browser did not keep the key', { cause });
      return signingKey(winner);
    }
  });
}

/** The key is gone for good: what it was registered for must be registered again. */
export async function forgetBrowserKey(name: string): Promise<void> {
  await withStore((database) => done(database.transaction(STORE, 'readwrite').objectStore(STORE).delete(name)));
}

/** A text beside the keys. */
export function readBrowserText(name: string): Promise<string | undefined> {
  return withStore(async (database) => {
    const kept = await done(database.transaction(STORE, 'readonly').objectStore(STORE).get(name));
    return typeof kept === 'string' ? kept : undefined;
  });
}

export async function writeBrowserText(name: string, text: string): Promise<void> {
  await withStore((database) => done(database.transaction(STORE, 'readwrite').objectStore(STORE).put(text, name)));
}

async function read(database: Database, name: string): Promise<KeyPair | undefined> {
  return (await done(database.transaction(STORE, 'readonly').objectStore(STORE).get(name))) as KeyPair | undefined;
}

async function withStore<T>(use: (database: Database) => Promise<T>): Promise<T> {
  const opening = indexedDB.open(DATABASE, 1);
  opening.addEventListener('upgradeneeded', () => opening.result.createObjectStore(STORE));
  const database = await done(opening).catch((cause: unknown) => {
    throw new CountersignError('key_unusable', 'the browser keeps no keys for this page', { cause });
  });
  try {
    return await use(database);
  } finally {
    database.close();
  }
}

function done<T>(request: DatabaseRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(new Error('IndexedDB failed', { cause: request.error })));
  });
}
