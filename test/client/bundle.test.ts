/** The client's browser half, bundled: nothing of Node in it, nothing left to be fetched. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const ROLLDOWN = 'node_modules/rolldown/bin/cli.mjs';
let folder = '';
let code = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-bundle-'));
  const options = ['--platform', 'browser', '--format', 'esm', '--minify', '--dir', folder];
  await promisify(execFile)(process.execPath, [ROLLDOWN, 'src/client/index.ts', ...options]);
  code = await readFile(join(folder, 'index.js'), 'utf8');
});
afterAll(() => rm(folder, { recursive: true }));

// The bundler only warns of a module of Node and leaves the import in place, so its success says nothing.
test('has no module of Node, no import at all, and none of its globals', async () => {
  expect(await readdir(folder)).toEqual(['index.js']);
  expect(code).toContain('createClient');
  expect(code).not.toContain('node:');
  expect(code).not.toMatch(/\bimport\b|\brequire\(/);
  expect(code).not.toMatch(/\bBuffer\b|\bprocess\./);
});
