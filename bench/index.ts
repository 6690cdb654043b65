/**
 * `npm run bench`: CPU per Check, latency at a fixed rate, and memory, for an allow by the transport alone and for a full Check of
 * challenge-signature with the memory store and with Redis; beside them the parts that no implementation can avoid. Read ratios of one
 * run: machines differ and are noisy.
 *
 *   npm run bench -- [--checks 8000] [--rate 500] [--seconds 8]
 *   npm run bench -- --target host:port|unix:/path --pid PID --message FILE
 *
 * The second form loads any ext_authz server with one recorded CheckRequest, again and again.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { formatRing } from '../src/keys/ring.ts';
import { freePort } from '../scripts/processes.ts';
import { root } from '../scripts/tool.ts';
import { ringWith } from '../test/support/key-ring.ts';
import { startRedis } from '../test/support/redis.ts';
import { cpuUs, rssMb } from './accounting.ts';
import { closedLoop, openCaller, openLoop, percentile } from './load.ts';
import { commandUs, verificationUs } from './parts.ts';
import { newClient, signedChecks } from './proofs.ts';

const IN_FLIGHT = 32;
/** So long that the compilers have come to rest: they would count as much as a quarter of a Check. */
const WARM_UP = 50_000;

interface Row {
  readonly name: string;
  readonly cpu: number;
  readonly p50: number;
  readonly p99: number;
  readonly rssIdle: number;
  readonly rssLoaded: number;
  readonly allowed: string;
}

const { values } = parseArgs({
  options: {
    checks: { type: 'string', default: '8000' },
    rate: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '8' },
    target: { type: 'string' },
    pid: { type: 'string' },
    message: { type: 'string' },
  },
});
const checks = Number(values.checks);
const rate = Number(values.rate);
const atRate = rate * Number(values.seconds);

if (values.target !== undefined) await foreign(values.target);
else await own();

async function foreign(address: string): Promise<void> {
  if (values.pid === undefined || values.message === undefined)
    throw new Error('expected --pid and --message beside --target');
  const message = new Uint8Array(await readFile(values.message));
  const repeat = (count: number) => Array.from({ length: count }, () => message);
  print([await measure('the target', address, Number(values.pid), repeat)]);
}

async function own(): Promise<void> {
  const redis = await startRedis();
  try {
    const rows = [
      await floor(),
      await full('full Check, memory', undefined),
      await full('full Check, Redis', redis.url),
    ];
    print(rows);
    const [verifyUs, redisUs] = [await verificationUs(), await commandUs(redis.url)];
    const withRedis = rows[2]?.cpu ?? Number.NaN;
    process.stdout.write(
      `\nunavoidable: one P-256 verification ${verifyUs.toFixed(1)} us, one Redis command ${redisUs.toFixed(1)} us\n`,
    );
    process.stdout.write(
      `full Check with Redis: ${(withRedis / (verifyUs + redisUs)).toFixed(2)} times their sum (goal: at most 2.2)\n`,
    );
  } finally {
    await redis.stop();
  }
}

/** What the transport costs: the same server program, every Check answered by prepared bytes. */
async function floor(): Promise<Row> {
  const folder = await mkdtemp(join(tmpdir(), 'cs-bench-'));
  const address = `unix:${join(folder, 'check.sock')}`;
  const server = start('bench/allow-server.ts', [address]);
  try {
    await untilAnswers(address);
    const message = signedChecks(ringWith('challenge-mac'), newClient('floor'), 1);
    return await measure('an allow, transport alone', address, server.pid ?? 0, (count) =>
      Array.from({ length: count }, () => message[0] as Uint8Array),
    );
  } finally {
    server.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
}

async function full(name: string, redisUrl: string | undefined): Promise<Row> {
  const folder = await mkdtemp(join(tmpdir(), 'cs-bench-'));
  const [adminPort, issuerPort] = [await freePort(), await freePort()];
  const address = `unix:${join(folder, 'check.sock')}`;
  const ring = ringWith('challenge-mac');
  const client = newClient('alice');
  const write = async (file: string, text: string) => {
    await writeFile(join(folder, file), text, { mode: 0o600 });
    return join(folder, file);
  };
  const plenty = { rate: '1000000/s', burst: 1_000_000 };
  const config = await write(
    'config.yaml',
    stringify({
      version: 1,
      store: redisUrl === undefined ? { type: 'memory' } : { type: 'redis', redis: { urls: [redisUrl] } },
      ...(redisUrl === undefined && { insecure: { freshMemoryStore: true } }),
      clock: { skew: '1s' },
      envoy: { checkBudget: '5s' },
      process: { shedDelay: '10s' },
      keys: { ringFile: await write('ring.json', formatRing(ring)) },
      directory: {
        dummyAlg: 'ES256',
        file: await write(
          'users.json',
          JSON.stringify({ users: [{ user: client.user, keys: [{ kid: 'k1', jwk: client.publicJwk }] }] }),
        ),
      },
      listeners: {
        check: { address },
        issuer: { address: `127.0.0.1:${issuerPort}` },
        admin: { address: `127.0.0.1:${adminPort}` },
      },
      schemes: { 'challenge-signature': { challenges: 'stateless', inBand: false, lifetime: '300s' } },
      routes: { api: { schemes: ['challenge-signature'], publicOrigins: ['https://api.example.com'] } },
      rateLimit: { perSource: plenty, perCredential: plenty, issuer: plenty },
    }),
  );
  const server = start('src/cli.ts', ['serve', '--config', config]);
  try {
    await untilAnswers(address);
    await new Promise((done) => setTimeout(done, 2500)); // Redis: past the horizon.
    return await measure(name, address, server.pid ?? 0, (count) => signedChecks(ring, client, count));
  } finally {
    server.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(
  name: string,
  address: string,
  pid: number,
  make: (count: number) => readonly Uint8Array[],
): Promise<Row> {
  // Made before the connection: who connects and then says nothing is put out.
  const [warmUp, messages, timed] = [make(WARM_UP), make(checks), make(atRate)];
  const rssIdle = rssMb(pid);
  const caller = openCaller(address);
  await closedLoop(caller, warmUp, IN_FLIGHT);
  const before = cpuUs(pid);
  const allowed = await closedLoop(caller, messages, IN_FLIGHT);
  const cpu = (cpuUs(pid) - before) / checks;
  const rssLoaded = rssMb(pid);
  const latencies = await openLoop(caller, timed, rate);
  caller.close();
  return {
    name,
    cpu,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    rssIdle,
    rssLoaded,
    allowed: `${allowed}/${checks}`,
  };
}

function start(program: string, args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [join(root, program), ...args], { stdio: 'ignore', cwd: root });
}

async function untilAnswers(address: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const caller = openCaller(address);
    const answer = await caller.check(new Uint8Array(0)).catch(() => undefined);
    caller.close();
    if (answer !== undefined) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`no answer at ${address}`);
}

function print(rows: readonly Row[]): void {
  process.stdout.write(`${checks} Checks, ${IN_FLIGHT} in flight; then ${rate}/s for ${values.seconds} s\n\n`);
  process.stdout.write(
    '| | CPU us per Check | p50 ms | p99 ms | RSS MB idle | RSS MB loaded | allowed |\n|---|---|---|---|---|---|---|\n',
  );
  for (const { name, cpu, p50, p99, rssIdle, rssLoaded, allowed } of rows) {
    const cells = [
      name,
      cpu.toFixed(0),
      p50.toFixed(2),
      p99.toFixed(2),
      rssIdle.toFixed(0),
      rssLoaded.toFixed(0),
      allowed,
    ];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
}
