/**
 * What logins cost Checks: their latency with and without logins beside them, server and load each on a core of their own, rounds of the
 * one and of the other in turn, so that a noisy machine is noisy to both.
 *
 *   node bench/logins.ts [--logins 200] [--rate 300] [--seconds 6] [--rounds 5]
 */
import { execFileSync } from 'node:child_process';
import { Agent, request } from 'node:http';
import { pid as ownPid } from 'node:process';
import { parseArgs } from 'node:util';
import { referenceClient } from '../test/schemes/opaque-pop/reference-engine.ts';
import { encodeBase64url } from '../src/encoding/base64url.ts';
import { ringWith } from '../test/support/key-ring.ts';
import { newClient, signedChecks, startChallengeSignature } from './challenge-signature.ts';
import { closedLoop, openCaller, openLoop, percentile, type Caller } from './load.ts';

const { values } = parseArgs({
  options: {
    logins: { type: 'string', default: '200' },
    rate: { type: 'string', default: '300' },
    seconds: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '5' },
  },
});
const [logins, rate, seconds, rounds] = [values.logins, values.rate, values.seconds, values.rounds].map(Number) as [
  number,
  number,
  number,
  number,
];
const WARM_UP = 5_000;

const ring = ringWith('challenge-mac', 'wrap', 'opaque-setup');
const client = newClient('alice');
const plenty = { rate: '1000000/s', burst: 1_000_000 };
const limits = { loginPerUserAndAddress: plenty, loginPerUser: plenty, loginPerAddress: plenty };
const service = await startChallengeSignature(ring, client, undefined, { 'opaque-pop': { limits } });
try {
  pin(service.pid, 0);
  pin(ownPid, 1);
  const caller = openCaller(service.address);
  await closedLoop(caller, signedChecks(ring, client, WARM_UP), 16);
  await logInFor(1, 50); // Threads start with the first.
  const alone: Quantiles[] = [];
  const beside: Quantiles[] = [];
  const counted = { done: 0, refused: 0 };
  for (let round = 0; round < rounds; round += 1) {
    alone.push(await latencies(caller));
    const [quantiles, told] = await Promise.all([latencies(caller), logInFor(seconds, logins)]);
    beside.push(quantiles);
    counted.done += told.done;
    counted.refused += told.refused;
  }
  caller.close();
  print(alone, beside, counted);
} finally {
  await service.stop();
}

interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

async function latencies(caller: Caller): Promise<Quantiles> {
  const sorted = await openLoop(caller, signedChecks(ring, client, rate * seconds), rate);
  return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), p999: percentile(sorted, 0.999) };
}

async function logInOnce(agent: Agent, first: string): Promise<boolean> {
  const { status, text } = await post(agent, 'login/start', first);
  if (status !== 200) return false;
  const { loginId } = JSON.parse(text) as { loginId: string };
  const finalization = encodeBase64url(new Uint8Array(64));
  return (await post(agent, 'login/finish', JSON.stringify({ loginId, finalization }))).status === 401;
}

/** Both calls of a login by somebody who knows no password: the server's work is the same, the client's stays out of the measure. */
async function logInFor(forSeconds: number, perSecond: number): Promise<{ done: number; refused: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const { ke1 } = referenceClient('guess', { memoryKib: 8, iterations: 1, parallelism: 1 }).startLogin();
  const first = JSON.stringify({ user: 'somebody', request: encodeBase64url(ke1) });
  const told = { done: 0, refused: 0 };
  const startMs = performance.now();
  const pending: Promise<void>[] = [];
  for (let index = 0; index < forSeconds * perSecond; index += 1) {
    const waitMs = startMs + (index * 1000) / perSecond - performance.now();
    if (waitMs > 1) await new Promise((done) => setTimeout(done, waitMs));
    pending.push(logInOnce(agent, first).then((isDone) => void (told[isDone ? 'done' : 'refused'] += 1)));
  }
  await Promise.all(pending);
  agent.destroy();
  return told;
}

function post(agent: Agent, path: string, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const [hostname, port] = (service.issuer ?? '').split(':');
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const sent = request(
      { agent, hostname, port, method: 'POST', path: `/auth/opaque-pop/${path}`, headers },
      (answer) => {
        let text = '';
        answer.on('data', (chunk) => (text += String(chunk)));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      },
    );
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

function print(
  alone: readonly Quantiles[],
  beside: readonly Quantiles[],
  counted: { done: number; refused: number },
): void {
  process.stdout.write(
    `${rate} Checks/s; ${logins} logins/s beside them: ${counted.done} judged, ${counted.refused} refused\n\n`,
  );
  process.stdout.write('| latency of a Check, ms | alone | beside logins | ratio |\n|---|---|---|---|\n');
  for (const name of ['p50', 'p99', 'p999'] as const) {
    const [a, b] = [alone, beside].map((all) => median(all.map((one) => one[name]))) as [number, number];
    process.stdout.write(
      `| ${name}, median of ${rounds} rounds | ${a.toFixed(2)} | ${b.toFixed(2)} | ${(b / a).toFixed(2)} |\n`,
    );
  }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}
