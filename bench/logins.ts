/**
 * What logins cost Checks: their latency alone, beside a given rate of logins, and beside as many as there are takers for. Server and load
 * have a core each, and the three take turns round by round, so that a noisy machine is noisy to all of them.
 *
 *   node bench/logins.ts [--logins 200] [--rate 300] [--seconds 6] [--rounds 5]
 */
import { execFileSync } from 'node:child_process';
import { Agent, request } from 'node:http';
import { pid as ownPid } from 'node:process';
import { parseArgs } from 'node:util';
import { encodeBase64url } from '../src/encoding/base64url.ts';
import { referenceClient } from '../test/schemes/opaque-pop/reference-engine.ts';
import { ringWith } from '../test/support/key-ring.ts';
import { newClient, signedChecks, startChallengeSignature } from './challenge-signature.ts';
import { closedLoop, openCaller, openLoop, percentile } from './load.ts';

const { values } = parseArgs({
  options: {
    logins: { type: 'string', default: '200' },
    rate: { type: 'string', default: '300' },
    seconds: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '5' },
  },
});
const rate = Number(values.rate);
const seconds = Number(values.seconds);
const WARM_UP = 5_000;
const TAKERS = 32;

const ring = ringWith('challenge-mac', 'wrap', 'opaque-setup');
const user = newClient('alice');
const plenty = { rate: '1000000/s', burst: 1_000_000 };
const limits = { loginPerUserAndAddress: plenty, loginPerUser: plenty, loginPerAddress: plenty };
const service = await startChallengeSignature(ring, user, undefined, { 'opaque-pop': { limits } });
const KE1 = encodeBase64url(referenceClient('guess', { memoryKib: 8, iterations: 1, parallelism: 1 }).startLogin().ke1);
const WRONG = encodeBase64url(new Uint8Array(64));
const agent = new Agent({ keepAlive: true, maxSockets: 64 });

interface Load {
  /** Logins judged, until it is told to stop. */
  run(isOver: () => boolean): Promise<number>;
}

const loads: Readonly<Record<string, Load>> = {
  alone: { run: async () => 0 },
  [`beside ${values.logins} logins/s`]: { run: (isOver) => loginsAtRate(Number(values.logins), isOver) },
  [`beside ${TAKERS} logins at once`]: { run: loginsAtOnce },
};

try {
  pin(service.pid, 0);
  pin(ownPid, 1);
  const warm = openCaller(service.address);
  await closedLoop(warm, signedChecks(ring, user, WARM_UP), 16);
  warm.close();
  for (let count = 0; count < 50; count += 1) await logInOnce(); // The thread starts with the first.

  const measured = new Map(Object.keys(loads).map((name) => [name, { latencies: [] as number[][], logins: 0 }]));
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const [name, load] of Object.entries(loads)) {
      // Made before the connection: who connects and then says nothing is put out.
      const checks = signedChecks(ring, user, rate * seconds);
      const caller = openCaller(service.address);
      let isOver = false as boolean;
      const logins = load.run(() => isOver);
      const latencies = await openLoop(caller, checks, rate);
      isOver = true;
      const judged = await logins;
      const sum = measured.get(name);
      sum?.latencies.push(latencies);
      if (sum !== undefined) sum.logins += judged;
      caller.close();
    }
  }
  print(measured);
} finally {
  agent.destroy();
  await service.stop();
}

async function loginsAtRate(perSecond: number, isOver: () => boolean): Promise<number> {
  const startMs = performance.now();
  const pending: Promise<boolean>[] = [];
  while (!isOver()) {
    const waitMs = startMs + (pending.length * 1000) / perSecond - performance.now();
    if (waitMs > 1) await new Promise((done) => setTimeout(done, waitMs));
    pending.push(logInOnce());
  }
  return (await Promise.all(pending)).filter(Boolean).length;
}

async function loginsAtOnce(isOver: () => boolean): Promise<number> {
  let judged = 0;
  const taker = async () => {
    while (!isOver()) if (await logInOnce()) judged += 1;
  };
  await Promise.all(Array.from({ length: TAKERS }, taker));
  return judged;
}

/** Both calls of somebody who knows no password: the server's work is the same, the client's stays out of the measure. */
async function logInOnce(): Promise<boolean> {
  const first = await post('login/start', { user: 'somebody', request: KE1 });
  if (first.status !== 200) return false;
  const { loginId } = JSON.parse(first.text) as { loginId: string };
  return (await post('login/finish', { loginId, finalization: WRONG })).status === 401;
}

function post(path: string, members: object): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const [hostname, port] = (service.issuer ?? '').split(':');
    const body = JSON.stringify(members);
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const target = { agent, hostname, port, method: 'POST', path: `/auth/opaque-pop/${path}`, headers };
    const sent = request(target, (answer) => {
      let text = '';
      answer.on('data', (chunk) => (text += String(chunk)));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** All threads of a process; those that it starts later inherit it. Linux, with `taskset`. */
function pin(pid: number, core: number): void {
  try {
    execFileSync('taskset', ['-a', '-c', '-p', String(core), String(pid)], { stdio: 'ignore' });
  } catch {
    process.stdout.write('without taskset nothing is pinned: figures are of all cores\n');
  }
}

function print(measured: ReadonlyMap<string, { latencies: readonly number[][]; logins: number }>): void {
  const share = [0.5, 0.99, 0.999];
  const rows = [...measured].map(([name, { latencies, logins }]) => ({
    name,
    quantiles: share.map((one) => median(latencies.map((sorted) => percentile(sorted, one)))),
    perSecond: logins / seconds / latencies.length,
  }));
  const base = rows[0]?.quantiles ?? [];
  process.stdout.write(
    `${rate} Checks/s for ${seconds} s, medians of ${values.rounds} rounds; times: against those alone\n\n`,
  );
  process.stdout.write('| | logins/s | p50 ms | p99 ms | p99.9 ms | times p50 | times p99 | times p99.9 |\n');
  process.stdout.write('|---|---|---|---|---|---|---|---|\n');
  for (const { name, quantiles, perSecond } of rows) {
    const times = quantiles.map((value, index) => (value / (base[index] ?? Number.NaN)).toFixed(2));
    process.stdout.write(
      `| ${[name, perSecond.toFixed(0), ...quantiles.map((value) => value.toFixed(2)), ...times].join(' | ')} |\n`,
    );
  }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}
