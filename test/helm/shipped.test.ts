import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { envoyBinary } from '../../scripts/fetch-envoy.ts';
import { kubectlBinary } from '../../scripts/fetch-helm.ts';
import { connectionManager, extAuthz, renderEnvoy, virtualHost, type EnvoyTree } from '../../scripts/envoy-config.ts';
import { root } from '../../scripts/tool.ts';
import { ofKind, parseManifests, podsOf, render, type Manifest } from './chart.ts';
import { bestPracticesMissing, violationsOf } from './pod-security.ts';
import { problemsOf } from './schemas.ts';

const deploy = (...path: string[]) => join(root, 'deploy', ...path);

async function manifestsIn(folder: string, except: readonly string[] = []): Promise<Manifest[]> {
  const files = (await readdir(deploy(folder))).filter((file) => !except.includes(file));
  const texts = await Promise.all(files.map((file) => readFile(deploy(folder, file), 'utf8')));
  return texts.flatMap(parseManifests);
}

async function kustomize(folder: string): Promise<Manifest[]> {
  const { stdout } = await promisify(execFile)(await kubectlBinary(), ['kustomize', folder]);
  return parseManifests(stdout);
}

const recipe = parse(await readFile(deploy('envoy.yaml'), 'utf8'));

/** What decides whether something unproven can pass; the rest of a product's filter is its own business. */
const DECISIVE = {
  encode_raw_headers: true,
  failure_mode_allow: false,
  clear_route_cache: false,
  validate_mutations: true,
  status_on_error: extAuthz(recipe).status_on_error,
  with_request_body: extAuthz(recipe).with_request_body,
};

