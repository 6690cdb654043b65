import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { loadConfig } from '../../src/config/load.ts';
import { restartRequired } from '../../src/config/restart-keys.ts';
import { createRouteTable, isDangerousTarget, type RouteTable } from '../../src/config/routes.ts';
import type { Scheme } from '../../src/core/scheme.ts';
import { schemes } from '../../src/schemes/index.ts';

const scheme: Scheme = {
  name: 'challenge-signature',
  verify: () => {
    throw new Error('not asked here');
  },
  endpoints: [],
  challenges: () => [],
  discovery: { profiles: [], parameters: {} },
};

const ROUTE = 'schemes: [challenge-signature], publicOrigins: ["https://a.example"]';

function configOf(rest: string) {
  const text = `version: 1\nstore: {type: memory}\nschemes: {challenge-signature: {}}\n${rest}`;
  return loadConfig({ text, file: 'c.yaml', env: {}, schemes }).config;
}

function tableOf(rest: string): RouteTable {
  return createRouteTable(configOf(rest), new Map([['challenge-signature', scheme]]));
}

const MATCHED = `defaultRoute: rest
routes:
  rest: {${ROUTE}}
  api: {${ROUTE}, match: [{hosts: [a.example], pathPrefix: /api}]}
  admin: {${ROUTE}, match: [{hosts: [a.example], pathPrefix: /api/admin, methods: [POST]}]}
  all: {${ROUTE}, match: [{hosts: [b.example], pathPrefix: /}]}
`;

test.each([
  ['GET', 'a.example', '/api', 'api'],
  ['GET', 'a.example', '/api/x?y=1', 'api'],
  ['GET', 'a.example', '/api?y', 'api'],
  ['GET', 'a.example', '/apix', 'rest'],
  ['GET', 'c.example', '/api', 'rest'],
  ['POST', 'a.example', '/api/admin/x', 'admin'],
  ['GET', 'a.example', '/api/admin/x', 'api'],
  ['GET', 'b.example', '/anything', 'all'],
  ['GET', 'a.example', '/API', 'rest'],
  ['GET', 'a.example', '/api//x', 'rest'],
  ['GET', 'a.example', '/api/../api/x', 'rest'],
  ['GET', 'a.example', '/api/%2fx', 'rest'],
  ['GET', 'a.example', '/api;v=1', 'rest'],
])('%s %s%s is route %s', (method, authority, target, name) => {
  expect(tableOf(MATCHED).match({ method, authority, target })?.name).toBe(name);
});

test('without a default route what matches nothing has no route', () => {
  const table = tableOf(MATCHED.replace('defaultRoute: rest\n', ''));
  expect(table.match({ method: 'GET', authority: 'c.example', target: '/' })).toBeUndefined();
});

test('two rules that claim one request alike are refused', () => {
  const two = `routes:\n  a: {${ROUTE}, match: [{hosts: [a.example], pathPrefix: /x}]}\n  b: {${ROUTE}, match: [{hosts: [a.example], pathPrefix: /x}]}\n`;
  expect(() => configOf(two)).toThrow('routes.b.match');
});

test('routes beyond metrics.maxRoutes share one label', () => {
  const many = `metrics: {maxRoutes: 2}\nroutes:\n${['a', 'b', 'c'].map((name) => `  ${name}: {${ROUTE}}\n`).join('')}`;
  expect(tableOf(many).routes.map(({ label }) => label)).toEqual(['a', 'b', 'other']);
});

test('no dangerous target ever matches a rule narrower than everything', () => {
  const dangerous = fc
    .tuple(fc.webPath(), fc.constantFrom('//', '/./', '/../', '%2e', '%2F', '%5C', '\\', ';', '/..'), fc.webPath())
    .map(([before, danger, after]) => `/api${before}${danger}${after}`);
  const table = tableOf(MATCHED);
  fc.assert(
    fc.property(dangerous, fc.constantFrom('GET', 'POST'), (target, method) => {
      fc.pre(isDangerousTarget(target));
      expect(table.match({ method, authority: 'a.example', target })?.name).toBe('rest');
    }),
  );
});

test.each([
  ['listeners: {check: {address: "127.0.0.1:9009"}}\n', ['listeners.check.address']],
  ['clock: {skew: 4s}\n', ['clock.skew', 'clock.maxStoreOffset']],
  ['process: {verify: threadpool}\n', ['process.verify']],
  ['log: {level: debug}\n', []],
  ['rateLimit: {perSource: {rate: 1/s, burst: 1}}\n', []],
  ['envoy: {checkBudget: 100ms}\n', []],
])('a reload to %s needs a restart for %j', (change, keys) => {
  const routes = `routes:\n  a: {${ROUTE}}\n`;
  expect(restartRequired(configOf(routes), configOf(routes + change)).toSorted()).toEqual([...keys].toSorted());
});
