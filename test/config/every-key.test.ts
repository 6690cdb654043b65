import { describe, expect, test } from '@jest/globals';
import { configSchema } from '../../src/config/schema.ts';
import { childOf, defaultOf, membersOf, scalarTypesOf, shapeOf, type Schema } from '../../src/config/schema-walk.ts';
import { BASE, load, nested, refusals } from './config-under-test.ts';

/** Value inside the bounds, one on each bound, and ones just outside, of every scalar that has bounds. */
const VALUES: Readonly<Record<string, { good: readonly string[]; bad: readonly string[] }>> = {
  deployment: { good: ['sidecar', 'standalone'], bad: ['cluster'] },
  'listeners.check.address': {
    good: ['"127.0.0.1:9001"', '"[::1]:1"', '"unix:/run/c.sock"', '"localhost:0"', '"127.9.9.9:65535"'],
    bad: [
      '"9001"',
      '"127.0.0.1:65536"',
      '"unix:relative"',
      '"1.2.3:80"',
      '"127.0.0.1:9001{worker}"',
      '"127.0.0.1:{slot}"',
      '"256.1.1.1:1"',
    ],
  },
  'listeners.check.socketMode': { good: ['"0660"', '"0600"'], bad: ['0660', '"660"', '"0999"', '"1777"'] },
  'listeners.check.maxConcurrentStreams': { good: ['1', '65535'], bad: ['0', '65536', '1.5', '.nan', '.inf', '"1"'] },
  'listeners.check.maxConnectionAge': { good: ['off', '5m', '10s', '24h'], bad: ['9s', '25h', 'false', 'on'] },
  'listeners.check.meshTls': { good: ['true', 'false'], bad: ['yes', '1'] },
  'listeners.issuer.enabled': { good: ['true', 'false'], bad: ['yes'] },
  'listeners.issuer.address': { good: ['"0.0.0.0:8080"'], bad: ['8080'] },
  'listeners.issuer.pathPrefix': {
    good: ['/auth', '/a/b-c'],
    bad: ['/', 'auth', '/auth/', '/Auth', '/../x', '/.well-known', '/a//b'],
  },
  'listeners.issuer.trustedHops': { good: ['0', '10'], bad: ['-1', '11'] },
  'listeners.issuer.bodyBytes': {
    good: ['1024', '1KiB', '1MiB', '1048576'],
    bad: ['1023', '2MiB', '64KB', '64 KiB', '"1024"'],
  },
  'listeners.issuer.headersTimeout': { good: ['100ms', '60s'], bad: ['99ms', '61s', '5'] },
  'listeners.issuer.requestTimeout': { good: ['100ms', '2m'], bad: ['99ms', '121s', '10'] },
  'listeners.issuer.keepAliveTimeout': { good: ['100ms', '120s'], bad: ['0s', '3m'] },
  'listeners.issuer.maxConnections': { good: ['1', '100000'], bad: ['0', '100001'] },
  'listeners.issuer.cors.origins': {
    good: ['[]', '["https://a.example"]'],
    bad: [
      '["*"]',
      '["https://*.example"]',
      '["https://a.example/"]',
      '"https://a.example"',
      '["https://a.example", "https://a.example"]',
    ],
  },
  'listeners.admin.address': { good: ['"127.0.0.1:9090"'], bad: ['":9090"'] },
  'listeners.admin.tokenFile': { good: ['/secrets/token'], bad: ['token', './token', '""'] },
  'tracing.enabled': { good: ['true', 'false'], bad: ['"yes"', '1'] },
  'tracing.sampleRatio': { good: ['0', '0.5', '1'], bad: ['-0.1', '1.1', '"1"', '.nan'] },
  'process.model': { good: ['single'], bad: ['double', '2'] },
  'process.checkWorkers': { good: ['1'], bad: ['0', '2', '65', 'all'] },
  'process.opaqueWorkers': { good: ['0', '1', '16'], bad: ['-1', '17', '1.5', 'auto'] },
  'process.verify': { good: ['sync', 'threadpool'], bad: ['async'] },
  'process.drainDelay': { good: ['0s', '60s'], bad: ['61s', '5'] },
  'process.drainTimeout': { good: ['100ms', '60s'], bad: ['99ms', '61s'] },
  'process.maxInFlight': { good: ['1', '10000'], bad: ['0', '10001'] },
  'process.shedDelay': { good: ['1ms', '10s'], bad: ['0ms', '11s', '20'] },
  'envoy.tier': { good: ['A', 'B'], bad: ['a', 'D'] },
  'envoy.maxRequestBytes': { good: ['1KiB', '16MiB'], bad: ['1023', '17MiB', '1M'] },
  'envoy.checkBudget': { good: ['20ms', '5s'], bad: ['19ms', '6s', '150'] },
  'envoy.identityPrefix': { good: ['x-auth-', 'x-a-'], bad: ['x-', 'x-auth', 'X-Auth-', 'auth-', 'x-a_b-'] },
  'envoy.stripCredentials': { good: ['false'], bad: ['no'] },
  'envoy.faultResponse': { good: ['denied', 'error'], bad: ['allow'] },
  'envoy.assumeBuffered': { good: ['true'], bad: ['yes'] },
  'envoy.textBody': { good: ['refuse'], bad: ['accept', 'accept-ascii'] },
  'envoy.trustedHops': { good: ['0', '10'], bad: ['11', '-1'] },
  'envoy.subjectMetadata': { good: ['true'], bad: ['1'] },
  'keys.ringFile': { good: ['/secrets/ring.json'], bad: ['ring.json'] },
  'keys.reloadInterval': { good: ['1s', '1h'], bad: ['999ms', '2h'] },
  'issuer.url': {
    good: ['"https://auth.example.com"', '"https://auth.example.com/tenant"', '"http://127.0.0.1:8080"'],
    bad: [
      '"http://auth.example.com"',
      '"https://auth.example.com/"',
      '"https://a.example?x"',
      '"https://u:p@a.example"',
      '"http://127.0.0.1.evil.example"',
    ],
  },
  'issuer.audiences': {
    good: ['[]', '["https://a.example"]'],
    bad: ['["http://a.example"]', '["https://A.example"]', '["https://a.example:443"]'],
  },
  'directory.file': { good: ['/users.json'], bad: ['users.json'] },
  'directory.cacheTtl': { good: ['0s', '60s'], bad: ['61s', '5'] },
  'directory.staleOnFault': { good: ['0s'], bad: ['1h', '61m'] },
  'directory.dummyAlg': { good: ['Ed25519', 'ES256'], bad: ['RS256'] },
  'store.type': { good: ['memory'], bad: ['redis', 'etcd'] },
  'store.memory.maxEntries': { good: ['1000', '10000000'], bad: ['999', '10000001'] },
  'clock.skew': { good: ['1s', '30s'], bad: ['999ms', '31s', '5'] },
  'clock.maxStoreOffset': { good: ['1ms', '5s'], bad: ['0ms', '5001ms'] },
  defaultRoute: { good: ['api'], bad: ['nowhere', '1'] },
  'rateLimit.perSource': {
    good: ['{rate: 50/s, burst: 200}', '{rate: 1/h, burst: 1}'],
    bad: [
      '{rate: 50, burst: 1}',
      '{rate: 0/s, burst: 1}',
      '{rate: 1/d, burst: 1}',
      '{rate: 1/s, burst: 0}',
      '{rate: 1/s}',
      '50/s',
    ],
  },
  'rateLimit.perCredential': {
    good: ['{rate: 600/m, burst: 1000000}'],
    bad: ['{rate: 1/s, burst: 1000001}', '{burst: 5}'],
  },
  'rateLimit.issuer': { good: ['{rate: 20/h, burst: 20}'], bad: ['{rate: 20/h, burst: 1.5}'] },
  'rateLimit.maxBuckets': { good: ['1000', '1000000'], bad: ['999', '1000001'] },
  'readiness.requireStore': { good: ['true'], bad: ['yes'] },
  'log.level': { good: ['error', 'warn', 'info', 'debug'], bad: ['trace', 'INFO'] },
  'log.decisions': { good: ['all', 'denials', 'none'], bad: ['some'] },
  'log.subjects': { good: ['hash', 'plain'], bad: ['clear'] },
  'metrics.maxRoutes': { good: ['1', '200'], bad: ['0', '201'] },
  'metrics.grpcCompat': { good: ['true'], bad: ['yes'] },
  'insecure.plaintextCheck': { good: ['true'], bad: ['yes'] },
  'insecure.plaintextRedis': { good: ['true'], bad: ['yes'] },
  'insecure.inlineSecrets': { good: ['true'], bad: ['yes'] },
  'insecure.allowShadow': { good: ['true'], bad: ['yes'] },
  'insecure.anyOrigin': { good: ['true'], bad: ['yes'] },
  'insecure.freshMemoryStore': { good: ['true'], bad: ['yes'] },
  'insecure.wideAdmin': { good: ['true'], bad: ['yes'] },
};

