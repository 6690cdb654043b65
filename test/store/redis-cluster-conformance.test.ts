import { setTimeout as sleep } from 'node:timers/promises';
import { storeConformance } from '../conformance/store.ts';
import { CLUSTER_ACL, SERVER_ACL } from '../support/acl.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { redisStoreOn, untilServing } from '../support/redis-store.ts';

storeConformance('Redis, Cluster of three primaries, as the user of the ACL', async () => {
  const cluster = await startRedisCluster();
  for (const { admin } of cluster.nodes) {
    await admin.call('ACL', 'SETUSER', 'countersign', 'on', '>secret', ...SERVER_ACL, ...CLUSTER_ACL);
    await admin.call('ACL', 'SETUSER', 'default', 'off');
  }
  const open = async () => {
    const opened = redisStoreOn('', {
      settings: {
        mode: 'cluster',
        urls: cluster.urls,
        durable: { replicas: 0, timeout: 200 },
        usernameFile: 'countersign',
        passwordFile: 'secret',
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
      await cluster.stop();
    },
  };
});
