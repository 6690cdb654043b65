import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { root, runTool } from '../../scripts/tool.ts';
import { RESTART_KEYS } from '../../src/config/restart-keys.ts';
import { KEY_USES } from '../../src/core/keyring.ts';
import { createAuthority } from '../support/certificates.ts';
import { ofKind, podsOf, render, valuesNames, type Manifest } from './chart.ts';

const SECRETS = '/run/secrets/countersign';
const DEV_KEYS = '/run/countersign-keys';

let folder: string;
const cli = (...args: string[]) => runTool('node', [join(root, 'src', 'cli.ts'), ...args]);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-chart-'));
  const authority = createAuthority('test');
  const leaf = authority.issue({ dns: ['countersign.auth.svc.cluster.local'] });
  const files: Record<string, string> = {
    'admin/token': 'a-token-of-the-test',
    ...Object.fromEntries(
      ['username', 'password', 'sentinel-username', 'sentinel-password'].map((name) => [`redis/${name}`, name]),
    ),
    ...Object.fromEntries(
      ['redis', 'tls'].flatMap((kind) => [
        [`${kind}/ca.crt`, authority.certificate],
        [`${kind}/tls.crt`, leaf.certificate],
        [`${kind}/tls.key`, leaf.key],
      ]),
    ),
  };
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text, { mode: 0o600 });
  }
  await mkdir(join(folder, 'keys'));
  // As the pod does it for development.
  const uses = `keys={"generate":true,"generateUses":${JSON.stringify(KEY_USES)}}`;
  const [pod] = podsOf(await render({ values: 'memory', set: [uses] }));
  const steps: string[][] = pod?.spec.initContainers.map(({ args }: Manifest) => args) ?? [];
  for (const args of steps.filter(([command]) => command === 'keys')) {
    const { ok, output } = await cli(...args.map((arg) => arg.replace(DEV_KEYS, join(folder, 'keys'))));
    if (!ok) throw new Error(output);
  }
}, 60_000);
afterAll(() => rm(folder, { recursive: true }));

/** Our own ConfigMap, not those of the test pod and the dashboard. */
async function configOf(values: string, set: readonly string[] = []): Promise<string> {
  const maps = ofKind(await render({ values, set }), 'ConfigMap');
  return maps.find(({ data, metadata }) => 'config.yaml' in data && metadata.annotations === undefined)?.data[
    'config.yaml'
  ];
}

describe.each(valuesNames)('with %s values', (values) => {
  test('countersign validate accepts the configuration', async () => {
    const file = join(folder, `${values}.yaml`);
    const text = await configOf(values);
    await writeFile(file, text.replaceAll(SECRETS, folder).replaceAll(DEV_KEYS, join(folder, 'keys')));
    await expect(cli('validate', '--config', file)).resolves.toEqual({
      ok: true,
      output: expect.stringContaining('valid ('),
    });
  });

  test('every file that the configuration names is mounted', async () => {
    const manifests = await render({ values });
    const named = [...(await configOf(values)).matchAll(/File: (\/\S+)/g)].map(([, file]) => file ?? '');
    for (const { spec } of podsOf(manifests).filter(({ name }) => !name.endsWith('-test'))) {
      const [container] = spec.containers;
      const mounts = container.volumeMounts.map(({ mountPath }: Manifest) => mountPath);
      for (const file of named) expect(mounts).toContain(dirname(file));
    }
  });
});

test('the configuration of the test pod is accepted too', async () => {
  const maps = ofKind(await render({ values: 'sidecar' }), 'ConfigMap');
  const map = maps.find(({ metadata: { name } }) => String(name).endsWith('-test'));
  const file = join(folder, 'test-pod.yaml');
  await writeFile(file, map.data['config.yaml'].replaceAll(SECRETS, folder));
  await expect(cli('validate', '--config', file)).resolves.toMatchObject({ ok: true });
});

test('an integer stays one on its way through helm', async () => {
  expect(parse(await configOf('maximal')).envoy.maxRequestBytes).toBe(1_048_576);
  expect(await configOf('standalone', ['config.envoy={"maxRequestBytes":16777216}'])).toContain(
    'maxRequestBytes: 16777216\n',
  );
});

describe('the annotation that rolls the pods', () => {
  const checksumOf = async (set: readonly string[]) => {
    const [deployment] = ofKind(await render({ values: 'standalone', set }), 'Deployment');
    return deployment.spec.template.metadata.annotations['checksum/config'];
  };
  /** Key -> another value of it, as helm's --set-json takes it. */
  const changed = (key: string): string => {
    const value = { store: { keyPrefix: 'other:' }, clock: { skew: '7s' } }[key] ?? 'other';
    return key === 'store' ? 'config.store.redis.keyPrefix="other:"' : `config.${key}=${JSON.stringify(value)}`;
  };

  test.each(RESTART_KEYS)('changes with %s, which only a restart can change', async (key) => {
    const insecure = key.startsWith('insecure.') ? ['config.insecure.wideAdmin=true'] : [];
    expect(await checksumOf([...insecure, changed(key)])).not.toBe(await checksumOf(insecure));
  });

  test.each([
    'routes={"api":{"schemes":["challenge-signature"],"publicOrigins":["https://other.example.com"]}}',
    'schemes={"challenge-signature":{"lifetime":"20s"}}',
    'log={"level":"debug"}',
    'listeners.issuer={"trustedHops":2,"bodyBytes":1024,"cors":{"origins":["https://a.example.com"]}}',
    'listeners.admin={"tokenFile":"/other"}',
    'process={"drainDelay":"6s","maxInFlight":100,"shedDelay":"30ms"}',
    'rateLimit={"perSource":{"rate":"1/s","burst":1}}',
  ])('stays with %s, which a reload takes', async (change) => {
    expect(await checksumOf([`config.${change}`])).toBe(await checksumOf([]));
  });

  test('follows the names of the mounted Secrets, which a reload cannot change', async () => {
    expect(await checksumOf(['redis={"existingSecret":""}'])).not.toBe(await checksumOf([]));
  });
});