/** Below a route, in the form of a line of `api`. */
const ROUTE_VALUES: typeof VALUES = {
  body: { good: ['required', 'digest', 'none'], bad: ['optional', 'true'] },
  refusePathParameters: { good: ['false'], bad: ['no'] },
  stripCredentials: { good: ['false'], bad: ['no'] },
  storeFree: { good: ['deny'], bad: ['allow', 'true'] },
  mode: { good: ['enforce'], bad: ['shadow', 'off'] },
  tenant: { good: ['default', '0a-b'], bad: ['-a', 'A', 'a/b', `"${'a'.repeat(64)}"`, '""'] },
  realm: { good: ['"a b"', `"${'x'.repeat(64)}"`], bad: ['""', `"${'x'.repeat(65)}"`, "'a\"b'", '"a\\\\b"', '"ä"'] },
  audience: { good: ['["https://a.example"]'], bad: ['["a.example"]', '"https://a.example"'] },
  settings: {
    good: ['{challenge-signature: {}}'],
    bad: ['{opaque-pop: {}}', '{challenge-signature: {lifetime: 5s}}', '[]'],
  },
  match: {
    good: ['[]', '[{}]', '[{hosts: [a.example, "b:8443", "[::1]"], pathPrefix: /a, methods: [GET]}]'],
    bad: [
      '{}',
      '[{hosts: [A.example]}]',
      '[{pathPrefix: a}]',
      '[{pathPrefix: /a//b}]',
      '[{pathPrefix: /a/..}]',
      '[{pathPrefix: /%2Fa}]',
      '[{pathPrefix: "/a;b"}]',
      '[{pathPrefix: "/a?b"}]',
      '[{methods: [get]}]',
      '[{path: /a}]',
    ],
  },
};

