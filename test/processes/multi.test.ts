/**
 * The service in several processes, through a real Envoy under load: replaced, crashed, reloaded and ended, without a Check that fails
 * or a proof that passes twice. `npm run test:long` does as many rounds as the specification asks.
 */
import { rename, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { cluster, type EnvoyTree } from '../../scripts/envoy-config.ts';
import { randomBytes } from '../../src/crypto/random.ts';
import { addKey, rotateKey } from '../../src/keys/ring-changes.ts';
import { formatRing, type StoredKey } from '../../src/keys/ring.ts';
import { openWorld, type World, type WorldOptions } from '../envoy/world.ts';
import type { ServiceConfig } from '../support/deployment.ts';
import { ringWith } from '../support/key-ring.ts';
import { isLong } from '../support/long.ts';
import { startLoad } from './load.ts';

interface Worker {
  readonly role: string;
  readonly state: string;
  readonly pid: number;
  readonly connections?: number;
}

let world: World | undefined;
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

async function open(options: WorldOptions = {}): Promise<World> {
  world = await openWorld({
    store: 'redis',
    concurrency: 4,
    ...options,
    change(config) {
      config['process'] = { model: 'multi', checkWorkers: 2 };
      // Tests share a machine: what takes long there is not what they are about.
      const { redis } = config['store'] as { redis: object };
      config['store'] = {
        type: 'redis',
        redis: { ...redis, commandTimeout: '1s', socketTimeout: '2s', connectTimeout: '2s' },
      };
      options.change?.(config);
    },
  });
  return world;
}

/** Each worker has a socket of its own, and Envoy an endpoint for each. */
function socketPerWorker(): Pick<WorldOptions, 'change' | 'changeEnvoy'> {
  let path = '';
  return {
    changeEnvoy(config: EnvoyTree) {
      const [locality] = cluster(config, 'countersign').load_assignment.endpoints;
      path = locality.lb_endpoints[0].endpoint.address.pipe.path;
      locality.lb_endpoints = ['1', '2'].map((slot) => ({
        endpoint: { address: { pipe: { path: path.replace('check-1', `worker-${slot}`) } } },
      }));
    },
    change(config: ServiceConfig) {
      const { check, ...others } = config['listeners'] as { check: object };
      const address = `unix:${path.replace('check-1', 'worker-{worker}')}`;
      config['listeners'] = { ...others, check: { ...check, address } };
    },
  };
}

async function status({ admin }: World): Promise<readonly Worker[]> {
  return (await admin('GET', 'status'))['workers'] as readonly Worker[];
}

const checkWorkers = async (of: World) => (await status(of)).filter(({ role }) => role === 'check');
const readyWorkers = async (of: World) => (await checkWorkers(of)).filter(({ state }) => state === 'ready');

/** @throws when there is none: pid 0 would be the whole group, this test among it. */
function signal(worker: { readonly pid: number } | undefined, name: NodeJS.Signals): void {
  if (worker === undefined) throw new Error('there is no such worker');
  process.kill(worker.pid, name);
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 1200; attempt += 1) {
    if (await isSo()) return;
    await sleep(50);
  }
  throw new Error('it never came to be');
}

const REPLACEMENTS = isLong ? 20 : 1;

test.each<[string, () => Pick<WorldOptions, 'change' | 'changeEnvoy'>]>([
  ['one socket for all', () => ({})],
  ['a socket for each', socketPerWorker],
])(
  `${REPLACEMENTS} rolling replacements under load fail no Check and let no proof pass twice: %s (OP-08)`,
  async (_title, options) => {
    const of = await open(options());
    const end = startLoad(of);
    for (let round = 0; round < REPLACEMENTS; round += 1) {
      const before = (await status(of)).filter(({ role }) => role !== 'supervisor').map(({ pid }) => pid);
      await of.admin('POST', 'workers/replace', {});
      await until(async () => {
        const now = await status(of);
        return now.length === 4 && now.every(({ pid, state }) => state === 'ready' && !before.includes(pid));
      });
    }
    const { statuses, passedTwice } = await end();
    expect({ others: Object.keys(statuses).filter((one) => one !== '200'), passedTwice }).toEqual({
      others: [],
      passedTwice: 0,
    });
    expect(statuses['200']).toBeGreaterThan(REPLACEMENTS * 10);
    expect(await of.metrics()).toContain(`countersign_worker_restarts_total{reason="replace"} ${REPLACEMENTS * 3}`);
  },
  600_000,
);

test('a worker that is killed under load is replaced; nothing passes twice, and a right request meets 503 at worst (OP-09)', async () => {
  const of = await open(socketPerWorker());
  const end = startLoad(of);
  const kills = isLong ? 20 : 2;
  for (let round = 0; round < kills; round += 1) {
    await until(async () => (await readyWorkers(of)).length === 2);
    const [victim] = await readyWorkers(of);
    signal(victim, 'SIGKILL');
    await until(async () => {
      const now = await readyWorkers(of);
      return now.length === 2 && now.every(({ pid }) => pid !== victim?.pid);
    });
  }
  const { statuses, passedTwice } = await end();
  // What the killed one had taken is asked once more by Envoy, which may meet the next kill.
  const others = Object.keys(statuses).filter((one) => !['200', '503'].includes(one));
  expect({ others, passedTwice }).toEqual({ others: [], passedTwice: 0 });
  expect(statuses['200']).toBeGreaterThan(statuses['503'] ?? 0);
  expect(await of.metrics()).toContain(`countersign_worker_restarts_total{reason="oom"} ${kills}`);
}, 600_000);

