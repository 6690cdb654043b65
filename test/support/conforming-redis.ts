/** Stores on a server of the test's own, as the conformance suite asks for them; three rivals stand for other processes. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenStore } from '../conformance/store.ts';
import { redisStoreOn, untilServing, type StoreOverrides } from './redis-store.ts';

export async function conformingRedis(
  { url = '', overrides = {} }: { readonly url?: string; readonly overrides?: StoreOverrides },
  stop: () => Promise<void>,
): Promise<OpenStore> {
  const open = async () => {
    const opened = redisStoreOn(url, overrides);
    await untilServing(opened);
    return opened;
  };
  const store = await open();
  const rivals = await Promise.all([open(), open(), open()]);
  return {
    store,
    nowMs: () => Date.now(),
    pass: (ms) => sleep(ms),
    claimFromProcesses: (key, owners, expiresAtMs) =>
      Promise.all(owners.map((owner, index) => (rivals[index % 3] ?? store).claim(key, owner, expiresAtMs))),
    reopen: open,
    async close() {
      await Promise.all([store, ...rivals].map((opened) => opened.close()));
      await stop();
    },
  };
}
