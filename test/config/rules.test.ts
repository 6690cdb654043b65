import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { defineScheme, type SchemeDefinition } from '../../src/core/scheme.ts';
import { schemes } from '../../src/schemes/index.ts';
import { BASE, load, refusals } from './config-under-test.ts';

function redis(settings: string): string {
  return BASE.replace('{type: memory}', `{type: redis, redis: {${settings}}}`);
}

const TLS = 'certFile: /c, keyFile: /k, clientCaFile: /a, allowedSans: [proxy]';

describe('the check listener', () => {
  const at = (address: string, rest = '') => `${BASE}listeners: {check: {address: "${address}"${rest}}}\n`;

  test.each(['0.0.0.0:9001', '10.0.0.1:9001', '[::]:9001', '127.0.0.1.example:9001', 'localhost.example:9001'])(
    'refuses plaintext at %s',
    (address) => {
      expect(refusals(at(address))).toEqual([
        expect.stringContaining('listeners.check.address: expected a unix socket or loopback'),
      ]);
    },
  );

  test.each([
    at('127.0.0.1:9001'),
    at('[::1]:9001'),
    at('unix:/run/check.sock'),
    at('0.0.0.0:9001', `, tls: {${TLS}}`),
    at('0.0.0.0:9001', ', meshTls: true'),
    `${at('0.0.0.0:9001')}insecure: {plaintextCheck: true}\n`,
  ])('takes %s', (text) => {
    expect(refusals(text)).toEqual([]);
  });

  test.each(['certFile: /c, ', 'keyFile: /k, ', 'clientCaFile: /a, '])('refuses TLS without %s', (member) => {
    expect(refusals(at('0.0.0.0:9001', `, tls: {${TLS.replace(member, '')}}`))).toContainEqual(
      expect.stringContaining(`listeners.check.tls.${member.split(':')[0] ?? ''}: expected`),
    );
  });

  test('refuses TLS that any client may use', () => {
    expect(refusals(at('0.0.0.0:9001', `, tls: {${TLS.replace('[proxy]', '[]')}}`))).not.toEqual([]);
  });

  test('refuses TLS of its own beside that of a mesh', () => {
    expect(refusals(at('0.0.0.0:9001', `, meshTls: true, tls: {${TLS}}`))[0]).toContain('listeners.check.meshTls');
  });
});

test('the admin API leaves loopback only when told to; metrics without a token may', () => {
  const at = (rest: string) => `${BASE}listeners: {admin: {address: "0.0.0.0:9090"${rest}}}\n`;
  expect(refusals(at(', tokenFile: /t'))[0]).toContain('listeners.admin.address: expected a loopback address');
  expect(refusals(at(''))).toEqual([]);
  expect(refusals(`${at(', tokenFile: /t')}insecure: {wideAdmin: true}\n`)).toEqual([]);
});

test('an issuer that is off shares its address with nobody', () => {
  expect(refusals(`${BASE}listeners: {issuer: {enabled: false, address: "127.0.0.1:9001"}}\n`)).toEqual([]);
  expect(refusals(`${BASE}listeners: {issuer: {address: "127.0.0.1:9001"}}\n`)[0]).toContain(
    'listeners.issuer.address',
  );
});

