import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { http1 } from './wire.ts';
import { openWorld, type World } from './world.ts';

const deploy = join(import.meta.dirname, '..', '..', 'deploy');

/** What dashboard and alerts ask of Envoy. */
const asked = new Set(
  ['dashboard.json', 'alerts.yaml'].flatMap(
    (file) => readFileSync(join(deploy, file), 'utf8').match(/\benvoy_(?:http|cluster)_[a-z0-9_]+(?=[[{])/g) ?? [],
  ),
);

let world: World | undefined;
afterEach(() => world?.stop());

test.each(['newest', 'oldest'] as const)(
  'the %s Envoy has the statistics that dashboard and alerts ask for',
  async (envoy) => {
    world = await openWorld({ envoy });
    const { to, envoyAdmin } = world;
    expect((await http1({ method: 'GET', target: '/a', to, headers: [] })).status).toBe(401);
    const lines = (await (await fetch(`${envoyAdmin}/stats/prometheus`)).text()).split('\n');
    expect(asked.size).toBeGreaterThan(5);
    for (const name of asked) {
      const series = lines.filter((line) => line.startsWith(`${name}{`));
      expect([name, series.length > 0]).toEqual([name, true]);
      if (name.startsWith('envoy_cluster_')) expect(series.join('\n')).toContain('envoy_cluster_name="countersign"');
    }
  },
  60_000,
);