async function accepted(config: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-mesh-'));
  try {
    await writeFile(join(folder, 'envoy.yaml'), config);
    for (const version of ['newest', 'oldest'] as const)
      await promisify(execFile)(await envoyBinary(version), [
        '--mode',
        'validate',
        '-l',
        'error',
        '-c',
        join(folder, 'envoy.yaml'),
      ]);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Envoy's merge of messages: members one by one, lists appended. */
function merge(into: EnvoyTree, patch: EnvoyTree): EnvoyTree {
  if (Array.isArray(into) && Array.isArray(patch)) return [...into, ...patch];
  if (typeof into !== 'object' || typeof patch !== 'object') return patch;
  const merged = { ...into };
  for (const [key, value] of Object.entries(patch)) merged[key] = key in merged ? merge(merged[key], value) : value;
  return merged;
}

const ADDRESSES = { adminPort: 0, listenPort: 0, check: 'unix:/x', issuer: '127.0.0.1:1', backend: '127.0.0.1:2' };

test.each(['istio', 'envoy-gateway'])(
  'every manifest of deploy/%s passes the strict schema of its kind',
  async (folder) => {
    const manifests = await manifestsIn(folder, ['mesh-config.yaml']);
    expect(manifests.length).toBeGreaterThan(3);
    expect(manifests.flatMap(problemsOf)).toEqual([]);
  },
);

test('the provider of Istio has only members that Istio 1.31 knows, and fails closed', async () => {
  const { meshConfig, ...rest } = parse(await readFile(deploy('istio', 'mesh-config.yaml'), 'utf8'));
  expect([rest, Object.keys(meshConfig)]).toEqual([{}, ['extensionProviders']]);
  // ExtensionProvider.EnvoyExternalAuthorizationGrpcProvider of istio.io/api v1.31.4, mesh/v1alpha1/config.proto.
  expect(meshConfig.extensionProviders).toEqual([
    {
      name: 'countersign',
      envoyExtAuthzGrpc: {
        service: expect.any(String),
        port: 9001,
        timeout: '0.5s',
        failOpen: false,
        statusOnError: '503',
        clearRouteCache: false,
        includeRequestBodyInCheck: { maxRequestBytes: 1_048_576, allowPartialMessage: false, packAsBytes: true },
      },
    },
  ]);
});

test('with its EnvoyFilter Istio reaches tier A, in a configuration that both Envoys accept', async () => {
  const [filter] = ofKind(await manifestsIn('istio', ['mesh-config.yaml']), 'EnvoyFilter');
  const patches = new Map<string, EnvoyTree>(
    filter.spec.configPatches.map(({ applyTo, patch }: EnvoyTree) => [applyTo, patch.value]),
  );
  let merged: EnvoyTree;
  const config = renderEnvoy(ADDRESSES, (tree) => {
    const manager = connectionManager(tree);
    const { early_header_mutation_extensions: early, ...plain } = manager;
    // What Istio makes of the provider; the path normalisation of the mesh's defaults.
    manager.http_filters[0].typed_config = {
      '@type': extAuthz(recipe)['@type'],
      transport_api_version: 'V3',
      grpc_service: { envoy_grpc: { cluster_name: 'countersign' }, timeout: '0.5s' },
      with_request_body: { max_request_bytes: 1_048_576, allow_partial_message: false, pack_as_bytes: true },
      failure_mode_allow: false,
      clear_route_cache: false,
      status_on_error: { code: 'ServiceUnavailable' },
    };
    merged = merge(extAuthz(tree), patches.get('HTTP_FILTER').typed_config);
    manager.http_filters[0].typed_config = merged;
    const whole = merge(plain, patches.get('NETWORK_FILTER').typed_config);
    expect(whole.early_header_mutation_extensions).toEqual(early);
    tree.static_resources.listeners[0].filter_chains[0].filters[0].typed_config = whole;
    const host = virtualHost(tree);
    Object.assign(host, merge({ ...host, typed_per_filter_config: {} }, patches.get('VIRTUAL_HOST')));
  });
  expect(merged).toMatchObject(DECISIVE);
  expect(merged.grpc_service).toEqual(extAuthz(recipe).grpc_service);
  expect(merged.decoder_header_mutation_rules).toEqual(extAuthz(recipe).decoder_header_mutation_rules);
  await accepted(config);
}, 60_000);

/** As Envoy Gateway 1.9 makes it of deploy/envoy-gateway/security-policy.yaml. */
const GENERATED = {
  name: 'envoy.filters.http.ext_authz/securitypolicy/default/countersign',
  typed_config: {
    '@type': extAuthz(recipe)['@type'],
    transport_api_version: 'V3',
    grpc_service: { envoy_grpc: { cluster_name: 'countersign' }, timeout: '0.500s' },
    with_request_body: { max_request_bytes: 1_048_576 },
    status_on_error: { code: 'ServiceUnavailable' },
  },
};

test('with its patches Envoy Gateway sends raw headers and raw bodies, in a configuration that both Envoys accept', async () => {
  const manifests = await manifestsIn('envoy-gateway');
  const [policy] = ofKind(manifests, 'EnvoyPatchPolicy');
  const [security] = ofKind(manifests, 'SecurityPolicy');
  expect(security.spec.extAuth).toMatchObject({ failOpen: false, statusOnError: 503, timeout: '500ms' });
  const [gateway] = ofKind(manifests, 'Gateway');
  const filter = structuredClone(GENERATED);
  for (const { name, operation } of policy.spec.jsonPatches) {
    expect(name).toBe(`default/${gateway.metadata.name}/${gateway.spec.listeners[0].name}`);
    const [, filterName, path = ''] =
      /^\.\.http_filters\[\?\(@\.name=='([^']+)'\)\]((?:\.\w+)+)$/.exec(operation.jsonPath) ?? [];
    expect([operation.op, filterName]).toEqual(['add', filter.name]);
    const target = path
      .slice(1)
      .split('.')
      .reduce((node: EnvoyTree, member) => node[member], filter);
    target[operation.path.slice(1)] = operation.value;
  }
  // Absent is false in all three.
  expect({ failure_mode_allow: false, clear_route_cache: false, ...filter.typed_config }).toMatchObject({
    ...DECISIVE,
    with_request_body: { max_request_bytes: 1_048_576, pack_as_bytes: true },
  });
  await accepted(renderEnvoy(ADDRESSES, (tree) => (connectionManager(tree).http_filters[0] = filter)));
}, 60_000);

test('the kustomize base is what the chart renders', async () => {
  const own = (manifests: readonly Manifest[]) =>
    new Map(
      manifests.map((manifest): [string, Manifest] => {
        const { kind, metadata, spec } = structuredClone(manifest);
        for (const labels of [spec?.template?.metadata?.labels ?? {}]) delete labels['app.kubernetes.io/part-of'];
        delete spec?.template?.metadata?.annotations?.['checksum/config'];
        return [`${kind} ${metadata.name}`, spec];
      }),
    );
  const chart = await render({ values: 'standalone', set: ['tests.enabled=false', 'fullnameOverride="countersign"'] });
  const text = JSON.stringify(chart).replaceAll(
    '"app.kubernetes.io/instance":"rel"',
    '"app.kubernetes.io/instance":"countersign"',
  );
  const [base, rendered] = [own(await kustomize(deploy('kustomize', 'base'))), own(JSON.parse(text))];
  expect([...base.keys()].toSorted()).toEqual([...rendered.keys()].toSorted());
  for (const [name, spec] of base) expect([name, spec]).toEqual([name, rendered.get(name)]);
});

test('the configuration of the kustomize base says what the one of the chart says', async () => {
  const map = ofKind(await render({ values: 'standalone' }), 'ConfigMap').find(({ data }) => 'config.yaml' in data);
  expect(parse(await readFile(deploy('kustomize', 'base', 'config.yaml'), 'utf8'))).toEqual(
    parse(map.data['config.yaml']),
  );
});

test('what kustomize makes passes strict schemas, Pod Security restricted and the checkers of practice', async () => {
  const base = await kustomize(deploy('kustomize', 'base'));
  expect(base.flatMap(problemsOf)).toEqual([]);
  for (const { spec } of podsOf(base)) expect([violationsOf(spec), bestPracticesMissing(spec)]).toEqual([[], []]);
});

test('the kustomize component puts the sidecar before the other init containers and gives the proxy its socket', async () => {
  const manifests = await kustomize(join(import.meta.dirname, 'app'));
  expect(manifests.flatMap(problemsOf)).toEqual([]);
  const { spec } = ofKind(manifests, 'Deployment')[0].spec.template;
  expect(spec.initContainers.map(({ name }: Manifest) => name)).toEqual([
    'countersign-validate',
    'countersign',
    'first',
  ]);
  expect(spec.initContainers[1].restartPolicy).toBe('Always');
  const mounts = Object.fromEntries(spec.containers.map(({ name, volumeMounts }: Manifest) => [name, volumeMounts]));
  expect(mounts).toEqual({ app: undefined, envoy: [{ name: 'countersign-run', mountPath: '/run/countersign' }] });
  const own = { ...spec, containers: [], initContainers: spec.initContainers.slice(0, 2) };
  expect([violationsOf(own), bestPracticesMissing(own)]).toEqual([[], []]);
});

test('the sidecar of the component is the one of the chart', async () => {
  const [policy] = ofKind(await render({ values: 'sidecar' }), 'MutatingAdmissionPolicy');
  const manifests = await kustomize(join(import.meta.dirname, 'app'));
  const { securityContext, startupProbe, livenessProbe, readinessProbe, args, resources } = ofKind(
    manifests,
    'Deployment',
  )[0].spec.template.spec.initContainers[1];
  const expression = policy.spec.mutations[0].jsonPatch.expression.replaceAll(/dyn\(([^()]+)\)/g, '$1');
  const plain = expression.replaceAll('dyn(', '').replaceAll(')', '').replaceAll(': ', ':').replaceAll(', ', ',');
  for (const part of [securityContext, startupProbe, livenessProbe, readinessProbe, args, resources])
    expect(plain).toContain(JSON.stringify(sorted(part)));
});

/** Members in the order of their names, as helm writes them. */
function sorted(value: Manifest): Manifest {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, sorted(member)]),
  );
}

test('the mesh lets nobody but the gateway call Check, and in plaintext only metrics are reached', async () => {
  const manifests = await manifestsIn('istio', ['mesh-config.yaml']);
  const [peers] = ofKind(manifests, 'PeerAuthentication');
  expect(peers.spec.mtls.mode).toBe('STRICT');
  expect(Object.keys(peers.spec.portLevelMtls)).toEqual(['9090']);
  const deny = ofKind(manifests, 'AuthorizationPolicy').find(({ spec }) => spec.action === 'DENY');
  expect(deny.spec.rules).toEqual([
    {
      from: [{ source: { notPrincipals: ['cluster.local/ns/istio-ingress/sa/ingress'] } }],
      to: [{ operation: { ports: ['9001'] } }],
    },
  ]);
});
