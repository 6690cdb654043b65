import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, describe } from '@jest/globals';
import { parse } from 'yaml';
import {
  ADMISSION_POLICY,
  chartFolder,
  containersOf,
  helm,
  ofKind,
  podsOf,
  render,
  valuesNames,
  type Manifest,
} from './chart.ts';
import { bestPracticesMissing, violationsOf } from './pod-security.ts';
import { problemsOf } from './schemas.ts';

test('there is a values file for every way it is installed', () => {
  expect(valuesNames.toSorted()).toEqual(
    'cert-manager hpa istio maximal memory minimal mtls redis-cluster redis-sentinel redis-single sidecar standalone'.split(
      ' ',
    ),
  );
});

describe.each(valuesNames)('with %s values', (values) => {
  test('helm lint --strict finds nothing', async () => {
    const file = join(chartFolder, 'ci', `${values}-values.yaml`);
    await expect(helm(['lint', '--strict', chartFolder, '--values', file])).resolves.toContain('0 chart(s) failed');
  });

  test('every manifest passes the strict schema of its kind', async () => {
    expect((await render({ values })).flatMap(problemsOf)).toEqual([]);
  });

  test('every pod is admitted by Pod Security restricted and keeps to the checkers of practice', async () => {
    const pods = podsOf(await render({ values }));
    expect(pods.length).toBeGreaterThan(0);
    for (const { spec } of pods) {
      expect(violationsOf(spec)).toEqual([]);
      expect(bestPracticesMissing(spec)).toEqual([]);
    }
  });

  test('every mount has its volume, and nothing that is mounted is a hostPath', async () => {
    for (const { spec } of podsOf(await render({ values }))) {
      const volumes = (spec.volumes ?? []).map(({ name }: Manifest) => name);
      const mounts = containersOf(spec).flatMap(({ volumeMounts = [] }: Manifest) => volumeMounts);
      expect(volumes).toEqual(expect.arrayContaining(mounts.map(({ name }: Manifest) => name)));
      expect(new Set(volumes).size).toBe(volumes.length);
    }
  });

  test('no ConfigMap holds a secret, and the only Secret is the token of the test pod', async () => {
    const manifests = await render({ values });
    for (const { data } of ofKind(manifests, 'ConfigMap')) {
      expect(JSON.stringify(data)).not.toMatch(/PRIVATE KEY|"(password|token|material)\\?":/);
    }
    expect(ofKind(manifests, 'Secret').map(({ metadata }) => metadata.annotations['helm.sh/hook'])).toEqual(['test']);
  });

  test('all that is selected has what selects it', async () => {
    const manifests = await render({ values });
    const labels = ofKind(manifests, 'Deployment').map(({ spec }) => spec.template.metadata.labels);
    const selectors = [
      ...ofKind(manifests, 'Deployment').map(({ spec }) => spec.selector.matchLabels),
      ...ofKind(manifests, 'Service').map(({ spec }) => spec.selector),
      ...ofKind(manifests, 'NetworkPolicy')
        .filter(({ metadata }) => metadata.annotations === undefined)
        .map(({ spec }) => spec.podSelector.matchLabels),
      ...ofKind(manifests, 'PodDisruptionBudget').map(({ spec }) => spec.selector.matchLabels),
    ];
    for (const selector of selectors) expect(labels).toContainEqual(expect.objectContaining(selector));
  });

  test('the image by digest has no tag', async () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    const manifests = await render({ values, set: [`image.digest="${digest}"`] });
    const images = podsOf(manifests)
      .flatMap(({ spec }) => containersOf(spec))
      .filter(({ name }) => name !== 'envoy')
      .map(({ image }) => image);
    expect(new Set(images).size).toBe(1);
    expect(images[0]).toMatch(new RegExp(`^[^@:]+@${digest}$`));
  });
});

