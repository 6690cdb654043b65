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
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { ringWith } from '../test/support/key-ring.ts';
import { startRedis } from '../test/support/redis.ts';
import { cpuUs, rssMb } from './accounting.ts';
import { closedLoop, openCaller, openLoop, percentile } from './load.ts';
import { commandUs, verificationUs } from './parts.ts';
import { newClient, signedChecks, startChallengeSignature } from './challenge-signature.ts';
import { startAllowServer, type Running } from './service.ts';

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
  print([await measure('the target', { address, pid: Number(values.pid) }, repeat)]);
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

async function floor(): Promise<Row> {
  const server = await startAllowServer();
  try {
    const [message = new Uint8Array(0)] = signedChecks(ringWith('challenge-mac'), newClient('floor'), 1);
    return await measure('an allow, transport alone', server, (count) => Array.from({ length: count }, () => message));
  } finally {
    await server.stop();
  }
}

async function full(name: string, redisUrl: string | undefined): Promise<Row> {
  const ring = ringWith('challenge-mac');
  const client = newClient('alice');
  const service = await startChallengeSignature(ring, client, redisUrl);
  try {
    return await measure(name, service, (count) => signedChecks(ring, client, count));
  } finally {
    await service.stop();
  }
}

async function measure(
  name: string,
  { address, pid }: Pick<Running, 'address' | 'pid'>,
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
