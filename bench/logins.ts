/**
 * What logins cost Checks: their latency alone, beside a given rate of logins, and beside as many as there are takers for. Server and load
 * have a core each, and the three take turns round by round, so that a noisy machine is noisy to all of them.
 *
 *   node bench/logins.ts [--logins 200] [--rate 300] [--seconds 6] [--rounds 5]
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { pid as ownPid } from 'node:process';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { encodeBase64url } from '../src/encoding/base64url.ts';
import { referenceClient } from '../test/schemes/opaque-pop/reference-engine.ts';
import { ringWith } from '../test/support/key-ring.ts';
import { newClient, signedChecks, startChallengeSignature } from './challenge-signature.ts';
import type { LoginLoad, LoginOrder } from './login-load.ts';
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
const [hostname = '', port = ''] = (service.issuer ?? '').split(':');
const load: LoginLoad = {
  hostname,
  port,
  ke1: encodeBase64url(referenceClient('guess', { memoryKib: 8, iterations: 1, parallelism: 1 }).startLogin().ke1),
  finalization: encodeBase64url(new Uint8Array(64)),
};
const generator = new Worker(new URL('login-load.ts', import.meta.url), { workerData: load });
const order = (what: LoginOrder) => generator.postMessage(what, []);

const loads: Readonly<Record<string, LoginOrder | undefined>> = {
  alone: undefined,
  [`beside ${values.logins} logins/s`]: { perSecond: Number(values.logins) },
  [`beside ${TAKERS} logins at once`]: { takers: TAKERS },
};

try {
  pin(service.pid, 0);
  pin(ownPid, 1);
  const warm = openCaller(service.address);
  await closedLoop(warm, signedChecks(ring, user, WARM_UP), 16);
  warm.close();
  // The thread of the engine starts with the first; compilers rest after some hundreds.
  await beside({ takers: TAKERS }, () => new Promise((done) => setTimeout(done, 3000)));

  const measured = new Map(Object.keys(loads).map((name) => [name, { latencies: [] as number[][], logins: 0 }]));
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const [name, what] of Object.entries(loads)) {
      // Made before the connection: who connects and then says nothing is put out.
      const checks = signedChecks(ring, user, rate * seconds);
      const caller = openCaller(service.address);
      const { judged, result } = await beside(what, () => openLoop(caller, checks, rate));
      const sum = measured.get(name);
      sum?.latencies.push(result);
      if (sum !== undefined) sum.logins += judged;
      caller.close();
    }
  }
  print(measured);
} finally {
  await generator.terminate();
  await service.stop();
}

/** @returns also how many logins were judged meanwhile. */
async function beside<T>(
  what: LoginOrder | undefined,
  measure: () => Promise<T>,
): Promise<{ result: T; judged: number }> {
  if (what === undefined) return { result: await measure(), judged: 0 };
  order(what);
  const result = await measure();
  order('stop');
  const [judged] = (await once(generator, 'message')) as [number];
  return { result, judged };
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
