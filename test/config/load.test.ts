import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { ConfigError } from '../../src/config/config-error.ts';
import { loadConfig, type Loaded } from '../../src/config/load.ts';
import { schemes } from '../../src/schemes/index.ts';

const BASE = `version: 1
store: {type: memory}
schemes: {challenge-signature: {}}
routes:
  api:
    schemes: [challenge-signature]
    publicOrigins: ["https://api.example.com"]
`;

function load(text: string, options: { env?: Record<string, string>; set?: string[] } = {}): Loaded {
  return loadConfig({ text, file: 'config.yaml', env: options.env ?? {}, set: options.set ?? [], schemes });
}

/** All messages, one a line. */
function errorsOf(text: string, options: Parameters<typeof load>[1] = {}): string {
  try {
    load(text, options);
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.message;
    throw thrown;
  }
  return '';
}

test('takes the smallest useful file and fills in every default', () => {
  const { config, warnings } = load(BASE);
  expect(config.envoy).toMatchObject({
    tier: 'A',
    maxRequestBytes: 1_048_576,
    checkBudget: 150,
    identityPrefix: 'x-auth-',
  });
  expect(config.clock).toEqual({ skew: 5000, maxStoreOffset: 5000 });
  expect(config.rateLimit.perSource).toEqual({ periodMs: 20, burst: 200 });
  expect(config.process).toMatchObject({ drainDelay: 0, drainTimeout: 8000, maxInFlight: 512 });
  expect(config.routes['api']).toMatchObject({
    body: 'required',
    tenant: 'default',
    realm: 'countersign',
    refusePathParameters: true,
  });
  expect(Object.isFrozen(config.routes['api'])).toBe(true);
  expect(warnings).toEqual(['issuer.audiences is empty: key enrolment refuses everyone']);
});

test('a configuration has one hash, however it is written', () => {
  const other =
    BASE.replace('store: {type: memory}\n', '') + '# a comment\nstore:\n  type: "memory"\nclock: {skew: 5000ms}\n';
  expect(load(other).hash).not.toBe('');
  expect(load(`# a comment\n${BASE}`).hash).toBe(load(BASE).hash);
  expect(load(`${BASE}clock: {skew: 6s}\n`).hash).not.toBe(load(BASE).hash);
});