describe('Redis', () => {
  test.each([
    ['urls: ["redis://127.0.0.1:6379"]'],
    ['urls: ["redis://localhost:6379"]'],
    ['urls: ["redis://[::1]:6379"]'],
    ['urls: ["unix:///run/redis.sock"]'],
    ['urls: ["rediss://redis.example:6379"], tls: {caFile: /ca, certFile: /c, keyFile: /k, serverName: redis}'],
    ['mode: cluster, urls: ["rediss://a:1", "rediss://b:1"]'],
    ['mode: sentinel, sentinelName: m, sentinelPasswordFile: /p, urls: ["rediss://a:1", "rediss://b:1"]'],
  ])('takes %s', (settings) => {
    expect(refusals(redis(settings))).toEqual([]);
  });

  test.each([
    ['urls: ["redis://redis:6379"]', 'urls[0]: expected rediss:// off loopback'],
    ['mode: cluster, urls: ["rediss://a:1", "redis://b:1"]', 'urls[1]: expected rediss:// off loopback'],
    ['urls: ["redis://127.0.0.1.example:6379"]', 'urls[0]: expected rediss:// off loopback'],
    ['urls: ["redis://127.0.0.1:1", "redis://127.0.0.1:2"]', 'urls: expected one URL with mode single'],
    ['mode: cluster, urls: ["unix:///run/redis.sock"]', 'urls: expected no unix socket with mode cluster'],
    ['mode: cluster, urls: ["rediss://a:1", "redis://127.0.0.1:1"]', 'urls: expected rediss:// in all URLs or in none'],
    ['mode: cluster, database: 1, urls: ["rediss://a:1"]', 'database: expected 0 in a Cluster'],
    ['mode: sentinel, urls: ["rediss://a:1"]', 'sentinelName: expected'],
    ['sentinelName: m, urls: ["rediss://a:1"]', 'sentinelName: expected only with mode sentinel'],
    ['sentinelPasswordFile: /p, urls: ["rediss://a:1"]', 'sentinelPasswordFile: expected only with mode sentinel'],
    ['urls: ["redis://127.0.0.1:1"], tls: {caFile: /ca}', 'tls: expected only with rediss:// URLs'],
    ['urls: ["rediss://a:1"], tls: {certFile: /c}', 'tls: expected certFile and keyFile together'],
    ['urls: ["rediss://a:1"], password: p', 'password: expected passwordFile'],
    ['urls: []', 'urls: expected'],
    ['mode: single', 'urls: expected'],
    ['urls: ["rediss://a:1"], keyPrefix: "{x}"', 'keyPrefix: expected'],
    ['urls: ["rediss://a:1"], commandTimeout: 2s', 'commandTimeout: expected a duration from 10ms to 1s'],
    ['urls: ["rediss://a:1"], lanes: 257', 'lanes: expected'],
    ['urls: ["rediss://a:1"], durable: {replicas: 6}', 'durable.replicas: expected'],
    ['urls: ["rediss://a:1"], passwordfile: /p', 'passwordfile: unknown key, did you mean "passwordFile"?'],
  ])('refuses %s', (settings, message) => {
    expect(refusals(redis(settings))).toContainEqual(expect.stringContaining(`store.redis.${message}`));
  });

  test.each([
    'redis://user:hunter2@localhost:1',
    'redis://localhost:1/hunter2',
    'redis://localhost:1?password=hunter2',
    'http://hunter2',
  ])('refuses the URL %s and does not repeat it', (url) => {
    const lines = refusals(redis(`urls: ["${url}"]`));
    expect(lines).toEqual([expect.stringContaining('store.redis.urls[0]: expected "redis://host:port"')]);
    expect(lines.join()).not.toContain('hunter2');
  });

  test('takes a password in clear only with its waiver, never beside a file, and shows it nowhere', () => {
    const text = `${redis('urls: ["rediss://a:1"], password: hunter2')}insecure: {inlineSecrets: true}\n`;
    const loaded = load(text);
    expect(JSON.stringify(loaded)).not.toContain('hunter2');
    expect(loaded.config.store.type === 'redis' && loaded.config.store.redis.password?.reveal()).toBe('hunter2');
    expect(refusals(text.replace('password:', 'passwordFile: /p, password:'))[0]).toContain(
      'either password or passwordFile',
    );
  });

  test('settings of the store that is not used are refused, not ignored', () => {
    expect(refusals(BASE.replace('type: memory', 'type: memory, redis: {urls: ["rediss://a:1"]}'))[0]).toContain(
      'store.redis: expected no "redis" with this type',
    );
    expect(refusals(BASE, { env: { REDIS_URL: 'redis://127.0.0.1:1' } })[0]).toContain('REDIS_URL store.redis');
    expect(refusals(`${redis('urls: ["rediss://a:1"]')}insecure: {freshMemoryStore: true}\n`)[0]).toContain(
      'insecure.freshMemoryStore',
    );
  });

  test.each([
    ['urls: ["rediss://a:1"]', 1, 0],
    ['mode: sentinel, sentinelName: m, urls: ["rediss://a:1"]', 1, 1],
    ['mode: cluster, urls: ["rediss://a:1"]', 64, 1],
    ['mode: cluster, lanes: 8, durable: {replicas: 0}, urls: ["rediss://a:1"]', 8, 0],
  ])('with %s there are %i lanes and %i durable replicas', (settings, lanes, replicas) => {
    const { store } = load(redis(settings)).config;
    expect(store).toMatchObject({ redis: { lanes, durable: { replicas } } });
  });
});

