/** `countersign serve` as a process of its own: its configuration file, its admin listener, its signals and its exit code. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { freePort } from '../../scripts/processes.ts';

export interface Service {
  readonly folder: string;
  readonly configFile: string;
  /** Of the admin listener. */
  readonly admin: string;
  readonly child: ChildProcess;
  /** The code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** All lines on stdout so far; what it says on stderr is among them. */
  output(): string;
  status(): Promise<{ configHash: string }>;
  /** `POST /admin/v1/reload`: status and body. */
  reload(): Promise<{ status: number; body: { result: string; reason?: string } }>;
  /** Value of a series without labels. */
  metric(name: string): Promise<number>;
  ready(): Promise<void>;
  stop(): Promise<void>;
}

/** The smallest configuration that serves: memory store, one route, everything in a folder of its own. */
export async function configuration(folder: string): Promise<Record<string, unknown>> {
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, randomBytes(24).toString('base64url'), { mode: 0o600 });
  return {
    version: 1,
    store: { type: 'memory' },
    insecure: { freshMemoryStore: true },
    listeners: {
      check: { address: `unix:${join(folder, 'check.sock')}` },
      issuer: { address: `127.0.0.1:${await freePort()}` },
      admin: { address: `127.0.0.1:${await freePort()}`, tokenFile },
    },
    schemes: { 'challenge-signature': {} },
    routes: { api: { schemes: ['challenge-signature'], publicOrigins: ['https://api.example.com'] } },
  };
}

/** @param change of the configuration, before it is written. Returns at once: `ready` waits. */
export async function startService(
  change: (config: Record<string, never>, folder: string) => unknown = () => {},
): Promise<Service> {
  const folder = await mkdtemp(join(tmpdir(), 'cs-'));
  const config = await configuration(folder);
  await change(config as Record<string, never>, folder);
  const configFile = join(folder, 'config.yaml');
  await writeFile(configFile, stringify(config));
  const { admin } = config['listeners'] as { admin: { address: string; tokenFile: string } };
  const token = await readFile(admin.tokenFile, 'utf8');

  const child = spawn(process.execPath, ['src/cli.ts', 'serve', '--config', configFile], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += String(chunk)));
  child.stderr.on('data', (chunk) => (output += String(chunk)));
  const closed = once(child, 'close');
  const ended = once(child, 'exit').then(async ([code, signal]: (number | string | null)[]) => {
    // What it said last may still be on its way; what it started may keep the pipe open.
    await Promise.race([closed, sleep(500)]);
    return code ?? signal ?? '';
  });

  const call = (path: string, init: RequestInit = {}) =>
    fetch(`http://${admin.address}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    });

  return {
    folder,
    configFile,
    admin: `http://${admin.address}`,
    child,
    ended,
    output: () => output,
    status: async () => (await (await call('/admin/v1/status')).json()) as { configHash: string },
    async reload() {
      const answer = await call('/admin/v1/reload', { method: 'POST', body: '{}' });
      return { status: answer.status, body: (await answer.json()) as { result: string } };
    },
    async metric(name) {
      const text = await (await call('/metrics')).text();
      return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
    },
    async ready() {
      for (let attempt = 0; attempt < 600; attempt += 1) {
        if (child.exitCode !== null) throw new Error(`countersign ended with ${child.exitCode}: ${output}`);
        const answer = await call('/readyz').catch(() => undefined);
        if (answer?.ok === true) return;
        await sleep(50);
      }
      throw new Error(`countersign did not become ready: ${output}`);
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
