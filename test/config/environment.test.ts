import { describe, expect, test } from '@jest/globals';
import { BASE, load, refusals } from './config-under-test.ts';

const REDIS = BASE.replace('{type: memory}', '{type: redis, redis: {urls: ["redis://127.0.0.1:1"]}}');

describe('environment', () => {
  test.each([
    ['COUNTERSIGN__LOG__LEVEL', 'debug', (c: ReturnType<typeof load>['config']) => c.log.level, 'debug'],
    ['COUNTERSIGN__PROCESS__MAX_IN_FLIGHT', '7', (c: ReturnType<typeof load>['config']) => c.process.maxInFlight, 7],
    [
      'COUNTERSIGN__ENVOY__MAX_REQUEST_BYTES',
      '2048',
      (c: ReturnType<typeof load>['config']) => c.envoy.maxRequestBytes,
      2048,
    ],
    [
      'COUNTERSIGN__ENVOY__MAX_REQUEST_BYTES',
      '2KiB',
      (c: ReturnType<typeof load>['config']) => c.envoy.maxRequestBytes,
      2048,
    ],
    [
      'COUNTERSIGN__LISTENERS__CHECK__SOCKET_MODE',
      '0600',
      (c: ReturnType<typeof load>['config']) => c.listeners.check.socketMode,
      '0600',
    ],
    [
      'COUNTERSIGN__READINESS__REQUIRE_STORE',
      'true',
      (c: ReturnType<typeof load>['config']) => c.readiness.requireStore,
      true,
    ],
    [
      'COUNTERSIGN__RATE_LIMIT__PER_SOURCE__RATE',
      '1/s',
      (c: ReturnType<typeof load>['config']) => c.rateLimit.perSource.periodMs,
      1000,
    ],
    [
      'COUNTERSIGN__KEYS__RING_FILE',
      '/run/ring',
      (c: ReturnType<typeof load>['config']) => c.keys.ringFile,
      '/run/ring',
    ],
    ['COUNTERSIGN__VERSION', '1', (c: ReturnType<typeof load>['config']) => c.version, 1],
  ])('%s=%s', (name, value, read, expected) => {
    const text = name.includes('RATE_LIMIT') ? `${BASE}rateLimit: {perSource: {rate: 9/s, burst: 9}}\n` : BASE;
    expect(read(load(text, { env: { [name]: value } }).config)).toBe(expected);
  });

  test('a secret file of the store, by the long name and by the short one, which is weaker', () => {
    const long = { COUNTERSIGN__STORE__REDIS__PASSWORD_FILE: '/run/secrets/redis' };
    const short = { REDIS_PASSWORD_FILE: '/run/secrets/other', REDIS_URL: 'redis://127.0.0.1:2' };
    expect(load(REDIS, { env: long }).config.store).toMatchObject({ redis: { passwordFile: '/run/secrets/redis' } });
    expect(load(REDIS, { env: short }).config.store).toMatchObject({
      redis: { passwordFile: '/run/secrets/other', urls: ['redis://127.0.0.1:2'] },
    });
    expect(load(REDIS, { env: { ...short, ...long } }).config.store).toMatchObject({
      redis: { passwordFile: '/run/secrets/redis' },
    });
  });

  test.each([
    ['COUNTERSIGN__LOG__LEVL', 'did you mean "COUNTERSIGN__LOG__LEVEL"?'],
    ['COUNTERSIGN__NOTHING', 'unknown setting'],
    ['COUNTERSIGN__', 'unknown setting'],
    ['COUNTERSIGN__log__level', 'unknown setting'],
    ['COUNTERSIGN__LOG', 'log is a map; name one of its settings'],
    ['COUNTERSIGN__LOG__LEVEL__X', 'log.level has nothing below it'],
    ['COUNTERSIGN__ROUTES__API__BODY', 'routes has names of your own below it'],
    ['COUNTERSIGN__SCHEMES__CHALLENGE_SIGNATURE__LIFETIME', 'schemes has names of your own below it'],
    ['COUNTERSIGN__ISSUER__AUDIENCES', 'issuer.audiences is a list'],
    ['COUNTERSIGN____PROTO__', 'unknown setting'],
  ])('refuses %s by its name', (name, message) => {
    const found = refusals(BASE, { env: { [name]: 'x' } });
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`${name}: unknown setting`);
    expect(found[0]).toContain(message);
  });

  test.each(['COUNTERSIGN__LOG__LEVEL', 'LOG_LEVEL'])('refuses a blank %s, which is not the same as none', (name) => {
    expect(refusals(BASE, { env: { [name]: '' } })).toEqual([`${name} log.level: expected a value, got nothing`]);
  });

  test.each([
    [
      'COUNTERSIGN__PROCESS__MAX_IN_FLIGHT',
      'many',
      'process.maxInFlight: expected an integer from 1 to 10000, got "many"',
    ],
    ['COUNTERSIGN__PROCESS__MAX_IN_FLIGHT', '0', 'process.maxInFlight: expected an integer from 1 to 10000, got 0'],
    ['COUNTERSIGN__READINESS__REQUIRE_STORE', 'yes', 'readiness.requireStore: expected true or false, got "yes"'],
    ['LOG_LEVEL', 'loud', 'log.level: expected "error", "warn", "info" or "debug", got "loud"'],
  ])('an error from %s=%s names the variable', (name, value, message) => {
    expect(refusals(BASE, { env: { [name]: value } })).toEqual([`${name} ${message}`]);
  });

  test.each([
    'COUNTERSIGN_SERVICE_HOST',
    'COUNTERSIGN_SERVICE_PORT_CHECK',
    'COUNTERSIGN_PORT',
    'COUNTERSIGN_PORT_9001_TCP_ADDR',
    'COUNTERSIGN_LOG_LEVEL',
    'NODE_OPTIONS',
  ])('%s means nothing', (name) => {
    expect(load(BASE, { env: { [name]: 'tcp://10.0.0.1:9001' } }).hash).toBe(load(BASE).hash);
  });
});