describe('a mistake is named with line, path, what was expected and what was found', () => {
  test.each([
    [
      'a bare number for a duration',
      `${BASE}clock: {skew: 30}\n`,
      'config.yaml:8 clock.skew: expected a duration from 1s to 30s, got 30 (a bare number has no unit)',
    ],
    [
      'a duration out of bounds',
      `${BASE}clock: {skew: 31s}\n`,
      'config.yaml:8 clock.skew: expected a duration from 1s to 30s, got "31s"',
    ],
    [
      'an unknown key',
      BASE.replace('schemes: [', 'sceme: ['),
      'config.yaml:6 routes.api.sceme: unknown key, did you mean "schemes"?',
    ],
    [
      'an unknown key at the top',
      `${BASE}listener: {}\n`,
      'config.yaml:8 listener: unknown key, did you mean "listeners"?',
    ],
    [
      'an unknown scheme',
      BASE.replace('{challenge-signature: {}}', '{chalenge-signature: {}}'),
      'schemes.chalenge-signature: unknown scheme, did you mean "challenge-signature"?',
    ],
    [
      'an unknown setting of a scheme',
      BASE.replace('challenge-signature: {}', 'challenge-signature: {lifetme: 30s}'),
      'config.yaml:3 schemes.challenge-signature.lifetme: unknown key, did you mean "lifetime"?',
    ],
    ['a blank value', `${BASE}clock:\n`, 'config.yaml:8 clock: expected a value, got nothing'],
    ['another version', BASE.replace('version: 1', 'version: 2'), 'config.yaml:1 version: expected 1, got 2'],
    ['no store', BASE.replace('store: {type: memory}\n', ''), 'store: expected'],
    [
      'a store that is none',
      BASE.replace('memory', 'mem'),
      'config.yaml:2 store.type: expected "redis" or "memory", got "mem"',
    ],
    ['a route without schemes', BASE.replace('[challenge-signature]', '[]'), 'routes.api.schemes: expected'],
    [
      'a scheme that is not listed',
      BASE.replace('[challenge-signature]', '[opaque-pop]'),
      'routes.api.schemes[0]: expected a scheme listed under schemes, got "opaque-pop"',
    ],
    [
      'no origins',
      BASE.replace('    publicOrigins: ["https://api.example.com"]\n', ''),
      'routes.api.publicOrigins: expected a list of origins, got nothing, and it is required',
    ],
    [
      'an origin with a default port',
      BASE.replace('api.example.com"', 'api.example.com:443"'),
      'routes.api.publicOrigins[0]: expected an origin',
    ],
    [
      'http off loopback',
      BASE.replace('https://api', 'http://api'),
      'routes.api.publicOrigins[0]: expected an https origin (http only on loopback)',
    ],
    [
      'a setting that a route may not have',
      `${BASE}    settings: {challenge-signature: {lifetime: 10s}}\n`,
      'routes.api.settings.challenge-signature.lifetime: unknown key',
    ],
    [
      'a ring that is missing',
      BASE.replace('challenge-signature: {}', 'challenge-signature: {challenges: stateless}'),
      'keys.ringFile: expected a path: challenge-signature needs keys (challenge-mac)',
    ],
    [
      'plaintext off loopback',
      `${BASE}listeners: {check: {address: "0.0.0.0:9001"}}\n`,
      'listeners.check.address: expected a unix socket or loopback address',
    ],
    [
      'an admin API for everybody',
      `${BASE}listeners: {admin: {address: "0.0.0.0:9090", tokenFile: /t}}\n`,
      'listeners.admin.address: expected a loopback address',
    ],
    [
      'plaintext Redis off loopback',
      BASE.replace('{type: memory}', '{type: redis, redis: {urls: ["redis://redis:6379"]}}'),
      'store.redis.urls',
    ],
    [
      'two workers with the memory store',
      `${BASE}process: {checkWorkers: 2}\n`,
      'process.checkWorkers: expected 1 with store.type memory',
    ],
    [
      'several processes with a memory each',
      `${BASE}process: {model: multi}\n`,
      'process.model: expected "single" with store.type memory',
    ],
    ['shadow without its switch', `${BASE}    mode: shadow\n`, 'routes.api.mode: expected "enforce"'],
    [
      'an offset above the skew',
      `${BASE}clock: {skew: 2s, maxStoreOffset: 3s}\n`,
      'clock.maxStoreOffset: expected at most clock.skew',
    ],
    ['a default route that is none', `${BASE}defaultRoute: apo\n`, 'defaultRoute: expected'],
    [
      'one address twice',
      `${BASE}listeners: {issuer: {address: "127.0.0.1:9090"}}\n`,
      'listeners.admin.address: expected another address than listeners.issuer.address',
    ],
  ])('%s', (_, text, message) => {
    expect(errorsOf(text)).toContain(message);
  });

  test('all at once', () => {
    const text = `${BASE.replace('memory', 'mem')}clock: {skew: 30}\nlisteners: {bla: 1}\n`;
    expect(errorsOf(text).split('\n')).toHaveLength(3);
  });

  test('a secret given where its file belongs is not shown', () => {
    expect(errorsOf(`${BASE}listeners: {admin: {tokenFile: hunter2}}\n`)).toContain(
      'listeners.admin.tokenFile: expected',
    );
    expect(errorsOf(`${BASE}listeners: {admin: {tokenFile: hunter2}}\n`)).not.toContain('hunter2');
  });
});

describe('YAML that means two things, or more than it says, is refused', () => {
  test.each([
    ['a duplicate key', `${BASE}version: 1\n`],
    ['a merge key', `${BASE}clock: &a {skew: 5s}\nlog: {<<: *a}\n`],
    ['a custom tag', `${BASE}clock: !secret {skew: 5s}\n`],
    ['a second document', `${BASE}---\nversion: 1\n`],
    ['__proto__', `${BASE}__proto__: {a: 1}\n`],
    ['a scheme named __proto__', BASE.replace('challenge-signature: {}', '__proto__: {}')],
    ['a route named constructor', BASE.replace('  api:', '  constructor:')],
    [
      'an alias bomb',
      `a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c]\ne: [*d, *d, *d, *d, *d, *d]\n`,
    ],
    ['a list', '- version: 1\n'],
    ['nothing', ''],
    ['more than 1 MiB', `${BASE}# ${'x'.repeat(1024 * 1024)}\n`],
  ])('%s', (_, text) => {
    expect(errorsOf(text)).not.toBe('');
  });

  test('whatever the text, the loader answers or throws ConfigError', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.json(), mutated()), (text) => {
        errorsOf(text);
      }),
    );
  });
});

