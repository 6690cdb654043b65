/**
 * Where promtool is, which tests the alerts: the one in PATH, else out of Debian's package `prometheus`, unpacked and not installed.
 * Run as a program it prints the path.
 */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cachedFolder } from './cached-folder.ts';

const run = promisify(execFile);

/** @throws Error whose message is one line that says what is missing and what to do. */
export async function promtoolBinary(): Promise<string> {
  const isThere = await run('promtool', ['--version'], { timeout: 10_000 }).then(
    () => true,
    () => false,
  );
  if (isThere) return 'promtool';
  const home = await cachedFolder('prometheus-debian', async (folder, scratch) => {
    process.stderr.write('countersign: downloading promtool (Debian package prometheus)\n');
    try {
      await download(scratch);
      const [archive = ''] = await readdir(scratch);
      await run('dpkg-deb', ['-x', join(scratch, archive), folder]);
    } catch (cause) {
      throw new Error(
        "promtool is not in PATH and Debian's package could not be fetched: install Prometheus 2.42 or newer",
        {
          cause,
        },
      );
    }
  });
  return join(home, 'usr', 'bin', 'promtool');
}

async function download(folder: string): Promise<void> {
  const fetch = () =>
    run('apt-get', ['download', '-qq', '-o', 'APT::Sandbox::User=root', 'prometheus'], { cwd: folder });
  // A machine whose package lists were never read, or are old, knows no such package: then they are read once.
  await fetch().catch(async () => {
    await run('apt-get', ['update', '-qq']);
    await fetch();
  });
}

if (import.meta.main) process.stdout.write(`${await promtoolBinary()}\n`);
