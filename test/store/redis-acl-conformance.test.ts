/** The whole suite as a user that may do what the documentation grants, and nothing more (SF-20). */
import { storeConformance } from '../conformance/store.ts';
import { SERVER_ACL } from '../support/acl.ts';
import { conformingRedis } from '../support/conforming-redis.ts';
import { startRedis } from '../support/redis.ts';

storeConformance('Redis, as the user of the ACL', async () => {
  const redis = await startRedis();
  await redis.admin.call('ACL', 'SETUSER', 'countersign', 'on', '>secret', ...SERVER_ACL);
  await redis.admin.call('ACL', 'SETUSER', 'default', '>other');
  const settings = { usernameFile: 'username', passwordFile: 'password', durable: { replicas: 0, timeout: 200 } };
  const readSecret = (file: string) => ({ username: 'countersign', password: 'secret' })[file] ?? '';
  return conformingRedis({ url: redis.url, overrides: { settings, readSecret } }, () => redis.stop());
});