function mutated(): fc.Arbitrary<string> {
  return fc
    .tuple(fc.nat(BASE.length), fc.nat(8), fc.string({ maxLength: 12 }))
    .map(([at, cut, insert]) => BASE.slice(0, at) + insert + BASE.slice(at + cut));
}

describe('sources', () => {
  test('file, then environment, then --set', () => {
    const env = { COUNTERSIGN__CLOCK__SKEW: '4s' };
    expect(load(`${BASE}clock: {skew: 3s}\n`).config.clock.skew).toBe(3000);
    expect(load(`${BASE}clock: {skew: 3s}\n`, { env }).config.clock.skew).toBe(4000);
    expect(load(`${BASE}clock: {skew: 3s}\n`, { env, set: ['clock.skew=2s'] }).config.clock.skew).toBe(2000);
  });

  test('camelCase is written in upper snake case', () => {
    const { config } = load(BASE, {
      env: { COUNTERSIGN__ENVOY__MAX_REQUEST_BYTES: '2MiB', COUNTERSIGN__ENVOY__STRIP_CREDENTIALS: 'false' },
    });
    expect(config.envoy.maxRequestBytes).toBe(2 * 1024 * 1024);
    expect(config.routes['api']?.stripCredentials).toBe(false);
  });

  test('short names are weaker than long ones', () => {
    const env = { LOG_LEVEL: 'debug', COUNTERSIGN__LOG__LEVEL: 'warn' };
    expect(load(BASE, { env: { LOG_LEVEL: 'debug' } }).config.log.level).toBe('debug');
    expect(load(BASE, { env }).config.log.level).toBe('warn');
  });

  test('variables that Kubernetes makes for a Service of our name mean nothing', () => {
    const env = { COUNTERSIGN_SERVICE_HOST: '10.0.0.1', COUNTERSIGN_PORT_9001_TCP: 'tcp://10.0.0.1:9001' };
    expect(load(BASE, { env }).hash).toBe(load(BASE).hash);
  });

  test('an unknown variable is refused by its name, an unknown --set by its path', () => {
    expect(errorsOf(BASE, { env: { COUNTERSIGN__CLOCK__SKEV: '4s' } })).toContain('COUNTERSIGN__CLOCK__SKEV');
    expect(errorsOf(BASE, { set: ['clock.skev=4s'] })).toContain('clock.skev');
  });

  test('an error of the environment names the variable', () => {
    expect(errorsOf(BASE, { env: { COUNTERSIGN__CLOCK__SKEW: '4' } })).toContain('COUNTERSIGN__CLOCK__SKEW');
  });
});

test('standalone waits before it ends and leaves when the store is away; sidecars do neither', () => {
  const { config } = load(`deployment: standalone\n${BASE}`);
  expect(config.process.drainDelay).toBe(5000);
  expect(config.readiness.requireStore).toBe(true);
  expect(load(BASE).config.readiness.requireStore).toBe(false);
});

test('each waived protection is a warning', () => {
  const { warnings } = load(`${BASE}insecure: {anyOrigin: true, freshMemoryStore: true}\n`);
  expect(warnings.filter((line) => line.startsWith('insecure.'))).toHaveLength(2);
});

test("a route's settings are its scheme's with its own merged in", () => {
  const text = `${BASE.replace('challenge-signature: {}', 'challenge-signature: {challenges: stored, lifetime: 10s}')}    settings: {challenge-signature: {accept: [stored, stateless]}}\nkeys: {ringFile: /ring.json}\n`;
  const { config } = load(text);
  expect(config.routes['api']?.settings['challenge-signature']).toMatchObject({
    accept: ['stored', 'stateless'],
    lifetimeMs: 10_000,
  });
  expect(config.schemes['challenge-signature']).toMatchObject({ accept: ['stored'] });
});

test('what --print-effective shows loads again to the same configuration', async () => {
  const { formatEffective } = await import('../../src/config/effective.ts');
  const first = load(`${BASE}clock: {skew: 3s}\n`);
  expect(load(formatEffective(first.effective)).hash).toBe(first.hash);
});
