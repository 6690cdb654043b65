/** Commands as they are called: each in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from '../../scripts/processes.ts';
import { formatRing } from '../../src/keys/ring.ts';
import { ringWith } from '../support/key-ring.ts';

export interface Ended {
  /** Null when a signal ended it. */
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What it has written so far. */
  output(): string;
}

const ROOT = join(import.meta.dirname, '..', '..');

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Source of a module that runs before the command, for faults that can't be provoked from outside. */
  readonly preload?: string;
  /** In place of a pipe that is read. */
  readonly stdoutFd?: number;
}

export function start(args: readonly string[], { env = {}, preload, stdoutFd }: RunOptions = {}): Started {
  const imports = preload === undefined ? [] : ['--import', `data:text/javascript,${encodeURIComponent(preload)}`];
  const child = spawn(process.execPath, [...imports, join(ROOT, 'src', 'cli.ts'), ...args], {
    cwd: ROOT,
    stdio: ['ignore', stdoutFd ?? 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: join(ROOT, 'node_modules', '.cache', 'node'), ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (exit) => resolve({ exit, stdout, stderr }));
  });
  return { child, ended, output: () => stdout + stderr };
}

export function countersign(args: readonly string[], options?: RunOptions): Promise<Ended> {
  return start(args, options).ended;
}

export interface Folder {
  readonly path: string;
  /** @returns its path. */
  write(name: string, text: string, mode?: number): string;
  remove(): void;
}

export function createFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), 'countersign-cli-'));
  return {
    path,
    write(name, text, mode = 0o600) {
      writeFileSync(join(path, name), text, { mode });
      return join(path, name);
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

export interface Service extends Started {
  readonly admin: string;
  readonly issuer: string;
  /** Path of the unix socket. */
  readonly check: string;
  readonly token: string;
  readonly tokenFile: string;
  readonly ringFile: string;
  readonly configFile: string;
  stop(): Promise<Ended>;
}

/** A configuration that is complete, with a memory store and ports of its own. */
export async function configure(folder: Folder, changes: object = {}) {
  const [issuer, admin] = await Promise.all([freePort(), freePort()]);
  const token = randomBytes(24).toString('base64url');
  const tokenFile = folder.write('token', `${token}\n`);
  const check = join(folder.path, 'check.sock');
  const ringFile = folder.write('ring.json', formatRing(ringWith('challenge-mac')));
  const config = {
    version: 1,
    store: { type: 'memory' },
    insecure: { freshMemoryStore: true },
    keys: { ringFile },
    listeners: {
      check: { address: `unix:${check}` },
      issuer: { address: `127.0.0.1:${issuer}` },
      admin: { address: `127.0.0.1:${admin}`, tokenFile },
    },
    issuer: { audiences: ['https://api.example.com'] },
    schemes: { 'challenge-signature': {} },
    routes: { api: { schemes: ['challenge-signature'], publicOrigins: ['https://api.example.com'] } },
    ...changes,
  };
  const configFile = folder.write('config.yaml', stringify(config));
  return {
    configFile,
    check,
    token,
    tokenFile,
    ringFile,
    admin: `http://127.0.0.1:${admin}`,
    issuer: `http://127.0.0.1:${issuer}`,
  };
}

/** Waits until the admin listener answers, ready or not. */
export async function openService(folder: Folder, changes: object = {}, options?: RunOptions): Promise<Service> {
  const configured = await configure(folder, changes);
  const started = start(['serve', '--config', configured.configFile], options);
  await whenAnswering(started, `${configured.admin}/healthz`);
  return {
    ...started,
    ...configured,
    stop() {
      started.child.kill('SIGTERM');
      return started.ended;
    },
  };
}

async function whenAnswering({ child, output }: Started, url: string): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`serve ended: ${output()}`);
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer !== undefined) return;
    await new Promise((done) => setTimeout(done, 50));
  }
}
