/**
 * Starts a real Redis or Valkey of the test's own on a free loopback port, and makes sure that the process answering there is that
 * one: a test that finds a stranger's server would talk to it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { env as environment } from 'node:process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { redisServer } from '../../scripts/fetch-redis.ts';
import { freePort } from '../../scripts/processes.ts';

export interface TestRedis {
  readonly port: number;
  readonly url: string;
  readonly folder: string;
  /** As the default user, for what a test does to the server. */
  readonly admin: Redis;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** kill -9. */
  kill(): Promise<void>;
  /** The same port and folder, a new process; whatever ran there is killed first. */
  restart(extra?: readonly string[]): Promise<void>;
  /** Kills it and removes its folder. */
  stop(): Promise<void>;
}

/**
 * @param args options such as `--appendonly yes`; by default nothing is saved and nothing evicted.
 * @param env of the server besides the test's own.
 */
export async function startRedis(
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<TestRedis> {
  const binary = await redisServer();
  const folder = await mkdtemp(join(tmpdir(), 'countersign-redis-'));
  const port = await freePort();
  const admin = new Redis({
    host: '127.0.0.1',
    port,
    lazyConnect: true,
    retryStrategy: () => null,
    disableClientInfo: true,
  });
  admin.on('error', () => undefined);
  let process: ChildProcess | undefined;

  const launch = async (extra: readonly string[]) => {
    const base = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
    const options = [...base, '--maxmemory-policy', 'noeviction', ...args, ...extra];
    const child = spawn(binary, options, { stdio: 'ignore', env: { ...environment, ...env } });
    process = child;
    await connect(admin, child);
  };

  const kill = async () => {
    if (admin.status !== 'end' && admin.status !== 'wait') admin.disconnect();
    if (process === undefined || process.exitCode !== null || process.signalCode !== null) return;
    const gone = once(process, 'exit');
    process.kill('SIGKILL');
    await gone;
  };

  try {
    await launch([]);
  } catch (error) {
    await kill();
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    folder,
    admin,
    signal: (signal) => void process?.kill(signal),
    kill,
    async restart(extra = []) {
      await kill();
      await launch(extra);
    },
    async stop() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function connect(admin: Redis, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 250; attempt += 1) {
    if (child.exitCode !== null) throw new Error(`the Redis of this test ended at once with ${child.exitCode}`);
    try {
      await admin.connect();
      const info = await admin.info('server');
      if (info.includes(`process_id:${child.pid}`)) return;
      throw new Error(`another process answers on port ${admin.options.port}`);
    } catch (error) {
      if (admin.status !== 'end') admin.disconnect();
      if (Error.isError(error) && error.message.startsWith('another')) throw error;
      await sleep(20);
    }
  }
  throw new Error('the Redis of this test did not answer within 5 s');
}
