/** The demonstration ends when it is asked to, at any moment, and leaves neither a process nor a socket. In a copy: one may be up here. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { anyEnvoyBinary } from '../../scripts/fetch-envoy.ts';
import { freePort } from '../../scripts/processes.ts';

let copy: string;
let scratch: string;
let envoy: string;

beforeAll(async () => {
  envoy = await anyEnvoyBinary(new AbortController().signal);
  copy = await mkdtemp(join(tmpdir(), 'cs-demo-'));
  for (const name of ['scripts', 'src', 'deploy', 'package.json'])
    await cp(name, join(copy, name), { recursive: true });
  await symlink(join(process.cwd(), 'node_modules'), join(copy, 'node_modules'));
  scratch = join(copy, 'scratch');
  await mkdir(scratch);
}, 60_000);
afterAll(() => rm(copy, { recursive: true, force: true }));

interface Seen {
  readonly output: string;
  has(name: string): boolean;
}

const moments: readonly (readonly [string, (seen: Seen) => boolean, number])[] = [
  ['its folder is made', ({ has }) => has(''), 130],
  ['its configuration is written', ({ has }) => has('config.yaml'), 130],
  ['its programs are starting', ({ has }) => has('envoy.log'), 130],
  ['the first scheme is shown', ({ output }) => output.includes('challenge-signature'), 130],
  ['it stays up', ({ output }) => output.includes('until Ctrl-C'), 0],
];

test.each(moments)(
  'asked to end when %s it leaves nothing behind',
  async (_when, isSo, exit) => {
    const folder = join(copy, '.demo');
    await rm(folder, { recursive: true, force: true });
    const child = spawn(process.execPath, ['scripts/demo.ts', '--port', String(await freePort())], {
      cwd: copy,
      detached: true, // A group of its own, which holds whatever it starts.
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, TMPDIR: scratch, ENVOY_BIN: envoy },
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
    const ended = once(child, 'exit');
    const has = (name: string) => existsSync(join(folder, name));
    while (child.exitCode === null && !isSo({ output, has })) await sleep(5);
    child.kill('SIGTERM');
    const [code] = (await ended) as [number | null];
    const left = { processes: endGroup(child.pid), files: await readdir(scratch) };
    expect({ code, ...left }).toEqual({ code: exit, processes: false, files: [] });
  },
  60_000,
);

/** @returns whether there was anything left of it. */
function endGroup(leader: number | undefined): boolean {
  if (leader === undefined) return false; // Nothing was started; -0 would be the group of this test.
  try {
    return process.kill(-leader, 'SIGKILL');
  } catch {
    return false;
  }
}
