import { setTimeout as sleep } from 'node:timers/promises';
import { storeConformance } from '../conformance/store.ts';
import { claimFromProcesses } from '../support/claim-processes.ts';
import { startRedis } from '../support/redis.ts';
import { redisStoreOn, untilServing } from '../support/redis-store.ts';

storeConformance('Redis, single', async () => {
  const redis = await startRedis();
  const open = async () => {
    const opened = redisStoreOn(redis.url);
    await untilServing(opened);
    return opened;
  };
  const store = await open();
  return {
    store,
    nowMs: () => Date.now(),
    pass: (ms) => sleep(ms),
    claimFromProcesses: (key, owners, expiresAtMs) => claimFromProcesses(redis.url, key, owners, expiresAtMs),
    reopen: open,
    async close() {
      await store.close();
      await redis.stop();
    },
  };
});
