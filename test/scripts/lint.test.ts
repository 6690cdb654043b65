import { describe, expect, test } from '@jest/globals';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { root, runTool } from '../../scripts/tool.ts';

/** The findings of the project's own lint configuration about a source tree of one file. */
async function lint(path: string, source: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'planted-'));
  try {
    // The configuration's patterns count from its own folder.
    for (const part of ['.oxlintrc.json', 'tsconfig.json', 'tools/lint']) {
      await cp(join(root, part), join(folder, part), { recursive: true });
    }
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    await mkdir(join(folder, dirname(path)), { recursive: true });
    await writeFile(join(folder, path), `${source}\n`);
    return (await runTool('oxlint', ['src'], folder)).output;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe('the lint rule on times', () => {
  const path = 'src/schemes/planted/verify.ts';

  test.each([
    ['a timestamp and a sum', 'nowMs + windowMs < proof.tsMs'],
    ['a call', 'clock.nowMs() > limit'],
    ['a claim', 'limit >= token.exp'],
    ['an optional member', 'limit <= proof?.issuedAtSeconds'],
  ])('finds %s compared by hand', async (_, comparison) => {
    expect(await lint(path, `export const isFresh = ${comparison};`)).toContain('countersign(times-by-within)');
  });

  test.each([
    ['within itself', 'within(nowMs - windowMs, proof.tsMs, nowMs)'],
    ['a length', 'value.length > 4096'],
  ])('lets %s pass', async (_, expression) => {
    expect(await lint(path, `export const isFine = ${expression};`)).not.toContain('times-by-within');
  });
});

test.each([
  ['a URL parser in the Envoy front', 'src/envoy/planted.ts', 'export const path = new URL(x).pathname;', "'URL'"],
  ['WebCrypto on the way of a Check', 'src/crypto/planted.ts', 'export const s = webcrypto.subtle;', "'subtle'"],
  ['the environment outside config', 'src/store/planted.ts', 'export const e = process.env;', 'process.env'],
  ['instanceof a built-in', 'src/store/planted.ts', 'export const e = x instanceof Error;', 'no-instanceof-builtins'],
  ['a promise nobody awaits', 'src/store/planted.ts', 'Promise.resolve(1);', 'no-floating-promises'],
])('lint finds %s', async (_, path, source, finding) => {
  expect(await lint(path, source)).toContain(finding);
});
