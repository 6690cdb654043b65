/** The probes against real deployments: a sound one passes all of them, and each hole is found by the probe that is there for it. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  cluster,
  connectionManager,
  extAuthz,
  type EnvoyTree,
  setEndpoints,
  virtualHost,
} from '../../scripts/envoy-config.ts';
import { openDeployment, type Deployment, type DeploymentOptions } from '../support/deployment.ts';
import { countersign, createFolder, type Folder } from './rig.ts';

let folder: Folder;
let deployment: Deployment | undefined;
beforeEach(() => {
  folder = createFolder();
});
afterEach(async () => {
  await deployment?.stop();
  deployment = undefined;
  folder.remove();
});

async function deploy(options: DeploymentOptions = {}): Promise<(more?: readonly string[]) => Promise<Report>> {
  const opened = await openDeployment(options);
  deployment = opened;
  const keyFile = join(folder.path, 'alice.jwk');
  const { stdout } = await countersign(['keys', 'client', '--alg', 'Ed25519', '--out', keyFile, '--json']);
  const { publicJwk } = JSON.parse(stdout) as { publicJwk: object };
  await opened.admin('PUT', 'credentials/challenge-signature', { subject: 'alice', keyId: 'k1', jwk: publicJwk });
  const as = ['--scheme', 'challenge-signature', '--key', keyFile, '--user', 'alice', '--kid', 'k1'];
  return async (more = []) => {
    const ended = await countersign(['verify-deployment', ...as, ...more, '--json', `${opened.url}/transfer`]);
    const { probes } = JSON.parse(ended.stdout) as { probes: { id: string; result: string }[] };
    const by = (wanted: string) => probes.filter(({ result }) => result === wanted).map(({ id }) => id);
    return {
      exit: ended.exit,
      passed: by('pass'),
      failed: by('fail'),
      unasked: by('not applicable'),
      unclear: by("can't tell"),
      text: ended.stdout,
    };
  };
}

interface Report {
  readonly exit: number | null;
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  readonly unasked: readonly string[];
  readonly unclear: readonly string[];
  readonly text: string;
}

/** An echo without the filter. */
function openRoute(envoy: EnvoyTree): void {
  const { routes } = virtualHost(envoy);
  const [issuer] = routes;
  routes.unshift({ ...issuer, name: 'open', match: { path: '/open' }, route: { cluster: 'backend' } });
}

