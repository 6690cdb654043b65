/**
 * A reload in one of several processes: what is built beside the configuration in force, and waits for the word of the supervisor. That
 * may come while the building is still going on, since a worker that is slow is not waited for.
 */
import type { Prepared } from '../sidecar.ts';

export interface Reload {
  /** @throws what building throws; {Error} when it was cancelled, or another was asked for, before it was done. */
  prepare(text: string): Promise<void>;
  /** @throws {Error} when nothing is prepared: then this process does not have what the others have. */
  commit(): void;
  cancel(): void;
}

export function createReload(build: (text: string) => Promise<Prepared>): Reload {
  let prepared: Prepared | undefined;
  let lastAsked = 0;

  function cancel(): void {
    lastAsked += 1;
    prepared?.cancel();
    prepared = undefined;
  }

  return {
    async prepare(text) {
      cancel();
      const asked = lastAsked;
      const built = await build(text);
      if (asked === lastAsked) {
        prepared = built;
        return;
      }
      built.cancel();
      throw new Error('the reload was cancelled while it was being prepared');
    },
    commit() {
      if (prepared === undefined) throw new Error('nothing is prepared');
      prepared.commit();
      prepared = undefined;
    },
    cancel,
  };
}