test('refuses several workers: with the memory store each would accept one proof once', () => {
  expect(refusals(`${BASE}process: {checkWorkers: 2}\n`)).toEqual([
    expect.stringContaining('accept the same proof once'),
  ]);
  expect(refusals(`${redis('urls: ["rediss://a:1"]')}process: {checkWorkers: 2}\n`)).toEqual([
    expect.stringContaining('process.checkWorkers: expected 1 with process.model single'),
  ]);
});

describe('routes', () => {
  test.each([
    ['    mode: shadow\n', 'insecure: {allowShadow: true}\n', 'routes.api.mode'],
    ['', 'insecure: {anyOrigin: true}\n', 'routes.api.publicOrigins'],
  ])('%s needs %s', (line, waiver, path) => {
    const text = line === '' ? BASE.replace(/ +publicOrigins.*\n/, '') : `${BASE}${line}`;
    expect(refusals(text)).toEqual([expect.stringContaining(path)]);
    expect(refusals(`${text}${waiver}`)).toEqual([]);
  });

  test('tier C has no body that a proof could cover, unless text bodies are taken', () => {
    expect(refusals(`${BASE}envoy: {tier: C}\n`)).toEqual([
      expect.stringContaining('routes.api.body: expected "none" in tier C'),
    ]);
    expect(refusals(`${BASE}    body: none\nenvoy: {tier: C}\n`)).toEqual([]);
    expect(refusals(`${BASE}envoy: {tier: C, textBody: accept-ascii}\n`)).toEqual([]);
  });

  test.each([
    ['{pathPrefix: /a}', '{pathPrefix: /a, methods: [GET]}', true],
    ['{pathPrefix: /a, hosts: [a.example]}', '{pathPrefix: /a, hosts: [b.example, a.example]}', true],
    ['{}', '{pathPrefix: /}', true],
    ['{pathPrefix: /a, hosts: [a.example]}', '{pathPrefix: /a, hosts: [b.example]}', false],
    ['{pathPrefix: /a, methods: [GET]}', '{pathPrefix: /a, methods: [POST]}', false],
    ['{pathPrefix: /a}', '{pathPrefix: /a/b}', false],
  ])('rules %s and %s of two routes tie: %s', (one, other, isTie) => {
    const second = `  other: {schemes: [challenge-signature], publicOrigins: ["https://b.example"], match: [${other}]}\n`;
    const found = refusals(`${BASE}    match: [${one}]\n${second}`);
    expect(found).toHaveLength(isTie ? 1 : 0);
    if (isTie) expect(found[0]).toContain('routes.other.match[0]: expected a rule that no other equals in rank');
  });

  test('a scheme is listed, exists, and stands in a route once', () => {
    expect(refusals(BASE.replace('[challenge-signature]', '[challenge-signature, challenge-signature]'))).not.toEqual(
      [],
    );
    expect(refusals(BASE.replace('[challenge-signature]', '[chalenge-signature]'))[0]).toContain(
      'did you mean "challenge-signature"?',
    );
    expect(
      refusals(BASE.replace('schemes: {challenge-signature: {}}', 'schemes: {challenge-signatur: {}}'))[0],
    ).toContain('unknown scheme, did you mean "challenge-signature"?');
  });

  test('a mistake in a scheme hides no mistake in a route', () => {
    const text = BASE.replace('challenge-signature: {}', 'challenge-signature: {lifetime: 1s}').replace(
      / +publicOrigins.*\n/,
      '',
    );
    const found = refusals(text).join();
    expect(found).toContain('schemes.challenge-signature.lifetime');
    expect(found).toContain('routes.api.publicOrigins');
  });
});