describe('--set', () => {
  test('is stronger than the environment and sets what has names of its own, and lists', () => {
    const { config } = load(BASE, {
      env: { COUNTERSIGN__LOG__LEVEL: 'warn' },
      set: ['log.level=debug', 'routes.api.body=none', 'routes.api.publicOrigins=["https://b.example"]'],
    });
    expect(config.log.level).toBe('debug');
    expect(config.routes['api']).toMatchObject({ body: 'none', publicOrigins: ['https://b.example'] });
  });

  test.each([
    ['log.level', '--set: expected path=value'],
    ['=x', '--set: expected path=value'],
    ['a..b=1', '--set: expected path=value'],
    ['__proto__.x=1', '--set: expected path=value'],
    ['log.constructor=1', '--set: expected path=value'],
    ['log.level=', '--set log.level log.level: expected a value, got nothing'],
    ['log.levl=info', 'log.levl: unknown key, did you mean "level"?'],
    ['version.x=1', 'version.x: unknown setting: what stands above it has no settings below'],
    ['issuer.audiences.x=1', 'unknown setting: what stands above it has no settings below'],
    ['issuer.audiences=[', 'expected a value in YAML'],
    ['issuer.audiences=[!x a]', 'expected a value in YAML'],
    [
      'process.maxInFlight=0',
      '--set process.maxInFlight process.maxInFlight: expected an integer from 1 to 10000, got 0',
    ],
  ])('%s is refused', (assignment, message) => {
    expect(refusals(BASE, { set: [assignment] })).toContainEqual(expect.stringContaining(message));
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });
});

test('the file is --config, else COUNTERSIGN_CONFIG, else the one in /etc', () => {
  const message = (options: Parameters<typeof refusals>[1]) =>
    refusals('', { text: undefined, ...options } as never)[0];
  const env = { COUNTERSIGN_CONFIG: '/nowhere/env.yaml' };
  expect(message({ file: '/nowhere/option.yaml', env })).toBe(
    '/nowhere/option.yaml: expected a readable file (ENOENT)',
  );
  expect(message({ file: undefined, env } as never)).toBe('/nowhere/env.yaml: expected a readable file (ENOENT)');
  expect(message({ file: undefined } as never)).toMatch(/^\/etc\/countersign\/config\.yaml: /);
});
