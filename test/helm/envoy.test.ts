import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { extAuthz, renderEnvoy, virtualHost, type EnvoyTree } from '../../scripts/envoy-config.ts';
import { envoyBinary } from '../../scripts/fetch-envoy.ts';
import { root } from '../../scripts/tool.ts';
import { createAuthority } from '../support/certificates.ts';
import { ofKind, parseManifests, render, renderNotes, valuesNames } from './chart.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-envoy-'));
  const authority = createAuthority('test');
  const leaf = authority.issue({ dns: ['envoy.edge.svc.cluster.local'] });
  await writeFile(join(folder, 'ca.crt'), authority.certificate);
  await writeFile(join(folder, 'tls.crt'), leaf.certificate);
  await writeFile(join(folder, 'tls.key'), leaf.key);
});
afterAll(() => rm(folder, { recursive: true }));

const ADDRESSES = { adminPort: 0, listenPort: 0, check: 'unix:/x', issuer: '127.0.0.1:1', backend: '127.0.0.1:2' };

/** Envoy's own judgement: every name known, every value in range. */
async function accepts(config: string): Promise<void> {
  const file = join(folder, `${Math.random()}.yaml`);
  await writeFile(file, config.replaceAll('/etc/envoy/tls', folder));
  for (const version of ['newest', 'oldest'] as const) {
    await promisify(execFile)(await envoyBinary(version), ['--mode', 'validate', '--log-level', 'error', '-c', file]);
  }
}

/** The parts that NOTES prints, put where the recipe has its own. */
function parts(notes: string): { filter: EnvoyTree; clusters: EnvoyTree[]; perRoute: EnvoyTree } {
  const [filter, clusters, perRoute] = [...notes.matchAll(/(?:^ {2}.*\n)+/gm)].map(([block]) => parse(block));
  return { filter: filter[0], clusters, perRoute };
}

describe.each(valuesNames)('with %s values', (values) => {
  test('what the notes print is a configuration that both Envoys accept, and it fails closed', async () => {
    const { filter, clusters, perRoute } = parts(await renderNotes({ values }));
    expect(filter.typed_config).toMatchObject({
      failure_mode_allow: false,
      encode_raw_headers: true,
      with_request_body: { allow_partial_message: false, pack_as_bytes: true },
    });
    await accepts(
      renderEnvoy(ADDRESSES, (config) => {
        Object.assign(extAuthz(config), filter.typed_config);
        Object.assign(virtualHost(config).routes.at(-1), perRoute);
        const backend = config.static_resources.clusters.find(({ name }: EnvoyTree) => name === 'backend');
        config.static_resources.clusters = [...clusters, backend];
      }),
    );
  }, 60_000);

  test('every Envoy configuration that is rendered fails closed', async () => {
    const texts = (await render({ values })).map((manifest) => JSON.stringify(manifest));
    expect(texts.join()).toContain('failure_mode_allow: false');
    expect(texts.join()).not.toMatch(/failure_mode_allow"?:\s*true/);
  });
});

test('both Envoys accept the configuration of the test pod', async () => {
  const maps = ofKind(await render({ values: 'standalone' }), 'ConfigMap');
  await accepts(maps.find(({ data }) => 'envoy.yaml' in data)?.data['envoy.yaml']);
}, 60_000);

test('the notes say the limit that the configuration says', async () => {
  const limits = async (maxRequestBytes: unknown) =>
    parts(await renderNotes({ values: 'standalone', set: [`config.envoy=${JSON.stringify({ maxRequestBytes })}`] }))
      .filter.typed_config.with_request_body.max_request_bytes;
  expect(await limits(65_536)).toBe(65_536);
  expect(await limits('2MiB')).toBe(2_097_152);
  expect(await limits('64KiB')).toBe(65_536);
});

test('the notes let through the headers of the prefix that the configuration names', async () => {
  const set = ['config.envoy={"identityPrefix":"x-id-"}'];
  const { filter } = parts(await renderNotes({ values: 'standalone', set }));
  expect(filter.typed_config.decoder_header_mutation_rules.allow_expression.regex).toMatch(/^x\[-_\]id\[-_\]\.\*\|/);
});

/** Every YAML block of the documentation that is Envoy's. */
async function documentedBlocks(): Promise<[string, EnvoyTree][]> {
  const files = (await readdir(join(root, 'docs'))).filter((name) => name.endsWith('.md'));
  const texts = await Promise.all(files.map(async (name) => [name, await readFile(join(root, 'docs', name), 'utf8')]));
  return texts.flatMap(([name = '', text = '']) =>
    [...text.matchAll(/^```yaml\n([^]*?)^```/gm)].flatMap(([, block = '']) =>
      parseManifests(block).map((each): [string, EnvoyTree] => [name, each]),
    ),
  );
}

test('what docs/ show of Envoy is accepted by both Envoys', async () => {
  const blocks = await documentedBlocks();
  const clusters = blocks.filter(([, block]) => block?.load_assignment !== undefined).map(([, block]) => block);
  expect(clusters.length).toBeGreaterThan(0);
  for (const cluster of clusters) {
    await accepts(
      renderEnvoy(ADDRESSES, (config) => {
        config.static_resources.clusters = [
          cluster,
          ...config.static_resources.clusters.filter(({ name }: EnvoyTree) => name !== cluster.name),
        ];
      }),
    );
  }
}, 60_000);

test('the check of snippets sees what Envoy does not know', async () => {
  await expect(accepts(stringify({ static_resources: { clusterz: [] } }))).rejects.toThrow('clusterz');
}, 60_000);
