import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parseAllDocuments, stringify } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { schemes } from '../../src/schemes/index.ts';

const docs = join(import.meta.dirname, '..', '..', 'docs');
const REST = {
  version: 1,
  store: { type: 'memory' },
  keys: { ringFile: '/run/secrets/keyring.json' },
  issuer: { url: 'https://auth.example.com', audiences: ['https://api.example.com'] },
  schemes: { 'challenge-signature': {} },
  routes: { api: { schemes: ['challenge-signature'], publicOrigins: ['https://api.example.com'] } },
};
const SECTIONS = ['store', 'listeners', 'process', 'envoy', 'keys', 'issuer', 'directory', 'schemes', 'routes', 'log'];

/** Every YAML block of docs/ that is a part of the configuration, or all of it. */
const blocks = readdirSync(docs)
  .filter((file) => file.endsWith('.md'))
  .flatMap((file) =>
    [...readFileSync(join(docs, file), 'utf8').matchAll(/^```yaml\n([^]*?)^```/gm)].flatMap(([, text = '']) =>
      parseAllDocuments(text).map((document): [string, Record<string, unknown>] => [file, document.toJS()]),
    ),
  )
  .filter(([, block]) => SECTIONS.includes(Object.keys(block).find((key) => key !== 'version') ?? ''));

test('docs/ show the configuration', () => {
  expect(blocks.length).toBeGreaterThanOrEqual(3);
});

test('docs/configuration.md says of every setting what it means', () => {
  const rows = readFileSync(join(docs, 'configuration.md'), 'utf8').match(/^\| `.*$/gm) ?? [];
  expect(rows.length).toBeGreaterThan(100);
  expect(rows.filter((row) => / \| +\|$/.test(row))).toEqual([]);
});

test.each(blocks)('%s: %j is accepted', (_file, block) => {
  const text = stringify({ ...REST, ...block });
  expect(() => loadConfig({ text, env: {}, schemes })).not.toThrow();
});
