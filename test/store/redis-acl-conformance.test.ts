/** The whole suite as a user that may do what the documentation grants, and nothing more (SF-20). */
import { setTimeout as sleep } from 'node:timers/promises';
import { storeConformance } from '../conformance/store.ts';
import { SERVER_ACL } from '../support/acl.ts';
import { startRedis } from '../support/redis.ts';
import { redisStoreOn, untilServing } from '../support/redis-store.ts';

storeConformance('Redis, as the user of the ACL', async () => {
  const redis = await startRedis();
  await redis.admin.call('ACL', 'SETUSER', 'countersign', 'on', '>secret', ...SERVER_ACL);
  await redis.admin.call('ACL', 'SETUSER', 'default', '>other');
  const open = async () => {
    const opened = redisStoreOn(redis.url, {
      settings: { usernameFile: 'username', passwordFile: 'password', durable: { replicas: 0, timeout: 200 } },
      readSecret: (file) => ({ username: 'countersign', password: 'secret' })[file] ?? '',
    });
    await untilServing(opened);
    return opened;
  };
  const store = await open();
  return {
    store,
    nowMs: () => Date.now(),
    pass: (ms) => sleep(ms),
    claimFromProcesses: (key, owners, expiresAtMs) =>
      Promise.all(owners.map((owner) => store.claim(key, owner, expiresAtMs))),
    reopen: open,
    async close() {
      await store.close();
      await redis.stop();
    },
  };
});