test.each([
  [
    'imagePulPolicy beside image',
    { spec: { template: { spec: { containers: [{ name: 'a', imagePulPolicy: 'Always' }] } } } },
  ],
  [
    'an unknown probe member',
    { spec: { template: { spec: { containers: [{ name: 'a', livenessProbe: { path: '/' } }] } } } },
  ],
  ['replicas as text', { spec: { replicas: '2', selector: {}, template: {} } }],
  ['an unknown member at the top', { specs: {} }],
])('the schemas refuse %s', (_what, wrong) => {
  expect(problemsOf({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'a' }, ...wrong })).not.toEqual([]);
});

test('the schemas refuse an unknown member of a custom resource, and a kind that nobody vendored', () => {
  const rule = { apiVersion: 'monitoring.coreos.com/v1', kind: 'PrometheusRule', metadata: { name: 'a' } };
  expect(problemsOf({ ...rule, spec: { groups: [{ name: 'a', rulez: [] }] } })[0]).toContain('"rulez"');
  expect(problemsOf({ ...rule, kind: 'Probe' })).toEqual(['no schema for monitoring.coreos.com/v1 Probe']);
});

test.each([
  ['hostNetwork', (spec: Manifest) => (spec.hostNetwork = true)],
  ['volume', (spec: Manifest) => spec.volumes.push({ name: 'h', hostPath: { path: '/' } })],
  [
    'runAsNonRoot',
    (spec: Manifest) => {
      spec.securityContext = {};
      delete spec.containers[0].securityContext.runAsNonRoot;
    },
  ],
  ['allowPrivilegeEscalation', (spec: Manifest) => delete spec.containers[0].securityContext.allowPrivilegeEscalation],
  ['capabilities.drop', (spec: Manifest) => (spec.initContainers[0].securityContext.capabilities = {})],
  [
    'seccompProfile',
    (spec: Manifest) => {
      spec.securityContext = {};
      delete spec.containers[0].securityContext.seccompProfile;
    },
  ],
])('the check of Pod Security sees %s', async (what, spoil) => {
  const [pod] = podsOf(await render({ values: 'standalone' }));
  spoil(pod?.spec);
  expect(violationsOf(pod?.spec).join()).toContain(what);
});

test('every value of values.yaml is in the schema, and the other way round', () => {
  const schema = JSON.parse(readFileSync(join(chartFolder, 'values.schema.json'), 'utf8'));
  const values = parse(readFileSync(join(chartFolder, 'values.yaml'), 'utf8'));
  expect(
    Object.keys(schema.properties)
      .filter((name) => name !== 'global')
      .toSorted(),
  ).toEqual(Object.keys(values).toSorted());
});

test.each([
  ['imagee={}', 'imagee'],
  ['image={"repo":"x"}', 'repo'],
  ['networkPolicy={"redis":{"from":[]}}', 'from'],
  ['tls={"existingSecret":"a","allowedSan":[]}', 'allowedSan'],
  ['replicaCount=0', 'replicaCount'],
  ['mode="daemonset"', 'mode'],
  ['image={"digest":"sha256:beef"}', 'digest'],
  ['extraVolumes=[{"name":"h","hostPath":{"path":"/"}}]', 'hostPath'],
  ['networkPolicy={"envoy":[{}]}', 'envoy'],
])('refuses the values %s by schema', async (set, named) => {
  await expect(render({ values: 'minimal', set: [set] })).rejects.toThrow(named);
});

