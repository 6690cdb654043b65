/** The client library as a page loads it: its browser half in one module. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROLLDOWN = 'node_modules/rolldown/bin/cli.mjs';

/** @returns the files that the bundler wrote, by name. */
export async function bundleClient(): Promise<ReadonlyMap<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-bundle-'));
  try {
    const options = ['--platform', 'browser', '--format', 'esm', '--minify', '--dir', folder];
    await promisify(execFile)(process.execPath, [ROLLDOWN, 'src/client/index.ts', ...options]);
    const files = (await readdir(folder)).map(
      async (name) => [name, await readFile(join(folder, name), 'utf8')] as const,
    );
    return new Map(await Promise.all(files));
  } finally {
    await rm(folder, { recursive: true });
  }
}
