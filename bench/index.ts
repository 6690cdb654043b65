/**
 * `npm run bench`: CPU per Check, latency at a fixed rate, and memory, for an allow by the transport alone and for a full Check of
 * challenge-signature with the memory store and with Redis; beside them the parts that no implementation can avoid. All take turns in
 * short rounds, and the ratio is that of the middle round: machines differ, and one that is shared gets slower and faster by the second.
 *
 *   npm run bench -- [--checks 8000] [--rounds 7] [--rate 500] [--seconds 8]
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

interface Subject {
  readonly name: string;
  readonly server: Pick<Running, 'address' | 'pid'>;
  /** Checks that have not been sent yet. */
  make(count: number): readonly Uint8Array[];
}

interface Row {
  readonly subject: Subject;
  readonly rssIdle: number;
  /** CPU us per Check, a figure a round. */
  readonly cpu: number[];
  allowed: number;
}

const { values } = parseArgs({
  options: {
    checks: { type: 'string', default: '8000' },
    rounds: { type: 'string', default: '7' },
    rate: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '8' },
    target: { type: 'string' },
    pid: { type: 'string' },
    message: { type: 'string' },
  },
});
const checks = Number(values.checks);
const rounds = Number(values.rounds);
const rate = Number(values.rate);

if (values.target !== undefined) await foreign(values.target);
else await own();

async function foreign(address: string): Promise<void> {
  if (values.pid === undefined || values.message === undefined)
    throw new Error('expected --pid and --message beside --target');
  const message = new Uint8Array(await readFile(values.message));
  const server = { address, pid: Number(values.pid) };
  const row = await warm({ name: 'the target', server, make: (count) => Array.from({ length: count }, () => message) });
  for (let round = 0; round < rounds; round += 1) await run(row);
  await print([row]);
}

async function own(): Promise<void> {
  const ring = ringWith('challenge-mac');
  const client = newClient('alice');
  const running: { stop(): Promise<void> }[] = [];
  const kept = <T extends { stop(): Promise<void> }>(one: T): T => (running.push(one), one);
  try {
    const redis = kept(await startRedis());
    const allow = kept(await startAllowServer());
    const inMemory = kept(await startChallengeSignature(ring, client, undefined));
    const onRedis = kept(await startChallengeSignature(ring, client, redis.url));
    const make = (count: number) => signedChecks(ring, client, count);
    const [message = new Uint8Array(0)] = make(1);
    const repeat = (count: number) => Array.from({ length: count }, () => message);
    const floor = await warm({ name: 'an allow, transport alone', server: allow, make: repeat });
    const memory = await warm({ name: 'full Check, memory', server: inMemory, make });
    const full = await warm({ name: 'full Check, Redis', server: onRedis, make });
    const verification: number[] = [];
    const command: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      for (const row of [floor, memory, full]) await run(row);
      verification.push(await verificationUs());
      command.push(await commandUs(redis.url));
    }
    await print([floor, memory, full]);
    const ratios = full.cpu.map((us, round) => us / ((verification[round] ?? 0) + (command[round] ?? 0)));
    process.stdout.write(
      `\nunavoidable: one P-256 verification ${middle(verification).toFixed(1)} us, one Redis command ${middle(command).toFixed(1)} us\n` +
        `full Check with Redis: ${middle(ratios).toFixed(2)} times their sum (goal: at most 2.2); by round: ${ratios.map((ratio) => ratio.toFixed(2)).join(' ')}\n`,
    );
  } finally {
    for (const one of running.toReversed()) await one.stop();
  }
}

async function warm(subject: Subject): Promise<Row> {
  const row = { subject, rssIdle: rssMb(subject.server.pid), cpu: [], allowed: 0 };
  await send(subject, WARM_UP);
  return row;
}

async function run(row: Row): Promise<void> {
  const { cpu, allowed } = await send(row.subject, checks);
  row.cpu.push(cpu / checks);
  row.allowed += allowed;
}

/** @returns CPU us of all. */
async function send({ server, make }: Subject, count: number): Promise<{ cpu: number; allowed: number }> {
  // Made before the connection: who connects and then says nothing is put out.
  const messages = make(count);
  const caller = openCaller(server.address);
  const before = cpuUs(server.pid);
  const allowed = await closedLoop(caller, messages, IN_FLIGHT);
  const cpu = cpuUs(server.pid) - before;
  caller.close();
  return { cpu, allowed };
}

async function latencies({ server, make }: Subject): Promise<number[]> {
  const messages = make(rate * Number(values.seconds));
  const caller = openCaller(server.address);
  const sorted = await openLoop(caller, messages, rate);
  caller.close();
  return sorted;
}

async function print(rows: readonly Row[]): Promise<void> {
  process.stdout.write(
    `${rounds} rounds of ${checks} Checks, ${IN_FLIGHT} in flight; then ${rate}/s for ${values.seconds} s\n\n`,
  );
  process.stdout.write(
    '| | CPU us per Check | p50 ms | p99 ms | RSS MB idle | RSS MB loaded | allowed |\n|---|---|---|---|---|---|---|\n',
  );
  for (const { subject, cpu, rssIdle, allowed } of rows) {
    const rssLoaded = rssMb(subject.server.pid);
    const sorted = await latencies(subject);
    const cells = [
      subject.name,
      middle(cpu).toFixed(0),
      percentile(sorted, 0.5).toFixed(2),
      percentile(sorted, 0.99).toFixed(2),
      rssIdle.toFixed(0),
      rssLoaded.toFixed(0),
      `${allowed}/${rounds * checks}`,
    ];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
}

function middle(figures: readonly number[]): number {
  return percentile(
    figures.toSorted((a, b) => a - b),
    0.5,
  );
}
