/** A client's keys and its text from one run to the next: in the browser, or for as long as the page or process lives. */
import type { ClientState, SigningKey } from '../core/signer.ts';
import { browserKey, forgetBrowserKey, readBrowserText, writeBrowserText } from './key-store.ts';
import { generateKeyPair, signingKey } from './keys.ts';

/** Lost with the page or process. */
export function memoryState(): ClientState {
  const keys = new Map<string, Promise<SigningKey>>();
  let kept: string | undefined;
  return {
    key(name) {
      const key = keys.get(name) ?? generateKeyPair('ES256').then(signingKey);
      keys.set(name, key);
      return key;
    },
    async forget(name) {
      keys.delete(name);
    },
    read: async () => kept,
    async write(text) {
      kept = text;
    },
    exclusive: oneAtATime(),
  };
}

/**
 * In IndexedDB, for this origin, until the user clears its data. The keys can't be read out, the text can.
 *
 * @param name of the account or device; its keys are named `<name>/...`.
 */
export function browserState(name: string): ClientState {
  return {
    key: (key) => browserKey(`${name}/${key}`, 'ES256'),
    forget: (key) => forgetBrowserKey(`${name}/${key}`),
    read: () => readBrowserText(`${name}/`),
    write: (text) => writeBrowserText(`${name}/`, text),
    exclusive: (run) => navigator.locks.request(`countersign/${name}`, run),
  };
}

/** As much of the Web Locks API as is used here, so that the library needs no browser's types. Pages and workers of an origin share them. */
declare const navigator: { readonly locks: { request<T>(name: string, run: () => Promise<T>): Promise<T> } };

/** Within this process. */
export function oneAtATime(): ClientState['exclusive'] {
  let last: Promise<unknown> = Promise.resolve();
  return (run) => {
    const mine = last.then(run, run);
    last = mine.catch(() => undefined);
    return mine;
  };
}
