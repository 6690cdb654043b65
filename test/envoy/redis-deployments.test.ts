/**
 * Redis as people run it, from the configuration file to the client behind Envoy: what is spent stays spent when a primary dies, and
 * service comes back by itself. The stores alone are asked the same with more traffic in test/faults.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { runTool } from '../../scripts/tool.ts';
import { CLUSTER_ACL, SERVER_ACL } from '../support/acl.ts';
import { createAuthority } from '../support/certificates.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { SENTINEL_NAME, startRedisWithSentinels } from '../support/redis-sentinels.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startTlsFront } from '../support/tls-front.ts';
import { http1, type RawAnswer } from './wire.ts';
import { openWorld, verdictOf, type World } from './world.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** Where its secrets lie. */
async function folder(files: Readonly<Record<string, string>>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'cs-redis-'));
  closers.push(() => rm(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text, { mode: 0o600 });
  return path;
}

async function openOn(redis: object): Promise<World> {
  const world = await openWorld({
    change(config) {
      config['store'] = { type: 'redis', redis };
      config['insecure'] = {};
      config['clock'] = { skew: '1s' };
    },
  });
  closers.push(() => world.stop());
  await until(world, 200, () => fresh(world));
  return world;
}

/** A replica that has just joined acknowledges once a second. */
const PATIENT = { replicas: 1, timeout: '5s' };

const TARGET = '/a';
const prove = (world: World) => world.prove({ method: 'GET', target: TARGET });
const send = (world: World, authorization: string) =>
  http1({ method: 'GET', target: TARGET, to: world.to, headers: [['authorization', authorization]] });
const fresh = async (world: World) => send(world, await prove(world));

/** Again and again until it is answered so; on the way only 401 and 503 may be. */
async function until(world: World, wanted: number, attempt: () => Promise<RawAnswer>): Promise<void> {
  for (let count = 0; count < 300; count += 1) {
    const { status } = await attempt();
    if (status === wanted) return;
    expect([401, 503]).toContain(status);
    await sleep(100);
  }
  throw new Error(`no ${wanted} within thirty seconds: ${(await world.log()).slice(-500)}`);
}

/** Spends some, takes the primary away, and presents them again before, while and after another one takes its place. */
async function survives(
  world: World,
  { disaster, isOver }: { disaster: () => Promise<unknown>; isOver: () => Promise<boolean> },
): Promise<void> {
  const spent = await Promise.all(Array.from({ length: 12 }, () => prove(world)));
  for (const proof of spent) expect((await send(world, proof)).status).toBe(200);
  const again = async () => {
    for (const { status } of await Promise.all(spent.map((proof) => send(world, proof))))
      expect([401, 503]).toContain(status);
  };
  await again();
  await disaster();
  for (let count = 0; count < 300 && !(await isOver()); count += 1) {
    await again();
    await sleep(100);
  }
  expect(await isOver()).toBe(true);
  // Several, since a Cluster keeps its lanes on several primaries.
  for (let count = 0; count < 12; count += 1) await until(world, 200, () => fresh(world));
  await again();
  expect(verdictOf(await send(world, spent[0] ?? ''))).toMatch(/^401 (replayed|stale)$/);
}

async function isPrimary({ admin }: TestRedis): Promise<boolean> {
  // A promotion closes the connections of all clients.
  if (admin.status === 'end') await admin.connect();
  return (await admin.info('replication').catch(() => '')).includes('role:master');
}

const allow = (redis: TestRedis, acl: readonly string[], password: string) =>
  redis.admin.call('ACL', 'SETUSER', 'countersign', 'on', 'resetpass', `>${password}`, ...acl);

test('one server behind TLS, as a user with the documented ACL: a proof passes once, and a new password is picked up', async () => {
  const redis = await startRedis();
  closers.push(() => redis.stop());
  await allow(redis, SERVER_ACL, 'first');
  await redis.admin.call('ACL', 'SETUSER', 'default', 'resetpass', '>administrator');
  const authority = createAuthority('ca');
  const front = await startTlsFront({ port: redis.port, certificate: authority.issue({ dns: ['localhost'] }) });
  closers.push(() => front.stop());
  const files = await folder({ 'ca.crt': authority.certificate, user: 'countersign', password: 'first\n' });
  const world = await openOn({
    urls: [front.url],
    tls: { caFile: join(files, 'ca.crt') },
    usernameFile: join(files, 'user'),
    passwordFile: join(files, 'password'),
  });
  const proof = await prove(world);
  expect((await send(world, proof)).status).toBe(200);
  expect(verdictOf(await send(world, proof))).toBe('401 replayed');

  await writeFile(join(files, 'password'), 'second\n', { mode: 0o600 });
  await allow(redis, SERVER_ACL, 'second');
  front.cut();
  await until(world, 200, () => fresh(world));
  expect(verdictOf(await send(world, proof))).toBe('401 replayed');
}, 120_000);

test('a wrong password is found before the start, and the message does not hold it', async () => {
  const redis = await startRedis();
  closers.push(() => redis.stop());
  await allow(redis, SERVER_ACL, 'right');
  const files = await folder({ user: 'countersign', password: 'wrong-password' });
  const config = {
    version: 1,
    store: {
      type: 'redis',
      redis: { urls: [redis.url], usernameFile: join(files, 'user'), passwordFile: join(files, 'password') },
    },
    schemes: { 'challenge-signature': {} },
    routes: { api: { schemes: ['challenge-signature'], publicOrigins: ['https://api.example.com'] } },
  };
  await writeFile(join(files, 'config.yaml'), stringify(config));
  const args = ['src/cli.ts', 'validate', '--against-store', '--config', join(files, 'config.yaml')];
  const { ok, output } = await runTool('node', args);
  expect([ok, output]).toEqual([false, expect.stringContaining('store: the self-test did not pass: unsafe (auth)')]);
  expect(output).not.toContain('wrong-password');
}, 60_000);

test('Sentinels promote another primary: nothing passes twice, and service returns without a restart', async () => {
  const redis = await startRedisWithSentinels();
  closers.push(() => redis.stop());
  for (const server of [redis.primary, redis.replica]) await allow(server, SERVER_ACL, 'secret');
  const files = await folder({ user: 'countersign', password: 'secret' });
  const world = await openOn({
    mode: 'sentinel',
    durable: PATIENT,
    urls: redis.urls,
    sentinelName: SENTINEL_NAME,
    usernameFile: join(files, 'user'),
    passwordFile: join(files, 'password'),
    sentinelUsernameFile: join(files, 'user'),
    sentinelPasswordFile: join(files, 'password'),
  });
  await survives(world, { disaster: () => redis.primary.kill(), isOver: () => isPrimary(redis.replica) });
}, 120_000);

test('a Cluster promotes a replica: nothing passes twice, and service returns without a restart', async () => {
  const cluster = await startRedisCluster({ withReplicas: true });
  closers.push(() => cluster.stop());
  for (const node of [...cluster.nodes, ...cluster.replicas])
    await allow(node, [...SERVER_ACL, ...CLUSTER_ACL], 'secret');
  const files = await folder({ user: 'countersign', password: 'secret' });
  const world = await openOn({
    mode: 'cluster',
    durable: PATIENT,
    urls: cluster.urls,
    usernameFile: join(files, 'user'),
    passwordFile: join(files, 'password'),
  });
  const [primary, replica] = [cluster.nodes[0], cluster.replicas[0]];
  if (primary === undefined || replica === undefined) throw new Error('no Cluster');
  await survives(world, { disaster: () => primary.kill(), isOver: () => isPrimary(replica) });
}, 120_000);
