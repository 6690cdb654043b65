/** What `validate --against-store` asks of several servers; of a single one, its own test has more. */
import { expect, test } from '@jest/globals';
import { surveyRedis, type Finding } from '../../src/store/redis-survey.ts';
import type { RedisSettings } from '../../src/store/redis-settings.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { SENTINEL_NAME, startRedisWithSentinels } from '../support/redis-sentinels.ts';

const COMMON = {
  database: 0,
  keyPrefix: 'cs:',
  commandTimeout: 1000,
  socketTimeout: 2000,
  connectTimeout: 500,
  durable: { timeout: 200 },
} as const;

const survey = (settings: Pick<RedisSettings, 'mode' | 'urls' | 'sentinelName'>, timeoutMs = 5000) =>
  surveyRedis({ ...COMMON, ...settings }, () => '', timeoutMs);

const ofEach = (verdict: Finding['verdict'], found: string) => Array.from({ length: 3 }, () => [verdict, found]);

const verdictsOn = (findings: readonly Finding[], setting: string) =>
  findings.filter((one) => one.setting === setting).map(({ verdict, found }) => [verdict, found]);

test('of a Cluster each primary is asked, and how soon it promotes', async () => {
  const cluster = await startRedisCluster();
  const findings = await survey({ mode: 'cluster', urls: cluster.urls });
  await cluster.stop();
  expect(verdictsOn(findings, 'maxmemory-policy')).toEqual(ofEach('right', 'noeviction'));
  expect(verdictsOn(findings, 'cluster-node-timeout')).toEqual(ofEach('wrong', '2000'));
  expect(verdictsOn(findings, 'connected replicas')).toEqual(ofEach('wrong', '0'));
  expect(verdictsOn(findings, 'Sentinels')).toEqual([]);
});

test('behind Sentinels the primary is asked for what replication needs', async () => {
  const redis = await startRedisWithSentinels();
  const findings = await survey({ mode: 'sentinel', urls: redis.urls, sentinelName: SENTINEL_NAME });
  await redis.stop();
  expect(verdictsOn(findings, 'role')).toEqual([['right', 'master']]);
  expect(verdictsOn(findings, 'connected replicas')).toEqual([['right', '1']]);
  expect(verdictsOn(findings, 'min-replicas-to-write')).toEqual([['wrong', '0']]);
  expect(verdictsOn(findings, 'Sentinel down-after-milliseconds')).toEqual([['unknown', null]]);
  expect(verdictsOn(findings, 'cluster-node-timeout')).toEqual([]);
});

test('of a server that is not there nothing is told', async () => {
  expect(await survey({ mode: 'single', urls: ['redis://127.0.0.1:1'] }, 100)).toEqual([]);
});
