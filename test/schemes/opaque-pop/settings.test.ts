/** The settings of opaque-pop: defaults, bounds and what is refused. */
import { expect, test } from '@jest/globals';
import * as v from 'valibot';
import { opaquePop } from '../../../src/schemes/opaque-pop/index.ts';
import { settings } from '../../../src/schemes/opaque-pop/settings.ts';
import { createSchemeWorld } from '../../support/scheme-world.ts';

const parsed = (given: object) => v.parse(settings, given);

test('defaults', () => {
  expect(parsed({})).toEqual({
    profiles: ['strict'],
    windowMs: 60_000,
    futureMs: 5_000,
    seedWindowMs: 60_000,
    seedSessionMs: 3_600_000,
    seedAllowQuery: false,
    seedOpenRegistration: false,
    idleMs: 900_000,
    absoluteMs: 43_200_000,
    loginLifetimeMs: 60_000,
    ksf: { memoryKib: 65_536, iterations: 3, parallelism: 4 },
    limits: {
      loginPerUserAndAddress: { periodMs: 6_000, burst: 10 },
      loginPerUser: { periodMs: 2_000, burst: 60 },
      loginPerAddress: { periodMs: 1_000, burst: 60 },
    },
  });
});

test('with seed, the key stretching that its clients know; what the operator says comes first', () => {
  expect(parsed({ profiles: ['seed'] }).ksf).toEqual({ memoryKib: 19_456, iterations: 2, parallelism: 1 });
  expect(parsed({ profiles: ['strict', 'seed'] }).ksf).toEqual({ memoryKib: 19_456, iterations: 2, parallelism: 1 });
  const ksf = { memoryKib: 9_216, iterations: 4, parallelism: 1 };
  expect(parsed({ profiles: ['seed'], ksf }).ksf).toEqual(ksf);
});

test.each([
  [{ profiles: [] }],
  [{ profiles: ['strict', 'strict'] }],
  [{ profiles: ['lax'] }],
  [{ window: '4s' }],
  [{ window: '301s' }],
  [{ window: 60 }],
  [{ future: '61s' }],
  [{ seedWindow: '4s' }],
  [{ seedSession: '59s' }],
  [{ seedSession: '25h' }],
  [{ seedAllowQuery: 'yes' }],
  [{ seedOpenRegistration: 1 }],
  [{ idle: '59s' }],
  [{ idle: '25h' }],
  [{ absolute: '4m' }],
  [{ absolute: '31d' }],
  [{ loginLifetime: '4s' }],
  [{ loginLifetime: '301s' }],
  [{ ksf: { memoryKib: 1024, iterations: 1, parallelism: 1 } }],
  [{ ksf: { memoryKib: 65_536, iterations: 3 } }],
  [{ ksf: { memoryKib: 65_536, iterations: 3, parallelism: 4, salt: 'x' } }],
  [{ limits: { loginPerUser: { rate: '0/m', burst: 1 } } }],
  [{ limits: { login: { rate: '1/m', burst: 1 } } }],
  [{ setup: 'secret' }],
])('refuses %j', (given) => {
  expect(v.safeParse(settings, given).success).toBe(false);
});

test.each([
  [
    {
      window: '5s',
      future: '0s',
      seedWindow: '300s',
      seedSession: '24h',
      idle: '24h',
      absolute: '30d',
      loginLifetime: '5s',
    },
  ],
  [
    {
      window: '300s',
      future: '60s',
      seedWindow: '5s',
      seedSession: '1m',
      idle: '1m',
      absolute: '5m',
      loginLifetime: '300s',
    },
  ],
])('takes the bounds themselves: %j', (given) => {
  expect(v.safeParse(settings, given).success).toBe(true);
});

test('needs a wrap key and a setup, and says so before it serves', () => {
  expect(opaquePop.keyUses(parsed({}))).toEqual(['wrap', 'opaque-setup']);
});

test('discovery tells clients what they must know and nothing else', () => {
  const { discovery } = createSchemeWorld(opaquePop, { settings: { profiles: ['seed', 'strict'] } }).scheme;
  expect(discovery).toEqual({
    profiles: ['seed', 'strict'],
    parameters: {
      windowMs: 60_000,
      futureMs: 5_000,
      seedWindowMs: 60_000,
      idleMs: 900_000,
      absoluteMs: 43_200_000,
      ksf: { memoryKib: 19_456, iterations: 2, parallelism: 1 },
    },
  });
});

test.each([
  [['strict'], ['register/start', 'register/finish', 'login/start', 'login/finish', 'logout']],
  [['seed'], ['register/start', 'register/finish', '/login/start', '/login/finish']],
  [
    ['strict', 'seed'],
    ['register/start', 'register/finish', 'login/start', 'login/finish', 'logout', '/login/start', '/login/finish'],
  ],
])('profiles %j have the endpoints %j', (profiles, expected) => {
  const { endpoints } = createSchemeWorld(opaquePop, { settings: { profiles } }).scheme;
  expect(endpoints.filter(({ listener }) => listener === 'issuer').map(({ path }) => path)).toEqual(expected);
});
