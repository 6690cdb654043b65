import { storeConformance } from '../conformance/store.ts';
import { claimFromProcesses } from '../support/claim-processes.ts';
import { conformingRedis } from '../support/conforming-redis.ts';
import { startRedis } from '../support/redis.ts';

storeConformance('Redis, single', async () => {
  const redis = await startRedis();
  return {
    ...(await conformingRedis({ url: redis.url }, () => redis.stop())),
    // Rivals that are processes of their own.
    claimFromProcesses: (key, owners, expiresAtMs) => claimFromProcesses(redis.url, key, owners, expiresAtMs),
  };
});
