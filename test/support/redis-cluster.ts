/** A Cluster of three primaries of the test's own, formed by commands, since the server comes without its tool. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis, type TestRedis } from './redis.ts';

export interface TestCluster {
  readonly nodes: readonly TestRedis[];
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

const RANGES = [
  [0, 5_460],
  [5_461, 10_922],
  [10_923, 16_383],
] as const;

export async function startRedisCluster(): Promise<TestCluster> {
  const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', '--cluster-config-file', 'nodes.conf'];
  const nodes = await Promise.all(RANGES.map(() => startRedis(args)));
  const [first] = nodes;
  for (const [index, node] of nodes.entries()) {
    const [from = 0, to = 0] = RANGES[index] ?? [];
    await node.admin.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
    await node.admin.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    if (node !== first) await node.admin.call('CLUSTER', 'MEET', '127.0.0.1', String(first?.port));
  }
  for (const node of nodes) await untilFormed(node);
  return {
    nodes,
    urls: nodes.map(({ url }) => url),
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

async function untilFormed(node: TestRedis): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt += 1) {
    const info = String(await node.admin.call('CLUSTER', 'INFO'));
    if (info.includes('cluster_state:ok') && info.includes('cluster_size:3')) return;
    await sleep(50);
  }
  throw new Error('the Cluster of this test was not formed within 20 s');
}
