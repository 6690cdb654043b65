/** The threads of the engine: their queue, their end, and what becomes of jobs when one dies. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { createThreads, type Threads } from '../../../src/schemes/opaque-pop/threads.ts';
import { faultOf } from '../../support/refused.ts';

interface Job {
  readonly double?: number;
  readonly hold?: SharedArrayBuffer;
  readonly die?: 'throw' | 'exit';
}

const opened: Threads<Job, number>[] = [];
const held: SharedArrayBuffer[] = [];
afterEach(() => {
  for (const hold of held.splice(0)) release(hold);
  for (const threads of opened.splice(0)) threads.close();
});

function open(count: number, maxWaiting = 64) {
  const depths: number[] = [];
  const file = new URL('./threads/answering.ts', import.meta.url);
  const threads = createThreads<Job, number>({ file, count, maxWaiting, onWaiting: (jobs) => depths.push(jobs) });
  opened.push(threads);
  const started: number[] = [];
  const run = (job: Job, name = 0) => threads.run(job, () => started.push(name));
  return { threads, depths, started, run };
}

function newHold(): SharedArrayBuffer {
  const hold = new SharedArrayBuffer(4);
  held.push(hold);
  return hold;
}

function release(hold: SharedArrayBuffer): void {
  const flag = new Int32Array(hold);
  Atomics.store(flag, 0, 1);
  Atomics.notify(flag, 0);
}

test('each job has its own answer, however many there are', async () => {
  const { run } = open(3);
  const numbers = Array.from({ length: 60 }, (_, index) => index);
  expect(await Promise.all(numbers.map((double) => run({ double })))).toEqual(numbers.map((number) => number * 2));
});

test('a thread does one job at a time: the second starts when the first has its answer', async () => {
  const { run, started } = open(1);
  const hold = newHold();
  const first = run({ hold }, 1);
  const second = run({ double: 1 }, 2);
  expect(started).toEqual([1]);
  release(hold);
  await first;
  expect(started).toEqual([1, 2]);
  await second;
});

test('as many jobs at once as there are threads, and no more', async () => {
  const { run, started } = open(2);
  const holds = [newHold(), newHold(), newHold()];
  const jobs = holds.map((hold, index) => run({ hold }, index));
  expect(started).toEqual([0, 1]);
  holds.forEach(release);
  await Promise.all(jobs);
  expect(started).toEqual([0, 1, 2]);
});

test('what no longer fits into the queue is a fault overload at once; when there is room again it is taken', async () => {
  const { run, depths } = open(1, 3);
  const hold = newHold();
  const first = run({ hold });
  const waiting = [1, 2, 3].map((double) => run({ double }));
  expect((await faultOf(run({ double: 4 }))).reason).toBe('overload');
  expect(depths).toEqual([1, 2, 3]);
  release(hold);
  await first;
  expect(await Promise.all(waiting)).toEqual([2, 4, 6]);
  expect(depths).toEqual([1, 2, 3, 2, 1, 0]);
  expect(await run({ double: 5 })).toBe(10);
});

test('without threads every job is a fault overload', async () => {
  expect((await faultOf(open(0).run({ double: 1 }))).reason).toBe('overload');
});

describe.each(['throw', 'exit'] as const)('a thread that dies (%s)', (die) => {
  test('takes its own job along as a fault and no other', async () => {
    const { run } = open(1);
    const dying = run({ die });
    const after = run({ double: 21 });
    expect((await faultOf(dying)).reason).toBe('internal');
    expect(await after).toBe(42);
    expect(await run({ double: 4 })).toBe(8);
  });

  test('with nobody waiting is replaced by the next job', async () => {
    const { run } = open(2);
    expect((await faultOf(run({ die }))).reason).toBe('internal');
    expect((await faultOf(run({ die }))).reason).toBe('internal');
    expect(await Promise.all([1, 2, 3].map((double) => run({ double })))).toEqual([2, 4, 6]);
  });
});

test('a program that can not start makes faults, one per job, and no loop', async () => {
  const file = new URL('./threads/missing.ts', import.meta.url);
  const threads = createThreads<Job, number>({ file, count: 1, maxWaiting: 4, onWaiting() {} });
  const reasons = await Promise.all(
    [1, 2, 3].map(async (double) => (await faultOf(threads.run({ double }, () => {}))).reason),
  );
  expect(reasons).toEqual(['internal', 'internal', 'internal']);
});

test('a machine that has no room for another thread makes faults, and the process lives', async () => {
  const file = new URL('./threads/answering.ts', import.meta.url);
  const threads = createThreads<Job, number>({ file, count: 1, maxWaiting: 4, onWaiting() {} });
  opened.push(threads);
  const jobs = [threads.run({ die: 'throw' }, () => {}), ...[1, 2].map((double) => threads.run({ double }, () => {}))];
  // From here on the constructor of a thread throws, as it does when the system refuses one.
  file.href = 'https://example.com/none.ts';
  const reasons = await Promise.all(jobs.map(async (job) => (await faultOf(job)).reason));
  expect(reasons).toEqual(['internal', 'internal', 'internal']);
});

test('closed, it does what is under way and what comes late, and keeps no thread', async () => {
  const { threads, run } = open(1);
  const hold = newHold();
  const jobs = [run({ hold }), run({ double: 1 })];
  threads.close();
  release(hold);
  expect(await Promise.all(jobs)).toEqual([0, 2]);
  expect(await run({ double: 2 })).toBe(4);
});