test.each([
  ['memory', ['replicaCount=2'], 'config.store.type: expected redis'],
  ['minimal', ['autoscaling={"enabled":true}'], 'config.store.type: expected redis'],
  ['redis-single', ['keys={"generate":true}'], 'keys.generate: expected replicaCount 1'],
  ['memory', ['keys={"generate":true,"existingSecret":"a"}'], 'either keys.existingSecret or keys.generate'],
  ['redis-single', ['tls={"existingSecret":"","allowedSans":[]}'], 'the check listener is reached over the network'],
  ['redis-single', ['tls={"existingSecret":"a","allowedSans":[]}'], 'tls.allowedSans: expected'],
  ['cert-manager', ['certManager={"enabled":true,"issuerRef":{}}'], 'certManager.enabled: expected'],
  ['redis-single', ['admin={"existingSecret":"a"}'], 'expected config.insecure.wideAdmin'],
  ['redis-single', ['sidecar={"injection":"admissionPolicy"}'], 'expected none with mode standalone'],
  ['redis-single', ['config.listeners={"check":{"address":"0.0.0.0:900{worker}"}}'], 'expected one address'],
  ['redis-single', ['config.process={"checkWorkers":"auto"}'], 'expected resources beside'],
  [undefined, [], 'config.store: expected the configuration'],
])('with %s values refuses %j', async (values, set, message) => {
  await expect(render({ ...(values !== undefined && { values }), set })).rejects.toThrow(message);
});

test('the values that the documentation shows are accepted', async () => {
  const text = readFileSync(join(chartFolder, '..', '..', 'docs', 'kubernetes.md'), 'utf8');
  const blocks = [...text.matchAll(/^```yaml\n([^]*?)^```/gm)].map(([, block = '']) => parse(block));
  const values = blocks.filter((block) => block.config !== undefined);
  expect(values.length).toBeGreaterThan(0);
  for (const { image, ...rest } of values) {
    expect(Object.keys(image)).toEqual(['repository', 'digest']);
    const set = Object.entries(rest).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    expect((await render({ set })).flatMap(problemsOf)).toEqual([]);
  }
});

test('one replica with memory replaces its pod instead of running two', async () => {
  const [deployment] = ofKind(await render({ values: 'memory' }), 'Deployment');
  expect(deployment.spec.strategy).toEqual({ type: 'Recreate' });
});

test('a rolling update never goes below what is asked for', async () => {
  const [deployment] = ofKind(await render({ values: 'standalone' }), 'Deployment');
  expect(deployment.spec).toMatchObject({
    replicas: 2,
    minReadySeconds: 5,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
  });
  const hpa = await render({ values: 'hpa' });
  expect(ofKind(hpa, 'Deployment')[0].spec.replicas).toBeUndefined();
  expect(ofKind(hpa, 'HorizontalPodAutoscaler')[0].spec).toMatchObject({ minReplicas: 3, maxReplicas: 20 });
});

test.each([
  ['standalone', [], 30],
  ['maximal', [], 40],
  ['standalone', ['config.process={"drainDelay":"500ms","drainTimeout":"1m"}'], 71],
  ['standalone', ['config.process={"drainDelay":"1m","drainTimeout":"60s"}'], 130],
  ['standalone', ['existingConfigMap="mine"'], 130],
] as const)('with %s values and %j a pod may take as long as its drain and 10 s', async (values, set, seconds) => {
  const [deployment] = ofKind(await render({ values, set }), 'Deployment');
  expect(deployment.spec.template.spec.terminationGracePeriodSeconds).toBe(seconds);
});

test.each([
  ['standalone', [], '1250m', '384Mi', '768Mi'],
  ['standalone', ['config.process={"checkWorkers":4}'], '4250m', '864Mi', '1536Mi'],
  ['standalone', ['config.process={"model":"single"}'], '1000m', '128Mi', '256Mi'],
  ['standalone', ['config.schemes={"opaque-pop":{}}'], '1250m', '512Mi', '1024Mi'],
  ['memory', [], '1000m', '128Mi', '256Mi'],
] as const)(
  'with %s values and %j the resources are those of the processes',
  async (values, set, cpu, memory, limit) => {
    const [deployment] = ofKind(await render({ values, set }), 'Deployment');
    const { resources } = deployment.spec.template.spec.containers[0];
    expect(resources).toEqual({ requests: { cpu, memory }, limits: { memory: limit } });
  },
);

