/** The stores on which proofs must be spent once: in memory, and a real Redis of each test's own behind a unix socket. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StoreUnderTest } from '../conformance/scheme.ts';
import { redisServer } from '../../scripts/fetch-redis.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { Store } from '../../src/core/store.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { createRedisStore } from '../../src/store/redis.ts';
import { quietObserver } from './quiet-observer.ts';

const memory: StoreUnderTest = {
  title: 'memory',
  open: async () =>
    createMemoryStore({
      clock: systemClock,
      skewMs: 5_000,
      maxEntries: 100_000,
      fresh: true,
      observer: quietObserver,
    }),
};

/** Server and store are on one host: so small a skew keeps the horizon of a fresh server short. */
const SAME_HOST_SKEW_MS = 500;
/** What is tested is who wins, on machines that may stall for a second. */
const PATIENCE_MS = 5_000;

const redis: StoreUnderTest = {
  title: 'Redis',
  async open() {
    const folder = await mkdtemp(join(tmpdir(), 'cs-'));
    const socket = join(folder, 's');
    const server = spawn(
      await redisServer(),
      ['--port', '0', '--unixsocket', socket, '--dir', folder, '--save', '', '--maxmemory-policy', 'noeviction'],
      { stdio: 'ignore' },
    );
    const store = createRedisStore({
      settings: {
        mode: 'single',
        urls: [`unix://${socket}`],
        database: 0,
        keyPrefix: 'cs:',
        commandTimeout: PATIENCE_MS,
        socketTimeout: 2 * PATIENCE_MS,
        connectTimeout: 500,
        durable: { timeout: 500 },
      },
      skewMs: SAME_HOST_SKEW_MS,
      maxStoreOffsetMs: PATIENCE_MS,
      clock: systemClock,
      readSecret: () => '',
      observer: quietObserver,
    });
    await ready(store);
    return {
      ...store,
      async close() {
        await store.close();
        await stop(server);
        await rm(folder, { recursive: true });
      },
    };
  },
};

async function ready(store: Store): Promise<void> {
  for (let attempt = 0; store.state() !== 'ok'; attempt += 1) {
    if (attempt === 500) throw new Error(`Redis did not become ready: ${store.state()}`);
    await sleep(20);
  }
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null) return;
  const ended = once(server, 'exit');
  server.kill('SIGKILL');
  await ended;
}

export const storesUnderTest: readonly StoreUnderTest[] = [memory, redis];