describe('what schemes ask of the rest', () => {
  const tokens = defineScheme({
    name: 'tokens',
    settings: v.strictObject({ keyed: v.optional(v.boolean(), false) }),
    perRoute: ['keyed'],
    publicKeys: false,
    issuesTokens: true,
    keyUses: ({ keyed }) => (keyed ? ['token-signing'] : []),
    counters: {},
    create: () => {
      throw new Error('not made here');
    },
  });
  const all: readonly SchemeDefinition[] = [...schemes, tokens];
  const WITH = BASE.replace('{challenge-signature: {}}', '{challenge-signature: {}, tokens: {}}').replace(
    '[challenge-signature]',
    '[challenge-signature, tokens]',
  );
  const ISSUER = 'issuer: {audiences: ["https://api.example.com"]}\n';
  const named = WITH.replace(ISSUER, 'issuer: {url: "https://i.example", audiences: ["https://api.example.com"]}\n');

  test('tokens need an issuer and audiences', () => {
    expect(refusals(WITH, { schemes: all })).toEqual([expect.stringContaining('issuer.url: expected')]);
    expect(refusals(WITH.replace(ISSUER, ''), { schemes: all })).toHaveLength(2);
    expect(refusals(named, { schemes: all })).toEqual([]);
  });

  test('a key is needed as soon as one route needs it', () => {
    const keyed = `${named}    settings: {tokens: {keyed: true}}\n`;
    expect(refusals(keyed, { schemes: all })).toEqual([
      expect.stringContaining('keys.ringFile: expected a path: tokens needs keys'),
    ]);
    expect(refusals(`${keyed}keys: {ringFile: /ring}\n`, { schemes: all })).toEqual([]);
  });

  test('grace without the store is for routes that tokens can serve, and is refused where it would do nothing', () => {
    expect(refusals(`${named}    storeFree: allow\ndirectory: {staleOnFault: 1m}\n`, { schemes: all })).toEqual([]);
    expect(refusals(`${BASE}    storeFree: allow\n`)).toEqual([
      expect.stringContaining('routes.api.storeFree: expected "deny"'),
    ]);
    expect(refusals(`${BASE}directory: {staleOnFault: 1m}\n`)).toEqual([
      expect.stringContaining('directory.staleOnFault: expected 0s'),
    ]);
  });
});

describe('warnings', () => {
  test.each([
    'plaintextCheck',
    'plaintextRedis',
    'inlineSecrets',
    'allowShadow',
    'anyOrigin',
    'freshMemoryStore',
    'wideAdmin',
  ])('insecure.%s is told at start', (name) => {
    expect(load(`${BASE}insecure: {${name}: true}\n`).warnings).toEqual([
      expect.stringContaining(`insecure.${name} is on`),
    ]);
  });

  test('a fault told as an error may open the proxy', () => {
    expect(load(`${BASE}envoy: {faultResponse: error}\n`).warnings).toEqual([expect.stringContaining('faultResponse')]);
  });

  test('a sound configuration has none', () => {
    expect(load(BASE).warnings).toEqual([]);
  });
});

test('defaults that follow another key follow it', () => {
  const { config } = load(`${BASE}clock: {skew: 2s}\nenvoy: {stripCredentials: false}\n`);
  expect(config.clock.maxStoreOffset).toBe(2000);
  expect(config.routes['api']).toMatchObject({ stripCredentials: false, audience: ['https://api.example.com'] });
  expect(
    load(`${BASE}    stripCredentials: true\n    audience: []\nenvoy: {stripCredentials: false}\n`).config.routes[
      'api'
    ],
  ).toMatchObject({ stripCredentials: true, audience: [] });
  expect(refusals(BASE.replace('audiences: ["https://api', 'audiences: ["http://api'))).toHaveLength(1);
});