function written(path: string, value: string): string {
  const text = path.startsWith('store.memory')
    ? BASE.replace('store: {type: memory}', `store: {type: memory, memory: {maxEntries: ${value}}}`)
    : path === 'store.type'
      ? BASE.replace('type: memory', `type: ${value}`)
      : path.startsWith('issuer.')
        ? BASE.replace(/^issuer:.*$/m, nested(path.split('.'), value).trimEnd())
        : `${BASE}${nested(path.split('.'), value)}`;
  return text;
}

describe.each(Object.entries(VALUES))('%s', (path, { good, bad }) => {
  test.each(good)('takes %s', (value) => {
    expect(refusals(written(path, value))).toEqual([]);
  });

  test.each(bad)('refuses %s with line and path', (value) => {
    const [first = ''] = refusals(written(path, value));
    expect(first).toMatch(/^config\.yaml:[0-9]+ /);
    expect(first).toContain(path.split('.')[0] ?? '');
  });

  test('refuses a blank', () => {
    expect(refusals(written(path, ''))[0]).toContain(`${path}: expected a value, got nothing`);
  });

  test('refuses a list of lists and a map of nonsense', () => {
    expect(refusals(written(path, '[[]]'))[0]).toContain(path);
    expect(refusals(written(path, '{zzz: 1}'))[0]).toContain(path);
  });
});

describe.each(Object.entries(ROUTE_VALUES))('routes.<name>.%s', (key, { good, bad }) => {
  test.each(good)('takes %s', (value) => {
    expect(refusals(`${BASE}    ${key}: ${value}\n`)).toEqual([]);
  });

  test.each(bad)('refuses %s with line and path', (value) => {
    expect(refusals(`${BASE}    ${key}: ${value}\n`)[0]).toMatch(
      new RegExp(`^config\\.yaml:9 routes\\.api\\.${key}(\\W|$)`),
    );
  });

  test('refuses a blank', () => {
    expect(refusals(`${BASE}    ${key}:\n`)[0]).toContain(`routes.api.${key}: expected a value, got nothing`);
  });
});

