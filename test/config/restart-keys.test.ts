import { describe, expect, test } from '@jest/globals';
import { changedKeys, restartRequired } from '../../src/config/restart-keys.ts';
import { BASE, load, nested } from './config-under-test.ts';

const REDIS = BASE.replace('{type: memory}', '{type: redis, redis: {urls: ["rediss://a:1"]}}');
const TLS = '{certFile: /c, keyFile: /k, clientCaFile: /a, allowedSans: [proxy]}';

describe('a change that needs a restart is named', () => {
  test.each([
    ['listeners.check.address', '"127.0.0.1:1"'],
    ['listeners.check.socketMode', '"0600"'],
    ['listeners.check.maxConcurrentStreams', '1'],
    ['listeners.check.maxConnectionAge', '5m'],
    ['listeners.check.meshTls', 'true'],
    ['listeners.check.tls', TLS],
    ['listeners.issuer.enabled', 'false'],
    ['listeners.issuer.address', '"127.0.0.1:1"'],
    ['listeners.issuer.pathPrefix', '/other'],
    ['listeners.issuer.tls', '{certFile: /c, keyFile: /k}'],
    ['listeners.issuer.headersTimeout', '1s'],
    ['listeners.issuer.requestTimeout', '1s'],
    ['listeners.issuer.keepAliveTimeout', '1s'],
    ['listeners.issuer.maxConnections', '1'],
    ['listeners.admin.address', '"127.0.0.1:1"'],
    ['process.opaqueWorkers', '2'],
    ['process.verify', 'threadpool'],
    ['insecure.freshMemoryStore', 'true'],
  ])('%s', (path, value) => {
    expect(restartRequired(load(BASE).config, load(`${BASE}${nested(path.split('.'), value)}`).config)).toEqual([path]);
  });

  test('whatever of the store and the clock', () => {
    const before = load(REDIS).config;
    expect(restartRequired(before, load(REDIS.replace('a:1', 'b:1')).config)).toEqual(['store.redis.urls']);
    expect(restartRequired(before, load(BASE).config)).toEqual(
      expect.arrayContaining(['store.type', 'store.redis', 'store.memory']),
    );
    expect(restartRequired(before, load(`${REDIS}clock: {skew: 6s}\n`).config)).toEqual([
      'clock.skew',
      'clock.maxStoreOffset',
    ]);
  });

  test('a client taken off the list, since the listener would go on letting it in', () => {
    const at = (sans: string) => load(`${BASE}listeners: {check: {tls: ${TLS.replace('[proxy]', sans)}}}\n`).config;
    expect(restartRequired(at('[proxy, old]'), at('[proxy]'))).toEqual(['listeners.check.tls.allowedSans']);
  });

  test('another password in the file, without showing it', () => {
    const at = (password: string) =>
      load(`${REDIS.replace('urls:', `password: ${password}, urls:`)}insecure: {inlineSecrets: true}\n`).config;
    expect(restartRequired(at('hunter2'), at('hunter3'))).toEqual(['store.redis.password']);
    expect(restartRequired(at('hunter2'), at('hunter2'))).toEqual([]);
  });
});

describe('a change that a reload can make', () => {
  test.each([
    ['log.level', 'debug'],
    ['envoy.checkBudget', '100ms'],
    ['process.drainTimeout', '1s'],
    ['process.maxInFlight', '1'],
    ['rateLimit.perSource', '{rate: 1/s, burst: 1}'],
    ['listeners.issuer.bodyBytes', '1KiB'],
    ['listeners.issuer.trustedHops', '1'],
    ['listeners.admin.tokenFile', '/token'],
    ['keys.ringFile', '/ring'],
    ['routes.other', '{schemes: [challenge-signature], publicOrigins: ["https://b.example"]}'],
  ])('%s', (path, value) => {
    const before = load(BASE).config;
    const text = path.startsWith('routes.')
      ? `${BASE}  ${path.slice(7)}: ${value}\n`
      : `${BASE}${nested(path.split('.'), value)}`;
    const after = load(text).config;
    expect(changedKeys(before, after).every((key) => key.startsWith(path))).toBe(true);
    expect(changedKeys(before, after)).not.toEqual([]);
    expect(restartRequired(before, after)).toEqual([]);
  });

  test('another way of writing is no change', () => {
    expect(changedKeys(load(BASE).config, load(`${BASE}clock: {skew: 5000ms}\nlog: {}\n`).config)).toEqual([]);
  });
});
