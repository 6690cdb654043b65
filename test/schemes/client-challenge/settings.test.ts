/** The settings of client-challenge: defaults, bounds and what is refused, by themselves and in a configuration. */
import { describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { clientChallenge } from '../../../src/schemes/client-challenge/index.ts';
import { settings } from '../../../src/schemes/client-challenge/settings.ts';
import { load, refusals } from '../../config/config-under-test.ts';

const AUDIENCES = ['https://api.example.com'];
const parsed = (given: object) => v.parse(settings, { audiences: AUDIENCES, ...given });
const isTaken = (given: object) => v.safeParse(settings, { audiences: AUDIENCES, ...given }).success;

test('defaults: strict, listed, ten minutes, a minute back and five seconds ahead', () => {
  expect(parsed({})).toEqual({
    profiles: ['strict'],
    accounts: 'listed',
    audiences: AUDIENCES,
    windowMs: 60_000,
    futureMs: 5_000,
    seedWindowMs: 300_000,
    seedLabel: 'ConnectOnion-Auth',
    lifetimeMs: 600_000,
    seedLifetimeMs: 86_400_000,
    maxLifetimeMs: 600_000,
    algorithm: 'EdDSA',
    binding: 'off',
    revokedTokens: false,
  });
});

test('the longest life that is believed is the longest that is given, unless more is said', () => {
  expect(parsed({ profiles: ['seed', 'strict'] }).maxLifetimeMs).toBe(86_400_000);
  expect(parsed({ profiles: ['seed'], seedLifetime: '2m' }).maxLifetimeMs).toBe(120_000);
  expect(parsed({ lifetime: '1h' }).maxLifetimeMs).toBe(3_600_000);
  expect(parsed({ maxLifetime: '24h' }).maxLifetimeMs).toBe(86_400_000);
});

test.each([
  [{ profiles: [] }],
  [{ profiles: ['strict', 'strict'] }],
  [{ profiles: ['dpop'] }],
  [{ accounts: 'all' }],
  [{ audiences: [] }],
  [{ audiences: ['http://api.example.com'] }],
  [{ audiences: ['https://api.example.com/'] }],
  [{ audiences: undefined }],
  [{ window: '4s' }],
  [{ window: '301s' }],
  [{ window: 60 }],
  [{ future: '61s' }],
  [{ seedWindow: '9s' }],
  [{ seedWindow: '301s' }],
  [{ seedLabel: '' }],
  [{ seedLabel: 'a--b' }],
  [{ seedLabel: '-a' }],
  [{ seedLabel: 'a-' }],
  [{ seedLabel: '.*' }],
  [{ seedLabel: 'a'.repeat(41) }],
  [{ lifetime: '59s' }],
  [{ lifetime: '61m' }],
  [{ seedLifetime: '25h' }],
  [{ maxLifetime: '9m' }],
  [{ maxLifetime: '25h' }],
  [{ profiles: ['seed'], maxLifetime: '23h' }],
  [{ algorithm: 'HS256' }],
  [{ binding: true }],
  [{ binding: 'required', profiles: ['strict', 'seed'] }],
  [{ seedHs256: { secretFile: '/s', kid: 'k' } }],
  [{ profiles: ['seed'], seedHs256: { secretFile: 's', kid: 'k' } }],
  [{ profiles: ['seed'], seedHs256: { secretFile: '/s' } }],
  [{ profiles: ['seed'], seedHs256: { secretFile: '/s', kid: 'a/b' } }],
  [{ profiles: ['seed'], seedHs256: { secret: 'inline', kid: 'k' } }],
  [{ jwksUrl: 'https://evil.example' }],
])('refuses %j', (given) => {
  expect(isTaken(given)).toBe(false);
});

test.each([
  [{ window: '5s' }],
  [{ window: '300s', future: '0s' }],
  [{ future: '60s' }],
  [{ seedWindow: '10s' }],
  [{ lifetime: '1m' }],
  [{ lifetime: '1h' }],
  [{ seedLifetime: '1m' }],
  [{ seedLabel: 'a_B-9' }],
  [{ maxLifetime: '10m' }],
  [{ binding: 'offered', profiles: ['strict', 'seed'] }],
  [{ profiles: ['seed'], seedHs256: { secretFile: '/s', kid: 'k' } }],
])('takes %j', (given) => {
  expect(isTaken(given)).toBe(true);
});

test('a ring key is needed unless the shared secret makes all tokens; another scheme exactly when tokens are bound', () => {
  const seedHs256 = { secretFile: '/s', kid: 'k' };
  expect(clientChallenge.keyUses(parsed({}))).toEqual(['token-signing']);
  expect(clientChallenge.keyUses(parsed({ profiles: ['seed'] }))).toEqual(['token-signing']);
  expect(clientChallenge.keyUses(parsed({ profiles: ['seed'], seedHs256 }))).toEqual([]);
  expect(clientChallenge.keyUses(parsed({ profiles: ['seed', 'strict'], seedHs256 }))).toEqual(['token-signing']);
  for (const [binding, needed] of [
    ['off', undefined],
    ['offered', 'dpop'],
    ['required', 'dpop'],
  ]) {
    expect(clientChallenge.neededScheme?.(parsed({ binding }))).toBe(needed);
  }
});

describe('in a configuration', () => {
  const of = (
    scheme: string,
    issuer = '{url: "https://auth.example.com", audiences: ["https://api.example.com"]}',
  ) => `version: 1
store: {type: memory}
keys: {ringFile: /ring}
schemes: {client-challenge: ${scheme}}
issuer: ${issuer}
routes:
  api:
    schemes: [client-challenge]
    publicOrigins: ["https://api.example.com"]
`;

  test('audiences are those of the issuer unless the scheme has its own', () => {
    const audiencesOf = (text: string) =>
      (load(text).config.schemes['client-challenge'] as { audiences: unknown }).audiences;
    expect(audiencesOf(of('{}'))).toEqual(['https://api.example.com']);
    expect(audiencesOf(of('{audiences: ["https://b.example"]}'))).toEqual(['https://b.example']);
    expect(refusals(of('{}', '{url: "https://auth.example.com"}')).join()).toContain(
      'issuer.audiences: expected a list of origins',
    );
    expect(refusals(of('{}', '{url: "https://auth.example.com", audiences: []}'))).toEqual([
      expect.stringContaining('issuer.audiences: expected a list of origins'),
    ]);
  });

  test('tokens need a name to sign for, by https', () => {
    expect(refusals(of('{}', '{audiences: ["https://api.example.com"]}'))).toEqual([
      expect.stringContaining('issuer.url: expected an https URL'),
    ]);
    const plain = '{url: "http://auth.example.com", audiences: ["https://api.example.com"]}';
    expect(refusals(of('{}', plain))).toEqual([expect.stringContaining('issuer.url: expected an https URL')]);
    expect(refusals(of('{}', plain.replace('auth.example.com', '127.0.0.1:8080')))).toEqual([]);
  });

  test.each(['offered', 'required'])(
    'binding %s without a route that takes dpop is refused, with the scheme named',
    (binding) => {
      expect(refusals(of(`{binding: ${binding}}`))).toEqual([
        expect.stringContaining('schemes.client-challenge: expected a route that takes dpop'),
      ]);
    },
  );

  test('what is wrong with the settings as a whole is said once', () => {
    expect(refusals(of('{maxLifetime: 1m}'))).toHaveLength(1);
  });

  test('a route has none of its own', () => {
    expect(refusals(`${of('{}')}    settings: {client-challenge: {lifetime: 5m}}\n`)).toEqual([
      expect.stringContaining('routes.api.settings.client-challenge.lifetime: unknown key'),
    ]);
  });
});
