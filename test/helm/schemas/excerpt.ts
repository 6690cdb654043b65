/**
 * Makes the files beside it from the published schemas (README.md says which): only the kinds that are shipped, without descriptions,
 * and closed: an object that lists its members takes no others, as a server with strict field validation judges.
 *
 * node test/helm/schemas/excerpt.ts KUBERNETES_DEFINITIONS_JSON GO_MODULES_FOLDER
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

type Tree = Record<string, unknown>;

/** Group/version -> kinds, of Kubernetes itself. */
const CORE: Readonly<Record<string, readonly string[]>> = {
  'core.v1': ['ConfigMap', 'Namespace', 'Pod', 'Secret', 'Service', 'ServiceAccount'],
  'apps.v1': ['Deployment'],
  'networking.v1': ['NetworkPolicy'],
  'policy.v1': ['PodDisruptionBudget'],
  'autoscaling.v2': ['HorizontalPodAutoscaler'],
  'admissionregistration.v1': ['MutatingAdmissionPolicy', 'MutatingAdmissionPolicyBinding'],
  'admissionregistration.v1beta1': ['MutatingAdmissionPolicy', 'MutatingAdmissionPolicyBinding'],
};

const gateway =
  'github.com/envoyproxy/gateway@v1.9.1/charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_';
const gatewayApi = 'sigs.k8s.io/gateway-api@v1.6.3/config/crd/standard/gateway.networking.k8s.io_';
const operator =
  'github.com/prometheus-operator/prometheus-operator@v0.85.0/example/prometheus-operator-crd/monitoring.coreos.com_';

/** File beside this one -> where its kinds are defined, and which. */
const CUSTOM: Readonly<Record<string, readonly (readonly [file: string, ...kinds: string[]])[]>> = {
  'istio-1.31.json': [
    [
      'istio.io/api@v1.31.4/kubernetes/customresourcedefinitions.gen.yaml',
      'AuthorizationPolicy',
      'DestinationRule',
      'EnvoyFilter',
      'PeerAuthentication',
    ],
  ],
  'gateway-api-1.6.json': [
    [`${gatewayApi}referencegrants.yaml`, 'ReferenceGrant'],
    [`${gatewayApi}backendtlspolicies.yaml`, 'BackendTLSPolicy'],
    [`${gatewayApi}gateways.yaml`, 'Gateway'],
    [`${gatewayApi}httproutes.yaml`, 'HTTPRoute'],
  ],
  'envoy-gateway-1.9.json': [
    [`${gateway}securitypolicies.yaml`, 'SecurityPolicy'],
    [`${gateway}envoypatchpolicies.yaml`, 'EnvoyPatchPolicy'],
    [`${gateway}clienttrafficpolicies.yaml`, 'ClientTrafficPolicy'],
  ],
  'prometheus-operator-0.85.json': [
    [`${operator}servicemonitors.yaml`, 'ServiceMonitor'],
    [`${operator}prometheusrules.yaml`, 'PrometheusRule'],
  ],
  'cert-manager-1.21.json': [
    ['github.com/cert-manager/cert-manager@v1.21.2/deploy/crds/cert-manager.io_certificates.yaml', 'Certificate'],
  ],
};

const [definitionsFile = '', modules = ''] = process.argv.slice(2);
write('kubernetes-1.37.json', coreSchemas(JSON.parse(readFileSync(definitionsFile, 'utf8')).$defs));
for (const [file, sources] of Object.entries(CUSTOM)) {
  write(file, {
    kinds: Object.fromEntries(sources.flatMap(([path, ...kinds]) => customKinds(join(modules, path), kinds))),
  });
}

function coreSchemas(defs: Record<string, Tree>): Tree {
  const kinds: Tree = {};
  const taken: Record<string, unknown> = {};
  const waiting: string[] = [];
  for (const [group, names] of Object.entries(CORE)) {
    for (const name of names) {
      const id = Object.keys(defs).find((each) => each.endsWith(`.${group}.${name}`)) ?? fail(`${group}.${name}`);
      const [part = '', version = ''] = group.split('.');
      const apiGroup: Readonly<Record<string, string>> = {
        core: '',
        admissionregistration: 'admissionregistration.k8s.io/',
        networking: 'networking.k8s.io/',
      };
      kinds[`${apiGroup[part] ?? `${part}/`}${version} ${name}`] = { $ref: `#/$defs/${id}` };
      waiting.push(id);
    }
  }
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (id in taken) continue;
    const definition = defs[id] ?? fail(id);
    taken[id] = bare(definition);
    waiting.push(...[...JSON.stringify(definition).matchAll(/"#\/\$defs\/([^"]+)"/g)].map(([, found = '']) => found));
  }
  return { kinds, $defs: Object.fromEntries(Object.entries(taken).toSorted(([a], [b]) => (a < b ? -1 : 1))) };
}

function customKinds(file: string, wanted: readonly string[]): [string, unknown][] {
  const documents = parseAllDocuments(readFileSync(file, 'utf8')).map((each) => each.toJS() as Tree | null);
  return documents.flatMap((document): [string, unknown][] => {
    const spec = document?.['spec'] as { group: string; names: { kind: string }; versions: Tree[] } | undefined;
    if (spec === undefined || !wanted.includes(spec.names.kind)) return [];
    return spec.versions.map((version) => {
      const { openAPIV3Schema } = version['schema'] as { openAPIV3Schema: Tree };
      const schema = bare(openAPIV3Schema) as { properties: Tree };
      Object.assign(schema.properties, { apiVersion: true, kind: true, metadata: { type: 'object' } });
      return [`${spec.group}/${String(version['name'])} ${spec.names.kind}`, schema];
    });
  });
}

/** Without texts, defaults and what only a server evaluates; closed where members are listed. */
function bare(value: unknown, isMembers = false): unknown {
  if (Array.isArray(value)) return value.map((each) => bare(each));
  // A flag of Go's in the middle of a pattern is a group in JavaScript.
  if (typeof value === 'string') return value.replace(/\(\?i\)(.*)$/, '(?i:$1)');
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .filter(
      ([key]) =>
        isMembers || !(/^(description|default|example|title|externalDocs|format)$/.test(key) || key.startsWith('x-')),
    )
    .map(([key, member]) => [key, bare(member, !isMembers && (key === 'properties' || key === '$defs'))] as const);
  const schema = Object.fromEntries(entries);
  const source = value as Tree;
  const isOpen = source['x-kubernetes-preserve-unknown-fields'] === true || 'additionalProperties' in source;
  // Inside anyOf, oneOf and not, "properties" narrows an object that is described elsewhere: those have no type of their own.
  if (!isMembers && 'properties' in source && source['type'] === 'object' && !isOpen)
    schema['additionalProperties'] = false;
  if (source['nullable'] === true) return { anyOf: [schema, { type: 'null' }] };
  return schema;
}

function write(file: string, content: unknown): void {
  writeFileSync(join(import.meta.dirname, file), `${JSON.stringify(content)}\n`);
}

function fail(what: string): never {
  throw new Error(`no ${what}`);
}
