/** A primary, a replica and three Sentinels of the test's own; they promote after one second. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { redisServer } from '../../scripts/fetch-redis.ts';
import { SENTINEL_ACL } from './acl.ts';
import { freePort } from '../../scripts/processes.ts';
import { startRedis, type TestRedis } from './redis.ts';

export const SENTINEL_NAME = 'countersign';

export interface TestSentinels {
  readonly primary: TestRedis;
  readonly replica: TestRedis;
  /** Of the Sentinels. */
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

export async function startRedisWithSentinels(): Promise<TestSentinels> {
  const [primary, replica] = await Promise.all([startRedis(), startRedis()]);
  await replica.admin.replicaof('127.0.0.1', String(primary.port));
  const sentinels = await Promise.all([1, 2, 3].map(() => startSentinel(primary.port)));
  const [first] = sentinels;
  await untilKnown(first?.port ?? 0);
  return {
    primary,
    replica,
    urls: sentinels.map(({ port }) => `redis://127.0.0.1:${port}`),
    async stop() {
      await Promise.all(sentinels.map((sentinel) => sentinel.stop()));
      await Promise.all([primary.stop(), replica.stop()]);
    },
  };
}

async function startSentinel(primaryPort: number) {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-sentinel-'));
  const port = await freePort();
  const file = join(folder, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor ${SENTINEL_NAME} 127.0.0.1 ${primaryPort} 2`,
    `sentinel down-after-milliseconds ${SENTINEL_NAME} 1000`,
    `sentinel failover-timeout ${SENTINEL_NAME} 3000`,
    `user countersign on >secret ${SENTINEL_ACL.join(' ')}`,
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const child = spawn(await redisServer(), [file, '--sentinel'], { stdio: 'ignore' });
  return {
    port,
    async stop() {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Until this Sentinel knows the replica and the other two. */
async function untilKnown(port: number): Promise<void> {
  const sentinel = new Redis({ host: '127.0.0.1', port, disableClientInfo: true, retryStrategy: () => 100 });
  sentinel.on('error', () => undefined);
  try {
    for (let attempt = 0; attempt < 300; attempt += 1) {
      const facts = await sentinel.call('SENTINEL', 'MASTER', SENTINEL_NAME).catch(() => []);
      const text = JSON.stringify(facts);
      if (/"num-slaves","?1/.test(text) && /"num-other-sentinels","?2/.test(text)) return;
      await sleep(50);
    }
  } finally {
    sentinel.disconnect();
  }
  throw new Error('the Sentinels of this test did not find each other within 15 s');
}