describe('verify-deployment', () => {
  test('passes a deployment as shipped, exits 0, and says what it could not ask', async () => {
    const verify = await deploy({
      changeEnvoy(envoy) {
        openRoute(envoy);
        virtualHost(envoy).domains = ['127.0.0.1:*', 'localhost:*'];
      },
    });
    const also = `${deployment?.url.replace('127.0.0.1', 'localhost')}/elsewhere`;
    const all = await verify(['--echo-path', '/transfer', '--open-path', '/open', '--also', also]);
    expect(all).toMatchObject({ exit: 0, failed: [], unasked: ['VD-04', 'VD-15'] });
    expect(all.text).toContain('tier A');
    expect(all.text).toContain('upstream saw alice');
    expect(await verify()).toMatchObject({
      exit: 0,
      failed: [],
      unasked: ['VD-04', 'VD-10', 'VD-13', 'VD-14', 'VD-15'],
    });
  }, 60_000);

  test('finds a proxy that does not ask at all', async () => {
    const verify = await deploy({
      changeEnvoy(envoy) {
        const { http_filters: filters } = connectionManager(envoy);
        connectionManager(envoy).http_filters = filters.filter(
          ({ name }: EnvoyTree) => name !== 'envoy.filters.http.ext_authz',
        );
      },
    });
    const report = await verify(['--echo-path', '/transfer']);
    expect(report.exit).toBe(6);
    expect(report.failed).toEqual(
      expect.arrayContaining(['VD-01', 'VD-02', 'VD-03', 'VD-05', 'VD-06', 'VD-08', 'VD-09']),
    );
  }, 60_000);

  test('finds a proxy that does not buffer under a configuration that says it does', async () => {
    const verify = await deploy({
      change: (config) => {
        (config['envoy'] as Record<string, unknown>) = { ...(config['envoy'] as object), assumeBuffered: true };
      },
      changeEnvoy: (envoy) => void delete extAuthz(envoy).with_request_body,
    });
    expect(await verify()).toMatchObject({ exit: 6, failed: expect.arrayContaining(['VD-06']) });
  }, 60_000);

  test('finds a proxy that lets identity headers of clients through where the filter is off', async () => {
    const verify = await deploy({
      changeEnvoy(envoy) {
        openRoute(envoy);
        delete connectionManager(envoy).early_header_mutation_extensions;
      },
    });
    expect(await verify(['--open-path', '/open'])).toMatchObject({ exit: 6, failed: ['VD-14'] });
  }, 60_000);

  test('takes no refusal of an unknown key for one of what was altered', async () => {
    const verify = await deploy();
    const report = await verify(['--kid', 'not-registered']);
    expect(report).toMatchObject({ exit: 6, passed: ['VD-02'], failed: ['VD-01', 'VD-03', 'VD-07'] });
    expect(report.unclear).toEqual(['VD-05', 'VD-06', 'VD-08', 'VD-09', 'VD-11', 'VD-12']);
  }, 60_000);

  test('finds another spelling of a path that gets to an upstream, even one that has nothing there', async () => {
    const verify = await deploy({
      changeEnvoy(envoy) {
        connectionManager(envoy).path_with_escaped_slashes_action = 'KEEP_UNCHANGED';
        const { routes } = virtualHost(envoy);
        routes.unshift({
          name: 'lost',
          match: { safe_regex: { regex: '.*%2fy' } },
          direct_response: { status: 404, body: { inline_string: 'nothing of that name' } },
          typed_per_filter_config: routes[0].typed_per_filter_config,
        });
      },
    });
    expect((await verify()).failed).toContain('VD-11');
  }, 60_000);

  test('finds a way round the proxy', async () => {
    const verify = await deploy({ changeEnvoy: openRoute });
    expect(await verify(['--also', `${deployment?.url}/open`])).toMatchObject({ exit: 6, failed: ['VD-13'] });
  }, 60_000);

  test('exits 4 when nobody is there, and 2 for a path that is none', async () => {
    const keyFile = join(folder.path, 'k.jwk');
    await countersign(['keys', 'client', '--alg', 'Ed25519', '--out', keyFile]);
    const as = ['--scheme', 'challenge-signature', '--key', keyFile, '--user', 'alice'];
    expect((await countersign(['verify-deployment', ...as, 'http://127.0.0.1:1/'])).exit).toBe(4);
    const wrong = await countersign(['verify-deployment', ...as, '--echo-path', 'x', 'http://127.0.0.1:1/']);
    expect(wrong).toMatchObject({ exit: 2, stderr: expect.stringContaining('--echo-path: expected a path') });
    writeFileSync(keyFile, 'no key');
    expect((await countersign(['verify-deployment', ...as, 'http://127.0.0.1:1/'])).exit).toBe(7);
  }, 60_000);

  describe('of an upstream that refuses with an empty answer', () => {
    let upstream: Server;
    let status: number;
    beforeEach(async () => {
      upstream = createServer((_request, response) => response.writeHead(status).end()).listen(0, '127.0.0.1');
      await once(upstream, 'listening');
    });
    afterEach(() => upstream.close().closeAllConnections());

    /** What is altered in its path gets there, and other spellings do. */
    function letThrough(envoy: EnvoyTree, headers: readonly object[] = []): void {
      const { port } = upstream.address() as AddressInfo;
      const lost = { ...structuredClone(cluster(envoy, 'backend')), name: 'lost' };
      envoy.static_resources.clusters.push(lost);
      lost.load_assignment.cluster_name = 'lost';
      setEndpoints(envoy, 'lost', [`127.0.0.1:${port}`]);
      connectionManager(envoy).path_with_escaped_slashes_action = 'KEEP_UNCHANGED';
      const { routes } = virtualHost(envoy);
      routes.unshift({
        name: 'lost',
        match: { prefix: '/transfer/x', headers },
        route: { cluster: 'lost' },
        typed_per_filter_config: routes[0].typed_per_filter_config,
      });
    }

    test.each([401, 403, 404])(
      'takes its %d for no refusal of ours',
      async (one) => {
        status = one;
        const verify = await deploy({ changeEnvoy: (envoy) => letThrough(envoy) });
        expect(await verify()).toMatchObject({ exit: 6, failed: ['VD-05', 'VD-11'] });
      },
      60_000,
    );

    test('takes its 404 for none of the proxy where the proxy does not mark answers, and says so where it can not know', async () => {
      status = 404;
      const verify = await deploy({
        changeEnvoy(envoy) {
          letThrough(envoy, [{ name: 'authorization', present_match: true }]);
          connectionManager(envoy).http_filters.at(-1).typed_config.suppress_envoy_headers = true;
          connectionManager(envoy).path_with_escaped_slashes_action = 'REJECT_REQUEST';
        },
      });
      expect(await verify()).toMatchObject({ exit: 6, failed: ['VD-05'], unclear: ['VD-11'] });
    }, 60_000);
  });

  test('takes no refusal of the upstream for one of ours', async () => {
    const verify = await deploy({
      changeEnvoy(envoy) {
        openRoute(envoy);
        const { routes } = virtualHost(envoy);
        // What is altered gets through, and is refused for another reason.
        routes.unshift({
          name: 'put',
          match: { prefix: '/transfer', headers: [{ name: ':method', string_match: { exact: 'PUT' } }] },
          direct_response: { status: 405 },
          typed_per_filter_config: routes[0].typed_per_filter_config,
        });
      },
    });
    const report = await verify(['--open-path', '/nowhere']);
    expect(report).toMatchObject({ exit: 6, failed: ['VD-05', 'VD-14'] });
  }, 60_000);
});
