/** What the image is, and what it is not (OP-20). */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { IMAGE } from './world.ts';

const run = promisify(execFile);
const inImage = (...args: readonly string[]) => run('docker', ['run', '--rm', '--network', 'none', ...args]);

interface Inspected {
  readonly Size: number;
  readonly Config: {
    readonly User: string;
    readonly Entrypoint: readonly string[];
    readonly Cmd: readonly string[];
    readonly StopSignal: string;
    readonly Healthcheck?: object;
    readonly Labels: Readonly<Record<string, string>>;
  };
}

test('runs as 10001 by Node alone, is told to end by SIGTERM, and leaves health to whoever runs it', async () => {
  const [image] = JSON.parse((await run('docker', ['image', 'inspect', IMAGE])).stdout) as [Inspected];
  const { User, Entrypoint, Cmd, StopSignal, Healthcheck, Labels } = image.Config;
  expect({ User, Entrypoint, Cmd, StopSignal }).toEqual({
    User: '10001:10001',
    Entrypoint: ['/usr/local/bin/node', '--disable-proto=throw', '--disable-sigusr1', '/app/dist/cli.js'],
    Cmd: ['serve'],
    StopSignal: 'SIGTERM',
  });
  expect(Healthcheck).toBeUndefined();
  expect(Labels).toMatchObject({ 'org.opencontainers.image.licenses': 'Apache-2.0' });
  expect(image.Size).toBeLessThan(250e6);
});

test('starts on a read-only root without any capability, and says what it is', async () => {
  const hard = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];
  const { stdout } = await inImage(...hard, IMAGE, 'version');
  expect(stdout).toMatch(/^countersign [0-9.]+ \(.*\), Node v26\./);
});

test('holds Node and nothing else that runs: no shell, no package manager, no compiler, no sources', async () => {
  // One file for each program that the image holds, and all other files by their folder.
  const look = `
    const { lstatSync, readdirSync } = require('node:fs');
    const programs = [];
    const tops = new Set();
    const below = (top) => readdirSync('/' + top, { recursive: true }).map((name) => top + '/' + name);
    for (const top of readdirSync('/')) if (!['proc', 'sys', 'dev', '.dockerenv'].includes(top)) tops.add(top);
    for (const name of [...tops].flatMap(below)) {
      const stats = lstatSync('/' + name, { throwIfNoEntry: false });
      if (stats?.isFile() && (stats.mode & 0o6000) !== 0) programs.push('setuid ' + name);
      if (stats?.isFile() && (stats.mode & 0o111) !== 0 && /^(usr\\/)?s?bin\\/|^usr\\/local\\//.test(name)) programs.push(name);
      if (/[.]ts$|(^|\\/)(npm|npx|sh|bash|busybox|tsc)$/.test(name)) programs.push(name);
    }
    console.log(JSON.stringify({ programs, tops: [...tops].sort() }));`;
  const { stdout } = await inImage('--entrypoint', '/usr/local/bin/node', IMAGE, '--eval', look);
  expect(JSON.parse(stdout)).toEqual({
    programs: ['usr/local/bin/node'],
    tops: ['app', 'etc', 'lib', 'lib64', 'run', 'tmp', 'usr'],
  });
  await expect(inImage('--entrypoint', '/bin/sh', IMAGE, '-c', 'true')).rejects.toThrow('no such file');
});

test('holds the production dependencies of the lockfile and no other package', async () => {
  const list = `console.log(require('node:fs').readdirSync('/app/node_modules').join())`;
  const { stdout } = await inImage('--entrypoint', '/usr/local/bin/node', IMAGE, '--eval', list);
  for (const one of ['ioredis', 'valibot', 'yaml']) expect(stdout.trim().split(',')).toContain(one);
  for (const other of ['jest', 'typescript', '@grpc', 'oxlint', 'countersign-runtime'])
    expect(stdout).not.toContain(other);
});

test('exit codes are those of the command: 3 without a configuration', async () => {
  await expect(inImage(IMAGE)).rejects.toMatchObject({
    code: 3,
    stderr: expect.stringContaining('/etc/countersign/config.yaml'),
  });
});
