import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { extAuthz, virtualHost, type EnvoyTree } from '../../scripts/envoy-config.ts';
import { envoyBinary } from '../../scripts/fetch-envoy.ts';
import { freePort } from '../../scripts/processes.ts';
import { root } from '../../scripts/tool.ts';
import { PATIENCE } from '../support/deployment.ts';
import { containersOf, ofKind, render, type Manifest } from './chart.ts';
import { runPod, type Ran } from './pod-runner.ts';

const PORTS = ['10000', '9901', '9090', '8080'];
const FILTER = 'envoy.filters.http.ext_authz';

/** @param spoil what a test does to the manifests before. @returns the containers that end, and what they said. */
async function helmTest(values: string, spoil: (manifests: Manifest[]) => void = () => undefined): Promise<Ran[]> {
  const manifests = await render({ values });
  bePatient(manifests);
  spoil(manifests);
  const envoy = await envoyBinary();
  const ports = await Promise.all(PORTS.map(async (port) => [port, await freePort()] as const));
  return runPod({
    pod: ofKind(manifests, 'Pod')[0],
    manifests,
    program: (_image, [command]) => (command === 'envoy' ? [envoy] : [process.execPath, join(root, 'src', 'cli.ts')]),
    // There is no release here: the pod's own countersign answers for it.
    rewrite: [
      ['rel-countersign-metrics.auth.svc', '127.0.0.1'],
      ...ports.flatMap(([port, free]): [string, string][] => [
        [`:${port}`, `:${free}`],
        [`port_value: ${port}`, `port_value: ${free}`],
      ]),
    ],
  });
}

describe.each(['standalone', 'sidecar'])('helm test with %s values', (values) => {
  let ran: Ran[];
  beforeAll(async () => {
    ran = await helmTest(values);
  }, 120_000);

  test('every step ends well', () => {
    expect(ran.filter(({ exit }) => exit !== 0)).toEqual([]);
    expect(ran.at(-1)?.name).toBe('verify');
  });

  test('an allow and refusals are proven', () => {
    const { output = '' } = ran.at(-1) ?? {};
    for (const probe of ['VD-01', 'VD-02', 'VD-03', 'VD-05', 'VD-12'])
      expect(output).toMatch(new RegExp(`^pass +${probe} `, 'm'));
    expect(output).not.toMatch(/^fail/m);
  });
});

/** Tests share a machine with each other: what takes long there is not what they are about. */
function bePatient(manifests: Manifest[]): void {
  withEnvoy((config) => {
    const service = extAuthz(config).grpc_service;
    service.timeout = '8s';
    service.retry_policy.retry_back_off.max_interval = '4s';
  })(manifests);
  const map = ofKind(manifests, 'ConfigMap').find(({ data }) => 'envoy.yaml' in data);
  map.data['config.yaml'] += `envoy: {checkBudget: ${PATIENCE}}\n`;
}

/** What changes Envoy's configuration before the pod runs. */
function withEnvoy(change: (config: EnvoyTree) => void): (manifests: Manifest[]) => void {
  return (manifests) => {
    const map = ofKind(manifests, 'ConfigMap').find(({ data }) => 'envoy.yaml' in data);
    const config = parse(map.data['envoy.yaml']);
    change(config);
    map.data['envoy.yaml'] = stringify(config, { lineWidth: 0 });
  };
}

test('helm test fails when requests pass unjudged', async () => {
  const ran = await helmTest(
    'sidecar',
    withEnvoy((config) => {
      const off = { '@type': virtualHost(config).routes[0].typed_per_filter_config[FILTER]['@type'], disabled: true };
      for (const route of virtualHost(config).routes) route.typed_per_filter_config = { [FILTER]: off };
    }),
  );
  expect(ran.at(-1)).toMatchObject({ name: 'verify', exit: 6, output: expect.stringMatching(/^fail +VD-02/m) });
}, 120_000);

test('helm test fails when nothing passes', async () => {
  const ran = await helmTest(
    'sidecar',
    withEnvoy((config) => {
      const { check_settings: settings } = virtualHost(config).typed_per_filter_config[FILTER];
      settings.context_extensions['countersign.route'] = 'gone';
    }),
  );
  expect(ran.at(-1)).toMatchObject({ name: 'verify', exit: 6, output: expect.stringMatching(/^fail +VD-01/m) });
}, 120_000);

test('its probes start the program that the image starts, and run as its user', async () => {
  const dockerfile = await readFile(join(root, 'deploy', 'Dockerfile'), 'utf8');
  const entrypoint: string[] = JSON.parse(/^ENTRYPOINT (.+)$/m.exec(dockerfile)?.[1] ?? '[]');
  const [, user] = /^USER (\d+):\1$/m.exec(dockerfile) ?? [];
  const [{ spec }] = ofKind(await render({ values: 'standalone' }), 'Pod');
  expect(spec.securityContext).toMatchObject({ runAsUser: Number(user), runAsGroup: Number(user) });
  const probes: string[] = containersOf(spec).flatMap(
    ({ startupProbe }: Manifest) => startupProbe?.exec?.command ?? [],
  );
  expect(probes.slice(0, 2)).toEqual([entrypoint[0], entrypoint.at(-1)]);
});
