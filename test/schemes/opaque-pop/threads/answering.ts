/** A thread for tests of the pool: doubles numbers, waits to be released, or dies. */
import { parentPort } from 'node:worker_threads';

parentPort?.on(
  'message',
  (job: { readonly double?: number; readonly hold?: SharedArrayBuffer; readonly die?: 'throw' | 'exit' }) => {
    if (job.die === 'throw') throw new Error('as the test says');
    if (job.die === 'exit') process.exit(3);
    if (job.hold !== undefined) Atomics.wait(new Int32Array(job.hold), 0, 0);
    parentPort?.postMessage((job.double ?? 0) * 2, []);
  },
);
