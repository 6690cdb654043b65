import { setTimeout as sleep } from 'node:timers/promises';
import { storeConformance } from '../conformance/store.ts';
import { SENTINEL_NAME, startRedisWithSentinels } from '../support/redis-sentinels.ts';
import { redisStoreOn, untilServing } from '../support/redis-store.ts';

storeConformance('Redis, through Sentinels', async () => {
  const redis = await startRedisWithSentinels();
  const open = async () => {
    const opened = redisStoreOn('', {
      settings: {
        mode: 'sentinel',
        urls: redis.urls,
        sentinelName: SENTINEL_NAME,
        sentinelUsernameFile: 'countersign',
        sentinelPasswordFile: 'secret',
        durable: { replicas: 1, timeout: 500 },
      },
      readSecret: (file) => file,
    });
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
      await redis.stop();
    },
  };
});
