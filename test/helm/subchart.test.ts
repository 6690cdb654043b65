import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { chartFolder, helm, ofKind, parseManifests, type Manifest } from './chart.ts';
import { violationsOf } from './pod-security.ts';
import { problemsOf } from './schemas.ts';

const DEPLOYMENT = `apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      securityContext: {fsGroup: 10001}
      initContainers:
      {{- include "countersign.sidecar.container" .Subcharts.countersign | nindent 6 }}
      containers:
      - name: envoy
        image: envoyproxy/envoy:v1.40-latest
        volumeMounts:
        - {name: countersign-run, mountPath: /run/countersign}
      volumes:
      {{- include "countersign.sidecar.volumes" .Subcharts.countersign | nindent 6 }}
`;

const VALUES = {
  countersign: {
    mode: 'sidecar',
    redis: { existingSecret: 'countersign-redis' },
    config: {
      store: { type: 'redis', redis: { urls: ['rediss://redis.data.svc:6379'] } },
      schemes: { 'challenge-signature': {} },
      routes: { api: { schemes: ['challenge-signature'], publicOrigins: ['https://api.example.com'] } },
    },
  },
};

let folder: string;
let manifests: Manifest[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-parent-'));
  await mkdir(join(folder, 'templates'));
  await cp(chartFolder, join(folder, 'charts', 'countersign'), { recursive: true });
  const dependencies = [{ name: 'countersign', version: '>=0.0.0-0', repository: '' }];
  await writeFile(
    join(folder, 'Chart.yaml'),
    stringify({ apiVersion: 'v2', name: 'app', version: '1.0.0', dependencies }),
  );
  await writeFile(join(folder, 'values.yaml'), stringify(VALUES));
  await writeFile(join(folder, 'templates', 'deployment.yaml'), DEPLOYMENT);
  manifests = parseManifests(await helm(['template', 'rel', folder, '--namespace', 'shop']));
}, 30_000);
afterAll(() => rm(folder, { recursive: true }));

test('a chart that includes the templates gets a native sidecar, its volumes and its ConfigMap', () => {
  expect(manifests.flatMap(problemsOf)).toEqual([]);
  const { spec } = ofKind(manifests, 'Deployment')[0].spec.template;
  expect(spec.initContainers.map(({ name, restartPolicy }: Manifest) => [name, restartPolicy])).toEqual([
    ['countersign-validate', undefined],
    ['countersign', 'Always'],
  ]);
  const config = spec.volumes.find(({ name }: Manifest) => name === 'countersign-config').configMap.name;
  expect(ofKind(manifests, 'ConfigMap').map(({ metadata }) => metadata.name)).toContain(config);
  expect(violationsOf({ ...spec, containers: [] })).toEqual([]);
});

test('the sidecar has a port for its probes alone: checks go over the socket', () => {
  const [, sidecar] = ofKind(manifests, 'Deployment')[0].spec.template.spec.initContainers;
  expect(sidecar.ports).toEqual([{ name: 'countersign', containerPort: 9090, protocol: 'TCP' }]);
  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'])
    expect(sidecar[probe].httpGet.port).toBe('countersign');
});
