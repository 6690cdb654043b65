import { storeConformance } from '../conformance/store.ts';
import { conformingRedis } from '../support/conforming-redis.ts';
import { SENTINEL_NAME, startRedisWithSentinels } from '../support/redis-sentinels.ts';

storeConformance('Redis, through Sentinels', async () => {
  const redis = await startRedisWithSentinels();
  const settings = {
    mode: 'sentinel' as const,
    urls: redis.urls,
    sentinelName: SENTINEL_NAME,
    sentinelUsernameFile: 'countersign',
    sentinelPasswordFile: 'secret',
    durable: { replicas: 1, timeout: 500 },
  };
  return conformingRedis({ overrides: { settings, readSecret: (file) => file } }, () => redis.stop());
});
