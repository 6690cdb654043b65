import { storeConformance } from '../conformance/store.ts';
import { CLUSTER_ACL, SERVER_ACL } from '../support/acl.ts';
import { conformingRedis } from '../support/conforming-redis.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';

storeConformance('Redis, Cluster of three primaries, as the user of the ACL', async () => {
  const cluster = await startRedisCluster();
  for (const { admin } of cluster.nodes) {
    await admin.call('ACL', 'SETUSER', 'countersign', 'on', '>secret', ...SERVER_ACL, ...CLUSTER_ACL);
    await admin.call('ACL', 'SETUSER', 'default', 'off');
  }
  const settings = {
    mode: 'cluster' as const,
    urls: cluster.urls,
    durable: { replicas: 0, timeout: 200 },
    usernameFile: 'countersign',
    passwordFile: 'secret',
  };
  return conformingRedis({ overrides: { settings, readSecret: (file) => file } }, () => cluster.stop());
});