test('a key rotation reaches all workers: under load no right request is refused', async () => {
  const of = await open({
    change(config) {
      config['keys'] = { ...(config['keys'] as object), reloadInterval: '1s' };
    },
  });
  const order = { use: 'challenge-mac', random: randomBytes } as const;
  const published = (ring: readonly StoredKey[]) => ring.map((key) => ({ ...key, createdAtMs: 1 }));
  let ring = published(addKey(ringWith('challenge-mac'), { ...order, nowMs: Date.now() }).ring);
  const publish = async () => {
    await writeFile(`${of.ringFile}.next`, formatRing(ring), { mode: 0o600 });
    await rename(`${of.ringFile}.next`, of.ringFile);
    await sleep(2500);
  };
  await publish();
  const end = startLoad(of);
  for (let rotation = 0; rotation < (isLong ? 20 : 1); rotation += 1) {
    ring = published(rotateKey(ring, { ...order, nowMs: Date.now() }).ring);
    await publish();
  }
  const { statuses, passedTwice } = await end();
  expect({ statuses: Object.keys(statuses), passedTwice }).toEqual({ statuses: ['200'], passedTwice: 0 });
}, 200_000);

test('more than five crashes in a minute: not ready, and the workers that are left answer (OP-09)', async () => {
  const of = await open();
  const readyz = async () => (await fetch(`http://${of.adminAddress}/readyz`)).status;
  for (let crash = 0; crash < 6; crash += 1) {
    await until(async () => (await readyWorkers(of)).length === 2);
    const [victim] = await readyWorkers(of);
    signal(victim, 'SIGKILL');
    await until(async () => (await readyWorkers(of)).every(({ pid }) => pid !== victim?.pid));
  }
  expect(await readyz()).toBe(503);
  const end = startLoad(of, 1);
  await sleep(1000);
  const { statuses } = await end();
  expect(Object.keys(statuses)).toEqual(['200']);
}, 120_000);

test('connections spread over the workers, and a reload reaches all or none (OP-05)', async () => {
  const of = await open({ concurrency: 6 });
  const end = startLoad(of, 8);
  await sleep(1000);
  const counts = (await checkWorkers(of)).map(({ connections }) => connections ?? 0);
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);

  const hash = async () => (await of.admin('GET', 'status'))['configHash'];
  const before = await hash();
  const [stopped] = await checkWorkers(of);
  signal(stopped, 'SIGSTOP');
  const refused = of.reconfigure((config) => {
    config.routes['api'] = { ...config.routes['api'], realm: 'other' };
  });
  try {
    await expect(refused).rejects.toThrow(/silent/);
  } finally {
    signal(stopped, 'SIGCONT'); // Stopped it would outlive this test.
  }
  expect(await hash()).toBe(before);

  await of.reconfigure((config) => {
    config.routes['api'] = { ...config.routes['api'], realm: 'another' };
  });
  expect(await hash()).not.toBe(before);
  const { passedTwice } = await end();
  expect(passedTwice).toBe(0);
  for (let time = 0; time < 12; time += 1) {
    const { headers } = await fetch(`${of.url}/a`, { headers: { connection: 'close' } });
    expect(headers.get('www-authenticate')).toContain('another');
  }
}, 120_000);

const DRAINS = isLong ? 20 : 1;

test(`${DRAINS} ends of a whole service under load, another beside it: no request fails (OP-08)`, async () => {
  const of = await open({
    services: 2,
    concurrency: 2,
    change: (config) => void (config['process'] = { model: 'multi', checkWorkers: 2, drainDelay: '2s' }),
    changeEnvoy(config) {
      const interval = '0.1s';
      cluster(config, 'countersign').health_checks = [
        {
          timeout: '5s',
          interval,
          no_traffic_interval: interval,
          unhealthy_interval: interval,
          unhealthy_threshold: 8, // A machine that runs all of this at once lets event loops wait.
          healthy_threshold: 1,
          grpc_health_check: { service_name: 'envoy.service.auth.v3.Authorization' },
        },
      ];
    },
  });
  const [, second] = of.services;
  const end = startLoad(of);
  for (let round = 0; round < DRAINS; round += 1) {
    await second?.end('SIGTERM');
    await second?.start();
  }
  const { statuses, passedTwice } = await end();
  expect({ statuses: Object.keys(statuses), passedTwice }).toEqual({ statuses: ['200'], passedTwice: 0 });
}, 600_000);

test('admin calls reach the process that has the keys, and each worker sees what they changed', async () => {
  const of = await open();
  await of.admin('PUT', 'users', { subject: 'bob', attributes: { role: 'none' } });
  const looked = await of.admin('POST', 'users/lookup', { subject: 'bob' });
  expect(looked).toMatchObject({ subject: 'bob' });
  await expect(of.admin('POST', 'users/lookup', { subject: 7 })).rejects.toThrow('400');
  const log = await of.log();
  expect(log).toMatch(/"event":"audit".*"role":"issuer".*users/);
  const metrics = await of.metrics();
  expect(metrics).toContain('countersign_workers{state="ready"} 2');
}, 60_000);

test('a log level that was set for a while is that of workers which start later too', async () => {
  const of = await open();
  await of.admin('PUT', 'log-level', { level: 'debug', ttl: '1h' });
  const before = (await checkWorkers(of)).map(({ pid }) => pid);
  await of.admin('POST', 'workers/replace', {});
  await until(async () => {
    const now = await status(of);
    return now.length === 4 && now.every(({ pid, state }) => state === 'ready' && !before.includes(pid));
  });
  await fetch(`${of.url}/only-told-at-debug`);
  await until(async () => (await of.log()).includes('"event":"decision"'));
  expect(await of.log()).toContain('/only-told-at-debug');
}, 60_000);
