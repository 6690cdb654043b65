/** What operators may set, and get wrong, seen through a real Envoy. */
import { describe, expect, test } from '@jest/globals';
import { connectionManager, extAuthz, virtualHost, type EnvoyTree } from '../../scripts/envoy-config.ts';
import { envoyBinary } from '../../scripts/fetch-envoy.ts';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { echoOf, upstream, verdictOf, type World } from './world.ts';
import { open } from './worlds.ts';
import { headerOf, http1 } from './wire.ts';

const EXT_AUTHZ = 'envoy.filters.http.ext_authz';
const PER_ROUTE = 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute';

/** The settings of ext_authz on the route that takes everything. */
function everything(config: EnvoyTree): EnvoyTree {
  return virtualHost(config).routes.find(({ name }: EnvoyTree) => name === 'everything');
}

async function get(at: World, target: string, body: Uint8Array | null = new Uint8Array(0)) {
  const authorization = await at.prove({ method: 'GET', target, body });
  return http1({ method: 'GET', target, to: at.to, headers: [['authorization', authorization]] });
}

test.each(['newest', 'oldest'] as const)('the shipped configuration is valid for Envoy %s', async (version) => {
  const { stdout, stderr } = await promisify(execFile)(await envoyBinary(version), [
    '--mode',
    'validate',
    '-c',
    'deploy/envoy.yaml',
  ]);
  expect(stdout + stderr).toContain('OK');
});

describe('EV-39 context extensions', () => {
  test('the most specific wins: a route names another countersign route than its host', async () => {
    const at = await open({
      changeEnvoy: (config) => {
        everything(config).typed_per_filter_config[EXT_AUTHZ].check_settings.context_extensions['countersign.route'] =
          'feed';
      },
    });
    expect(upstream(echoOf(await get(at, '/a', null)), 'x-auth-body')).toEqual(['none']);
    expect(verdictOf(await get(at, '/a'))).toBe('401 signature_invalid'); // A proof of the body never passes where bodies aren't seen.
  });

  test('a mistyped key is 503, never a weaker route', async () => {
    const at = await open({
      changeEnvoy: (config) => {
        virtualHost(config).typed_per_filter_config[EXT_AUTHZ].check_settings.context_extensions = {
          'countersign.rout': 'api',
        };
      },
    });
    const answer = await get(at, '/a');
    expect(verdictOf(answer)).toBe('503 unavailable');
    expect(headerOf(answer, 'retry-after')).toBe('1');
  });

  test('an unknown route is 403 route_unknown', async () => {
    const at = await open({
      changeEnvoy: (config) => {
        virtualHost(config).typed_per_filter_config[EXT_AUTHZ].check_settings.context_extensions = {
          'countersign.route': 'apo',
        };
      },
    });
    expect(verdictOf(await get(at, '/a'))).toBe('403 route_unknown');
  });
});

test('EV-40 a body that is not buffered is 403 body_unverifiable on a route that needs it', async () => {
  const at = await open({
    changeEnvoy: (config) => {
      everything(config).typed_per_filter_config[EXT_AUTHZ] = {
        '@type': PER_ROUTE,
        check_settings: { context_extensions: { 'countersign.route': 'api' }, disable_request_body_buffering: true },
      };
    },
  });
  const proof = { method: 'POST', target: '/a', body: new Uint8Array(0) };
  const authorization = await at.prove(proof);
  const body = new TextEncoder().encode('stowaway');
  for (const framing of ['content-length', 'chunked'] as const) {
    const answer = await http1({
      method: 'POST',
      target: '/a',
      to: at.to,
      headers: [['authorization', authorization]],
      body,
      framing,
    });
    expect(verdictOf(answer)).toBe('403 body_unverifiable');
  }
});

test.each(['newest', 'oldest'] as const)(
  'EV-41 one identity arrives, ours, when nothing strips a hostile copy first (Envoy %s)',
  async (envoy) => {
    const at = await open({
      envoy,
      changeEnvoy: (config) => {
        delete connectionManager(config).early_header_mutation_extensions;
      },
    });
    const headers = [
      ['authorization', await at.prove({ method: 'GET', target: '/a' })],
      ['x-auth-subject', 'root'],
      ['x-auth-subject', 'root'],
      ['x-auth-admin', 'yes'],
    ] as const;
    const echo = echoOf(await http1({ method: 'GET', target: '/a', to: at.to, headers }));
    expect(upstream(echo, 'x-auth-subject')).toEqual(['alice']);
    expect(upstream(echo, 'x-auth-admin')).toEqual([]);
  },
);

test('EV-38 a request that no Envoy route takes is 404', async () => {
  const at = await open({
    changeEnvoy: (config) => {
      virtualHost(config).routes = virtualHost(config).routes.filter(({ name }: EnvoyTree) => name !== 'everything');
    },
  });
  expect((await http1({ method: 'GET', target: '/nowhere', to: at.to })).status).toBe(404);
});

test('EV-42 a shadow route of ours records the verdict and lets everything pass without an identity', async () => {
  const at = await open({
    change(config) {
      config['insecure'] = { freshMemoryStore: true, allowShadow: true };
      config.routes['api'] = { ...config.routes['api'], mode: 'shadow' };
    },
  });
  const echo = echoOf(await http1({ method: 'GET', target: '/a', to: at.to, headers: [['x-auth-subject', 'root']] }));
  expect(upstream(echo, 'x-auth-shadow')).toEqual(['deny']);
  expect(upstream(echo, 'x-auth-subject')).toEqual([]);
  const passed = echoOf(await get(at, '/a'));
  expect(upstream(passed, 'x-auth-subject')).toEqual([]);
  expect((await at.decisions()).get('api none shadow_deny credentials_missing')).toBe(1);
});

test('EV-45 without any retry policy nothing has side effects twice', async () => {
  const at = await open({
    changeEnvoy: (config) => {
      delete extAuthz(config).grpc_service.retry_policy;
    },
  });
  echoOf(await get(at, '/a'));
  expect((await at.decisions()).get('api challenge-signature allow ok')).toBe(1);
});

test('EV-43 bad bytes in what we would write end as a refusal, never open: a subject outside ASCII is escaped', async () => {
  const at = await open({});
  const echo = echoOf(await get(at, '/a'));
  for (const [name, value] of echo.headers)
    if (name.toLowerCase().startsWith('x-auth-')) expect(value).toMatch(/^[\x20-\x7e]+$/);
});

test('metadata reaches the access log: the true code, the scheme, the route and the check id', async () => {
  const at = await open({});
  const answer = await http1({ method: 'GET', target: '/a', to: at.to });
  const { check } = JSON.parse(answer.body) as { check: string };
  expect(check).toMatch(/^[\w-]{22}$/);
  expect((await at.decisions()).get('api none deny credentials_missing')).toBe(1);
});