test('a sidecar asks for little', async () => {
  const [policy] = ofKind(await render({ values: 'sidecar' }), 'MutatingAdmissionPolicy');
  expect(policy.spec.mutations[0].jsonPatch.expression).toContain(
    '"resources": dyn({"limits": dyn({"memory": dyn("256Mi")}), "requests": dyn({"cpu": dyn("50m"), "memory": dyn("128Mi")})})',
  );
});

describe('NetworkPolicy', () => {
  const policyOf = async (values: string, set: readonly string[] = []) =>
    ofKind(await render({ values, set }), 'NetworkPolicy').find(({ metadata }) => metadata.annotations === undefined)
      ?.spec;

  test('denies both ways but for the named: Envoy to the check port alone, Redis and DNS outwards', async () => {
    const { policyTypes, ingress, egress } = await policyOf('standalone');
    expect(policyTypes).toEqual(['Ingress', 'Egress']);
    const client = { podSelector: { matchLabels: { 'countersign.dev/client': 'true' } } };
    expect(ingress.map(({ from, ports }: Manifest) => [ports.map(({ port }: Manifest) => port), from[0]])).toEqual([
      [['check'], client],
      [['issuer'], client],
      [['admin'], { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
    ]);
    expect(egress.map(({ ports }: Manifest) => ports.map(({ port }: Manifest) => port))).toEqual([
      [6379, 26_379],
      [53, 53],
    ]);
    expect([...ingress, ...egress].every(({ from, to }: Manifest) => (from ?? to).length > 0)).toBe(true);
  });

  test('takes an empty list for nobody, never for everybody', async () => {
    const nobody = 'networkPolicy={"envoy":[],"issuer":[],"metrics":[],"redis":{"to":[]},"dns":{"to":[]}}';
    const { ingress, egress, policyTypes } = await policyOf('standalone', [nobody, 'tests.enabled=false']);
    expect([ingress, egress, policyTypes]).toEqual([null, null, ['Ingress', 'Egress']]);
  });

  test('lets nothing out without a Redis', async () => {
    expect((await policyOf('memory')).egress).toBeNull();
  });

  test('lets the test pod ask the release whether it is ready, and nothing else', async () => {
    for (const [values, ports] of [
      ['standalone', ['admin', 53, 53]],
      ['sidecar', []],
    ] as const) {
      const policies = ofKind(await render({ values }), 'NetworkPolicy');
      const { spec } = policies.find(({ metadata }) => metadata.annotations !== undefined);
      expect(spec.policyTypes).toEqual(['Ingress', 'Egress']);
      expect(spec.ingress).toBeUndefined();
      const rules: { ports: { port: unknown }[] }[] = spec.egress ?? [];
      expect(rules.flatMap((rule) => rule.ports.map(({ port }) => port))).toEqual(ports);
    }
  });

  test('is not rendered for pods that are not ours', async () => {
    expect(await policyOf('sidecar')).toBeUndefined();
  });
});

test('injection is rendered only where the cluster has it, refuses what it cannot do, and touches its own namespace only', async () => {
  const [policy] = ofKind(await render({ values: 'sidecar' }), 'MutatingAdmissionPolicy');
  expect(policy.spec).toMatchObject({
    failurePolicy: 'Fail',
    matchConstraints: {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'auth' } },
      objectSelector: { matchLabels: { 'countersign.dev/inject': 'true' } },
    },
    mutations: [{ patchType: 'JSONPatch' }],
  });
  expect(ofKind(await render({ values: 'sidecar', apis: [] }), 'MutatingAdmissionPolicy')).toEqual([]);
  const [beta] = ofKind(
    await render({ values: 'sidecar', apis: [ADMISSION_POLICY.replace('v1', 'v1beta1')] }),
    'MutatingAdmissionPolicy',
  );
  expect(beta.apiVersion).toBe('admissionregistration.k8s.io/v1beta1');
  expect(problemsOf(beta)).toEqual([]);
});
