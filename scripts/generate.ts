/**
 * Writes the files that are made from others: from the configuration's schema `config.schema.json` and `docs/configuration.md`, from
 * the chart's values its README, and what the chart carries of `deploy/`, since helm packs nothing from outside its folder.
 * With `--check` it writes nothing and fails when one is not current.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chartReadme } from './chart-readme.ts';
import { configJsonSchema } from './config-json-schema.ts';
import { configReference } from './config-reference.ts';
import { root } from './tool.ts';

const files: readonly (readonly [name: string, make: () => string])[] = [
  ['config.schema.json', () => `${JSON.stringify(configJsonSchema(), undefined, 2)}\n`],
  ['docs/configuration.md', configReference],
  ['helm/countersign/README.md', chartReadme],
  ...['alerts.yaml', 'dashboard.json', 'envoy.yaml'].map(
    (name) => [`helm/countersign/files/${name}`, () => readFileSync(join(root, 'deploy', name), 'utf8')] as const,
  ),
];

const isCheck = process.argv.includes('--check');
for (const [name, make] of files) {
  const file = join(root, name);
  const now = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (isCheck) {
    if (now === make()) continue;
    process.stderr.write(`${name} is not current: npm run generate\n`);
    process.exitCode = 1;
  } else writeFileSync(file, make());
}
