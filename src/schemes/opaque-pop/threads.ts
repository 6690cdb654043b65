/**
 * A few threads, one job at a time each, and a short queue before them: what does not fit is refused at once, since who waits longest
 * has long given up. A thread that dies takes its own job with it and no other.
 */
import { Worker } from 'node:worker_threads';
import { Fault } from '../../core/fault.ts';

export interface Threads<Job, Outcome> {
  /** @param onStart called when a thread takes the job. @throws {Fault} `overload` when too many wait, `internal` when its thread died. */
  run(job: Job, onStart: () => void): Promise<Outcome>;
  /** Ends each thread when it has nothing more to do. Jobs that come later are done nevertheless: a request may still be under way. */
  close(): void;
}

export interface ThreadsOptions {
  /** The thread's program: answers each message with one message. */
  readonly file: URL;
  /** Most threads; they start when they are needed. */
  readonly count: number;
  /** Most jobs that wait for one. */
  readonly maxWaiting: number;
  onWaiting(jobs: number): void;
}

interface Task<Job, Outcome> {
  readonly job: Job;
  onStart(): void;
  resolve(outcome: Outcome): void;
  reject(error: Fault): void;
}

export function createThreads<Job, Outcome>(options: ThreadsOptions): Threads<Job, Outcome> {
  const { file, count, maxWaiting, onWaiting } = options;
  const waiting: Task<Job, Outcome>[] = [];
  const idle: Worker[] = [];
  const busy = new Map<Worker, Task<Job, Outcome>>();
  let isClosed = false;

  function start(): Worker {
    // Options of the process are about its own program.
    const thread = new Worker(file, { execArgv: [] });
    thread.on('message', (outcome: Outcome) => {
      const task = busy.get(thread);
      busy.delete(thread);
      task?.resolve(outcome);
      goOn(thread);
    });
    thread.on('error', (cause) => end(thread, cause));
    thread.on('exit', () => end(thread));
    return thread;
  }

  function give(thread: Worker, task: Task<Job, Outcome>): void {
    busy.set(thread, task);
    thread.ref();
    task.onStart();
    thread.postMessage(task.job, []);
  }

  /** An idle thread keeps no process alive. */
  function goOn(thread: Worker): void {
    const task = nextWaiting();
    if (task !== undefined) return give(thread, task);
    if (isClosed) return void thread.terminate();
    thread.unref();
    idle.push(thread);
  }

  /** The one that takes its place starts with the next job, so that one that can't live at all starts no more often than it is asked for. */
  function end(thread: Worker, cause?: unknown): void {
    const at = idle.indexOf(thread);
    if (at >= 0) idle.splice(at, 1);
    const task = busy.get(thread);
    if (!busy.delete(thread)) return;
    task?.reject(new Fault('internal', 'a thread ended in the middle of a job', { cause }));
    startForNext();
  }

  /** A machine without room for another thread throws here, where nobody above would catch it: then all who wait are told. */
  function startForNext(): void {
    const task = nextWaiting();
    if (task === undefined) return;
    try {
      give(start(), task);
    } catch (cause) {
      task.reject(new Fault('internal', 'no thread could be started', { cause }));
      startForNext();
    }
  }

  function nextWaiting(): Task<Job, Outcome> | undefined {
    const task = waiting.shift();
    if (task !== undefined) onWaiting(waiting.length);
    return task;
  }

  return {
    run: (job, onStart) =>
      new Promise((resolve, reject) => {
        const task = { job, onStart, resolve, reject };
        const thread = idle.pop() ?? (busy.size < count ? start() : undefined);
        if (thread !== undefined) return give(thread, task);
        if (count === 0 || waiting.length >= maxWaiting)
          return reject(
            new Fault('overload', count === 0 ? 'no threads are configured' : 'too many jobs wait for a thread'),
          );
        waiting.push(task);
        return onWaiting(waiting.length);
      }),
    close() {
      isClosed = true;
      for (const thread of idle.splice(0)) void thread.terminate();
    },
  };
}
