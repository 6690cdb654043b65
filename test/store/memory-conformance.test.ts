import { createMemoryStore } from '../../src/store/memory.ts';
import { storeConformance } from '../conformance/store.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { quietObserver } from '../support/quiet-observer.ts';

storeConformance('memory', async () => {
  const clock = createFakeClock(1_790_000_000_000);
  const open = () =>
    createMemoryStore({ clock, skewMs: 5_000, maxEntries: 100_000, fresh: false, observer: quietObserver });
  const store = open();
  return {
    store,
    nowMs: () => clock.nowMs(),
    pass: async (ms) => clock.advance(ms),
    claimFromProcesses: (key, owners, expiresAtMs) =>
      Promise.all(owners.map((owner) => store.claim(key, owner, expiresAtMs))),
    reopen: async () => open(),
    close: () => store.close(),
  };
});