/** Sections and their settings, by the schema: where each has a name that nobody knows. */
function mapsOf(schema: Schema, path: string[]): string[][] {
  const members = membersOf(schema);
  if (members === undefined) return [];
  return [path, ...Object.keys(members).flatMap((key) => mapsOf(childOf(schema, key) as Schema, [...path, key]))];
}

function leavesOf(schema: Schema, path: string[]): string[] {
  const shape = shapeOf(schema);
  const members = membersOf(schema);
  if (shape.kind === 'record') return [];
  const isLimit = members !== undefined && 'burst' in members;
  if (members === undefined || isLimit) return [path.join('.')];
  return Object.keys(members).flatMap((key) => leavesOf(childOf(schema, key) as Schema, [...path, key]));
}

test('every key of the schema stands in this table, but for Redis, TLS and version, which have tests of their own', () => {
  const elsewhere = /^(version$|store\.redis\.|listeners\.[a-z]+\.tls\.)/;
  const missing = leavesOf(configSchema, []).filter((path) => !elsewhere.test(path) && VALUES[path] === undefined);
  expect(missing).toEqual([]);
  const route = membersOf(childOf(childOf(configSchema, 'routes') as Schema, 'api') as Schema) ?? {};
  expect(Object.keys(route).filter((key) => ROUTE_VALUES[key] === undefined)).toEqual(['schemes', 'publicOrigins']);
});

test.each(mapsOf(configSchema, []).filter((path) => path.length > 0 && path[0] !== 'store'))(
  'an unknown key in %s is refused, and so is a second one beside it',
  (...keys) => {
    const text = `${BASE.replace(keys[0] === 'issuer' ? /^issuer:.*\n/m : /^$/, '')}${nested(keys, '{zzqq: 1, yyqq: 2}')}`;
    const unknown = refusals(text).filter((line) => line.includes('unknown key'));
    expect(unknown).toHaveLength(2);
    expect(unknown[0]).toContain(`${keys.join('.')}.`);
  },
);

test.each(mapsOf(configSchema, []).filter((path) => path.length > 0))(
  'a list in place of the map %s is refused',
  (...keys) => {
    const base = BASE.replace(new RegExp(`^${keys[0] ?? ''}:.*\\n`, 'm'), '');
    expect(refusals(`${base}${nested(keys, '[]')}`)).toContainEqual(
      expect.stringContaining(`${keys.join('.')}: expected a map, got a list`),
    );
  },
);

test.each(['schemes', 'routes'])('a list in place of the names of %s is refused', (key) => {
  const base = BASE.slice(0, BASE.indexOf('routes:')).replace(new RegExp(`^${key}:.*\\n`, 'm'), '');
  expect(
    refusals(`${base}${key}: [{schemes: [challenge-signature], publicOrigins: ["https://a.example"]}]\n`),
  ).toContainEqual(expect.stringContaining(`${key}: expected a map, got a list`));
});

test('every default passes its own schema and is what an empty section gives', () => {
  const { config } = load(BASE);
  for (const [key, schema] of Object.entries(configSchema.entries)) {
    const section = defaultOf(schema);
    if (section === undefined || scalarTypesOf(schema).size > 0 || key === 'issuer') continue;
    expect(load(`${BASE}${key}: {}\n`).config[key as 'clock']).toEqual(config[key as 'clock']);
  }
});

test.each(['store: {type: memory}\n', 'schemes: {challenge-signature: {}}\n', 'version: 1\n'])(
  'refuses a file without %s',
  (line) => {
    expect(refusals(BASE.replace(line, ''))[0]).toContain('and it is required');
  },
);

test('refuses a file without routes, and one whose routes are empty', () => {
  const head = BASE.slice(0, BASE.indexOf('routes:'));
  expect(refusals(head)).toContainEqual(expect.stringContaining('routes: expected'));
  expect(refusals(`${head}routes: {}\n`)).toContainEqual(expect.stringContaining('at least one'));
  expect(
    refusals(`${head}routes: {API: {schemes: [challenge-signature], publicOrigins: ["https://a.example"]}}\n`),
  ).toContainEqual(expect.stringContaining('expected a name of 1 to 63 of a-z 0-9 -'));
});
