/** A Cluster of three primaries of the test's own, with or without replicas, formed by commands, since the server comes without its tool. */
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../scripts/processes.ts';
import { startRedis, type TestRedis } from './redis.ts';

export interface TestCluster {
  /** The primaries. */
  readonly nodes: readonly TestRedis[];
  /** Of the primary with the same index; none unless asked for. */
  readonly replicas: readonly TestRedis[];
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

const RANGES = [
  [0, 5_460],
  [5_461, 10_922],
  [10_923, 16_383],
] as const;

const ARGS = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', '--cluster-config-file', 'nodes.conf'];

/** The port of its bus would be its own plus 10,000, where somebody else may listen. */
async function startNode(args: readonly string[]) {
  const busPort = await freePort();
  return { ...(await startRedis([...ARGS, '--cluster-port', String(busPort), ...args])), busPort };
}

/** @param args options of each node besides. */
export async function startRedisCluster({
  withReplicas = false,
  args = [],
}: { withReplicas?: boolean; args?: readonly string[] } = {}): Promise<TestCluster> {
  const nodes = await Promise.all(RANGES.map(() => startNode(args)));
  const [first] = nodes;
  for (const [index, node] of nodes.entries()) {
    const [from = 0, to = 0] = RANGES[index] ?? [];
    await node.admin.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
    await node.admin.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    if (node !== first) await node.admin.call('CLUSTER', 'MEET', '127.0.0.1', `${first?.port}`, `${first?.busPort}`);
  }
  for (const node of nodes) await untilFormed(node);
  const replicas = withReplicas ? await Promise.all(nodes.map((node) => replicaOf(node, args))) : [];
  return {
    nodes,
    replicas,
    urls: nodes.map(({ url }) => url),
    async stop() {
      await Promise.all([...nodes, ...replicas].map((node) => node.stop()));
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

async function replicaOf(primary: Awaited<ReturnType<typeof startNode>>, args: readonly string[]): Promise<TestRedis> {
  const replica = await startNode(['--repl-diskless-sync-delay', '0', ...args]);
  const id = String(await primary.admin.call('CLUSTER', 'MYID'));
  await replica.admin.call('CLUSTER', 'MEET', '127.0.0.1', `${primary.port}`, `${primary.busPort}`);
  for (let attempt = 0; attempt < 400; attempt += 1) {
    // Refused until the gossip has told it of that primary.
    await replica.admin.call('CLUSTER', 'REPLICATE', id).catch(() => undefined);
    if ((await replica.admin.info('replication')).includes('master_link_status:up')) return replica;
    await sleep(50);
  }
  throw new Error('a replica of this test did not join within 20 s');
}
