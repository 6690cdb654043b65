/**
 * A primary dies or hangs while values are claimed through it; afterwards every value is presented once more. Two allows of one value
 * are what must never happen: not one in all that was acknowledged (SF-10, SF-12). Without fence or horizon they do happen, and are found
 * (SF-11).
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Store } from '../../src/core/store.ts';
import { replay, traffic, type Claims } from '../support/claim-history.ts';
import { isLong } from '../support/long.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { SENTINEL_NAME, startRedisWithSentinels } from '../support/redis-sentinels.ts';
import { redisStoreOn, type StoreOverrides, until, untilServing } from '../support/redis-store.ts';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function openAll(settings: StoreOverrides['settings']): Promise<Store[]> {
  const stores = [1, 2, 3].map(() =>
    redisStoreOn('', { settings: { commandTimeout: 50, socketTimeout: 500, ...settings } }),
  );
  closers.push(() => Promise.all(stores.map((store) => store.close())));
  for (const store of stores) await untilServing(store);
  await until('the first horizon is reached', () => stores.every((store) => store.state() === 'ok'));
  return stores;
}

test.each(['kill', 'stop'] as const)(
  'Sentinels promote after a %s: nothing is allowed twice, and service returns (SF-10)',
  async (how) => {
    const redis = await startRedisWithSentinels();
    closers.push(() => redis.stop());
    const stores = await openAll({ mode: 'sentinel', urls: redis.urls, sentinelName: SENTINEL_NAME });
    const running = traffic(stores);
    await until('there is traffic', () => running.allowed.length > (isLong ? 20_000 : 500), 60_000);
    if (how === 'kill') await redis.primary.kill();
    else redis.primary.signal('SIGSTOP');
    const before = running.allowed.length;
    await until('the promoted one serves', () => running.allowed.length > before + 300, 20_000);
    const spent = [...running.allowed];
    // While the traffic goes on, so that the replays meet judgements under way.
    expect(await replay(stores, spent)).toBe(0);
    await running.stop();
    expect(await replay(stores, running.allowed)).toBe(0);
    redis.primary.signal('SIGCONT');
  },
  90_000,
);

test('a primary of a Cluster restarts empty: nothing is allowed twice, the other lanes go on meanwhile (SF-10)', async () => {
  const cluster = await startRedisCluster();
  closers.push(() => cluster.stop());
  const stores = await openAll({ mode: 'cluster', urls: cluster.urls, durable: { replicas: 0, timeout: 200 } });
  const running = traffic(stores);
  await until('there is traffic', () => running.allowed.length > 500, 60_000);
  await cluster.nodes[0]?.restart();
  const before = running.allowed.length;
  await until('all lanes are served', () => running.allowed.length > before + 500, 30_000);
  expect(await replay(stores, [...running.allowed])).toBe(0);
  await running.stop();
}, 90_000);

test('a slot moves to another primary: its lane is followed within seconds, and nothing is allowed twice (SF-12)', async () => {
  const cluster = await startRedisCluster();
  closers.push(() => cluster.stop());
  const stores = await openAll({
    mode: 'cluster',
    urls: cluster.urls,
    lanes: 1,
    durable: { replicas: 0, timeout: 200 },
  });
  const running = traffic(stores);
  await until('there is traffic', () => running.allowed.length > 300, 60_000);
  const [first] = cluster.nodes;
  const slot = Number(await first?.admin.call('CLUSTER', 'KEYSLOT', 'cs:{0}:m'));
  const owner = cluster.nodes[slot <= 5_460 ? 0 : slot <= 10_922 ? 1 : 2];
  const target = cluster.nodes.find((node) => node !== owner);
  const targetId = String(await target?.admin.call('CLUSTER', 'MYID'));
  await running.stop();
  // Without its records, as after a botched migration; once more when a pulse has written meanwhile.
  for (let isMoved = false; !isMoved;) {
    await owner?.admin.flushall();
    isMoved = await (owner?.admin.call('CLUSTER', 'SETSLOT', String(slot), 'NODE', targetId) ?? Promise.reject()).then(
      () => true,
      () => false,
    );
  }
  for (const node of cluster.nodes) await node.admin.call('CLUSTER', 'SETSLOT', String(slot), 'NODE', targetId);
  const after = traffic(stores);
  await until('the lane is served again', () => after.allowed.length > 300, 15_000);
  expect(await replay(stores, [...running.allowed, ...after.allowed])).toBe(0);
  await after.stop();
}, 90_000);

describe('a server restarts empty', () => {
  const variants: Record<string, (store: Store, redis: TestRedis) => Claims> = {
    'with both': (store) => store,
    'without the horizon': ({ claim }) => ({ claim, horizonMs: () => 0 }),
    // What was spent is remembered by the record alone, and the horizon is what it was at the start.
    'without the fence'(store, { admin }) {
      const horizonMs = store.horizonMs();
      return {
        horizonMs: () => horizonMs,
        async claim(key, owner, expiresAtMs) {
          const had = await admin
            .set(`cs:bare:${key.text}`, owner, 'PXAT', expiresAtMs, 'NX', 'GET')
            .catch(() => 'fault');
          return had === null ? 'claimed' : had === owner ? 'mine' : 'taken';
        },
      };
    },
  };

  test.each([
    ['with both', 'finds no double allow'],
    ['without the horizon', 'finds double allows: it sees what it looks for'],
    ['without the fence', 'finds double allows: it sees what it looks for'],
  ])('%s the history %s (SF-11)', async (what) => {
    const redis = await startRedis();
    closers.push(() => redis.stop());
    const store = redisStoreOn(redis.url);
    closers.push(() => store.close());
    await until('it serves', () => store.state() === 'ok');
    const claims = variants[what]?.(store, redis) ?? store;
    const running = traffic([claims]);
    await until('there is traffic', () => running.allowed.length > 300, 60_000);
    await running.stop();
    await redis.restart();
    await until('it serves again', () => store.state() === 'ok');
    const doubles = await replay([claims], running.allowed);
    if (what === 'with both') expect(doubles).toBe(0);
    else expect(doubles).toBeGreaterThan(100);
  });
});
