/** Programs under measurement: countersign as one process, with a configuration of the benchmark's, or any other server program. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { StoredKey } from '../src/keys/ring.ts';
import { formatRing } from '../src/keys/ring.ts';
import { freePort } from '../scripts/processes.ts';
import { root } from '../scripts/tool.ts';
import { openCaller } from './load.ts';

export interface Running {
  /** Where it answers Checks. */
  readonly address: string;
  readonly pid: number;
  /** Of countersign: `host:port` where clients log in. */
  readonly issuer?: string;
  stop(): Promise<void>;
}

export interface ServiceOptions {
  readonly ring: readonly StoredKey[];
  /** Without it: the memory store. */
  readonly redisUrl?: string | undefined;
  /** Name of a file -> its text; their paths are given to `settings`. */
  readonly files?: Readonly<Record<string, string>>;
  /** What stands in the configuration besides store, listeners, ring and limits out of the way. */
  settings(pathOf: (file: string) => string): Readonly<Record<string, unknown>>;
}

/** The memory store forgets nothing in so short a time; with Redis, proofs made before the start are refused for so long. */
const PAST_HORIZON_MS = 2500;

export async function startService({ ring, redisUrl, files = {}, settings }: ServiceOptions): Promise<Running> {
  const folder = await mkdtemp(join(tmpdir(), 'cs-bench-'));
  const [adminPort, issuerPort] = [await freePort(), await freePort()];
  const pathOf = (name: string) => join(folder, name);
  const write = (name: string, text: string) => writeFile(pathOf(name), text, { mode: 0o600 });
  for (const [name, text] of Object.entries(files)) await write(name, text);
  await write('ring.json', formatRing(ring));
  const address = `unix:${pathOf('check.sock')}`;
  const plenty = { rate: '1000000/s', burst: 1_000_000 };
  await write(
    'config.yaml',
    stringify({
      version: 1,
      store: redisUrl === undefined ? { type: 'memory' } : { type: 'redis', redis: { urls: [redisUrl] } },
      ...(redisUrl === undefined && { insecure: { freshMemoryStore: true } }),
      clock: { skew: '1s' },
      envoy: { checkBudget: '5s' },
      process: { model: 'single', shedDelay: '10s' },
      keys: { ringFile: pathOf('ring.json') },
      listeners: {
        check: { address },
        issuer: { address: `127.0.0.1:${issuerPort}` },
        admin: { address: `127.0.0.1:${adminPort}` },
      },
      rateLimit: { perSource: plenty, perCredential: plenty, issuer: plenty },
      ...settings(pathOf),
    }),
  );
  const running = await startProgram('src/cli.ts', ['serve', '--config', pathOf('config.yaml')], address, folder);
  await new Promise((done) => setTimeout(done, PAST_HORIZON_MS));
  return { ...running, issuer: `127.0.0.1:${issuerPort}` };
}

/** What the transport costs: the same server, every Check answered by prepared bytes. */
export async function startAllowServer(): Promise<Running> {
  const folder = await mkdtemp(join(tmpdir(), 'cs-bench-'));
  const address = `unix:${join(folder, 'check.sock')}`;
  return startProgram('bench/allow-server.ts', [address], address, folder);
}

async function startProgram(
  program: string,
  args: readonly string[],
  address: string,
  folder: string,
): Promise<Running> {
  const child = spawn(process.execPath, [join(root, program), ...args], { stdio: 'ignore', cwd: root });
  const stop = async () => {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await untilAnswers(address, child);
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  return { address, pid: child.pid ?? 0, stop };
}

async function untilAnswers(address: string, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 200 && child.exitCode === null; attempt += 1) {
    const caller = openCaller(address);
    const answer = await caller.check(new Uint8Array(0)).catch(() => undefined);
    caller.close();
    if (answer !== undefined) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`no answer at ${address}`);
}
