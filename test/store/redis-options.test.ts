import { expect, test } from '@jest/globals';
import { backoffMs, clusterOptions, freshOptions, redisOptions } from '../../src/store/redis-options.ts';
import { parseRedisUrl, type RedisSettings } from '../../src/store/redis-settings.ts';
import { Secret } from '../../src/core/secret.ts';

const SETTINGS: RedisSettings = {
  mode: 'single',
  urls: ['redis://127.0.0.1:6379'],
  database: 0,
  keyPrefix: 'cs:',
  commandTimeout: 50,
  socketTimeout: 500,
  connectTimeout: 500,
  durable: { timeout: 200 },
};

/** Without these a command of unknown fate is sent again, or waits for a connection it was not meant for. */
const NEVER_AGAIN = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableAutoPipelining: false,
  socketTimeout: 500,
  connectTimeout: 500,
  disconnectTimeout: 500,
  keepAlive: 5_000,
  noDelay: true,
};

test('nothing is queued without a connection and nothing is sent twice, whatever the topology', () => {
  expect(redisOptions(SETTINGS, 500)).toMatchObject(NEVER_AGAIN);
  expect(redisOptions({ ...SETTINGS, mode: 'sentinel', sentinelName: 'x' }, 500)).toMatchObject(NEVER_AGAIN);
  const cluster = clusterOptions({ ...SETTINGS, mode: 'cluster' }, 500);
  expect(cluster.redisOptions).toMatchObject(NEVER_AGAIN);
  expect(cluster).toMatchObject({
    enableOfflineQueue: false,
    retryDelayOnFailover: 0,
    maxRedirections: 3,
    scaleReads: 'master',
  });
});

test('waits between dials double from 50 to 1000 ms, each times 0.5 to 1', () => {
  for (let attempt = 0; attempt < 2_000; attempt += 1) {
    const longestMs = Math.min(50 * 2 ** attempt, 1_000);
    expect(backoffMs(attempt)).toBeGreaterThanOrEqual(longestMs / 2);
    expect(backoffMs(attempt)).toBeLessThanOrEqual(longestMs);
  }
});

test('secrets are read each time; an inline password needs no file; plaintext has no TLS', () => {
  let reads = 0;
  const read = () => `password ${(reads += 1)}`;
  const withFile = { ...SETTINGS, passwordFile: 'p' };
  expect(freshOptions(withFile, read).password).toBe('password 1');
  expect(freshOptions(withFile, read).password).toBe('password 2');
  expect(freshOptions({ ...SETTINGS, password: new Secret('inline') }, read)).toStrictEqual({
    username: null,
    password: 'inline',
  });
});

test('TLS is 1.2 at least, verified, and for the name of the host', () => {
  const fresh = freshOptions(
    { ...SETTINGS, urls: ['rediss://redis.example:6380'], tls: { caFile: 'ca' } },
    () => 'PEM',
  );
  expect(fresh.tls).toStrictEqual({
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    servername: 'redis.example',
    ca: 'PEM',
  });
});

test('an address is taken apart, and parts that would be ignored are refused', () => {
  expect(parseRedisUrl('redis://h', 6379)).toStrictEqual({ host: 'h', port: 6379, isTls: false });
  expect(parseRedisUrl('rediss://[::1]:7000', 6379)).toStrictEqual({ host: '::1', port: 7000, isTls: true });
  expect(parseRedisUrl('unix:///run/a%20b.sock', 6379)).toMatchObject({ path: '/run/a b.sock' });
  for (const url of [
    'http://h',
    'nonsense',
    'redis://u:p@h',
    'redis://:p@h',
    'redis://h/3',
    'redis://h?db=3',
    'redis://h#x',
  ]) {
    expect(() => parseRedisUrl(url, 6379)).toThrow('store.redis.urls');
    expect(() => parseRedisUrl(url, 6379)).not.toThrow(/:p@/);
  }
});
