/** The chart as helm renders it, taken apart. What must hold of it is said in the tests. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { helmBinary } from '../../scripts/fetch-helm.ts';
import { root } from '../../scripts/tool.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- a tree that a schema has judged, or will
export type Manifest = any;

export const chartFolder = join(root, 'helm', 'countersign');
const valuesFolder = join(chartFolder, 'ci');

/** `standalone`, `sidecar`, ... : one a file in `ci/`. */
export const valuesNames: readonly string[] = readdirSync(valuesFolder)
  .filter((file) => file.endsWith('-values.yaml'))
  .map((file) => file.replace('-values.yaml', ''));

export interface Rendering {
  /** Name of a file in `ci/`. */
  readonly values?: string;
  /** `path=value` in helm's grammar, on top. */
  readonly set?: readonly string[];
  /** The API `group/version/Kind`s that the cluster is said to have. Default: those that the chart can use. */
  readonly apis?: readonly string[];
}

export const ADMISSION_POLICY = 'admissionregistration.k8s.io/v1/MutatingAdmissionPolicy';

/** By helm's arguments: most tests look at the same few. */
const rendered = new Map<string, Promise<string>>();

/** @returns every document, hooks too, for the caller alone. @throws Error with helm's one-line reason. */
export async function render(rendering: Rendering): Promise<Manifest[]> {
  const args = ['template', 'rel', chartFolder, '--namespace', 'auth', ...flags(rendering)];
  const known = rendered.get(args.join(' '));
  const text = known ?? helm(args);
  if (known === undefined) rendered.set(args.join(' '), text);
  return parseManifests(await text);
}

/** @returns the text that `helm install` prints. */
export async function renderNotes(rendering: Rendering): Promise<string> {
  const install = ['install', 'rel', chartFolder, '--namespace', 'auth', '--dry-run=client'];
  const printed = await helm([...install, ...flags({ ...rendering, apis: [] })]);
  return printed.slice(printed.indexOf('\nNOTES:\n') + '\nNOTES:\n'.length);
}

/** @returns helm's output. @throws Error with its stderr. */
export async function helm(args: readonly string[]): Promise<string> {
  try {
    return (await promisify(execFile)(await helmBinary(), args, { maxBuffer: 16 * 1024 * 1024 })).stdout;
  } catch (thrown) {
    const stderr = Error.isError(thrown) && 'stderr' in thrown ? String(thrown.stderr) : '';
    throw new Error(stderr === '' ? String(thrown) : stderr, { cause: thrown });
  }
}

function flags({ values, set = [], apis = [ADMISSION_POLICY] }: Rendering): string[] {
  return [
    ...(values === undefined ? [] : ['--values', join(valuesFolder, `${values}-values.yaml`)]),
    ...set.flatMap((each) => ['--set-json', each]),
    ...apis.flatMap((api) => ['--api-versions', api]),
  ];
}

/** @throws Error for YAML that any reader could take in two ways: duplicate keys, unknown tags. */
export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text, { uniqueKeys: true })
    .map((document) => {
      const problem = document.errors[0] ?? document.warnings[0];
      if (problem !== undefined) throw problem;
      return document.toJS();
    })
    .filter((document) => document !== null);
}

export function ofKind(manifests: readonly Manifest[], kind: string): Manifest[] {
  return manifests.filter((manifest) => manifest.kind === kind);
}

/** What a kubelet would run: pods, and the templates of what makes pods. */
export function podsOf(manifests: readonly Manifest[]): { readonly name: string; readonly spec: Manifest }[] {
  return manifests.flatMap((manifest) => {
    const { name } = manifest.metadata;
    if (manifest.kind === 'Pod') return [{ name, spec: manifest.spec }];
    return manifest.spec?.template?.spec === undefined ? [] : [{ name, spec: manifest.spec.template.spec }];
  });
}

export function containersOf(spec: Manifest): Manifest[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}
