/** One worker process as its supervisor sees it: started, asked, given connections, ended. When to do which is `fleet.ts`. */
import { fork, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { argv } from 'node:process';
import type { Snapshot } from '../telemetry/together.ts';
import type { FromWorker, Listener, Question, Questions, StartOrder, WorkerFacts } from './messages.ts';

/** How a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** By the supervisor, since it was silent. */
  readonly wasKilled: boolean;
}

/** Why it did not start; `exit` is what the command ends with for such a reason. */
export class StartFailed extends Error {
  readonly exit: number;

  constructor(message: string, exit: number) {
    super(message);
    this.exit = exit;
  }
}

export interface Member {
  readonly role: StartOrder['role'];
  readonly slot: number;
  readonly pid: number;
  /** The configuration in force there. */
  text: string;
  /** `up`: it can be given connections. `leaving`: its end was asked for. */
  phase(): 'starting' | 'up' | 'leaving' | 'ended';
  /** As it last told; undefined before it is up. */
  facts(): WorkerFacts | undefined;
  /** Connections that it was given and has not told closed. */
  connections(): number;
  /** Its counts as last told. */
  lastMetrics(): Snapshot;
  /** Fulfilled when it is up. @throws {StartFailed} */
  readonly started: Promise<void>;
  readonly ended: Promise<Ending>;
  give(listener: Listener, connection: Socket): void;
  /** @throws {Error} refused, silent for so long, or ended. */
  ask<Q extends Question>(
    question: Q,
    withinMs: number,
    ...told: Questions[Q]['tell'] extends undefined ? [] : [Questions[Q]['tell']]
  ): Promise<Questions[Q]['answer']>;
  /** Lets its calls end, at most so long. @returns whether all did. */
  drain(timeoutMs: number): Promise<boolean>;
  kill(): void;
}

export interface MemberOptions {
  readonly order: Omit<StartOrder, 'kind'>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** It is up, or told something new. */
  onFacts(): void;
}

const EXIT_FAILED = 1;
/** On a machine that is short of time, reading the code takes longest. */
const LOAD_MS = 60_000;
const START_MS = 10_000;
/** Beyond what it was given to drain: answers, store and log have to be closed. */
const END_MS = 5000;
/**
 * A worker whose loop turns tells something every two seconds. One that has not for some looks hangs: its connections would wait for
 * nothing, and those that come after them too. Looks, not a time: a supervisor that was itself stopped for long must hear them first.
 */
const LOOK_MS = 10_000;
const SILENT_LOOKS = 3;

export function startMember({ order, env, onFacts }: MemberOptions): Member {
  const child = fork(argv[1] ?? '', ['worker'], { env, serialization: 'advanced' });
  let phase: ReturnType<Member['phase']> = 'starting';
  let facts: WorkerFacts | undefined;
  let connections = 0;
  let metrics: Snapshot = [];
  const questions = createQuestions(child);
  const started = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<Ending>();
  /** Handed over and not yet told of as taken: ours stay open until then, and are closed with a worker that dies before. */
  const handed = new Map<number, Socket>();
  let lastHanded = 0;
  let wasKilled = false;
  const kill = () => {
    wasKilled = true;
    child.kill('SIGKILL');
  };
  let silentLooks = 0;
  const looking = setInterval(() => {
    silentLooks += 1;
    if (phase === 'up' && silentLooks > SILENT_LOOKS) kill();
  }, LOOK_MS);

  child.on('message', (message: FromWorker) => {
    silentLooks = 0;
    if (message.kind === 'loaded') within(START_MS);
    else if (message.kind === 'closed') connections -= 1;
    else if (message.kind === 'taken') {
      handed.get(message.id)?.destroy();
      handed.delete(message.id);
    } else if (message.kind === 'failed') started.reject(new StartFailed(message.message, message.exit));
    else if (message.kind === 'answer' || message.kind === 'refused') questions.settle(message);
    else {
      ({ facts } = message);
      if (message.kind === 'started') {
        if (phase === 'starting') phase = 'up';
        started.resolve();
      }
      onFacts();
    }
  });
  let late: NodeJS.Timeout | undefined;
  const within = (ms: number) => {
    clearTimeout(late);
    late = setTimeout(() => {
      started.reject(new StartFailed(`a worker was not up within ${ms / 1000} s`, EXIT_FAILED));
      kill();
    }, ms);
  };
  within(LOAD_MS);
  const end = (ending: Omit<Ending, 'wasKilled'>) => {
    phase = 'ended';
    clearTimeout(late);
    clearInterval(looking);
    for (const connection of handed.values()) connection.destroy();
    handed.clear();
    started.reject(
      new StartFailed(`a worker ended with ${ending.signal ?? ending.code} before it was up`, EXIT_FAILED),
    );
    questions.end();
    ended.resolve({ ...ending, wasKilled });
  };
  child.on('exit', (code, signal) => end({ code, signal }));
  child.on('error', () => {
    if (child.pid === undefined) end({ code: EXIT_FAILED, signal: null }); // It could not be started at all.
  });
  started.promise.catch(() => undefined).finally(() => clearTimeout(late));
  child.send({ kind: 'start', ...order } satisfies StartOrder, () => undefined);

  // The answer's type goes by the question's name; what came over the channel has none.
  const ask: Member['ask'] = (question, withinMs, ...told) => questions.ask(question, told[0], withinMs) as never;
  return {
    role: order.role,
    slot: order.slot,
    pid: child.pid ?? 0,
    text: order.text,
    phase: () => phase,
    facts: () => facts,
    connections: () => connections,
    lastMetrics: () => metrics,
    started: started.promise,
    ended: ended.promise,
    give(listener, connection) {
      connections += 1;
      const id = (lastHanded += 1);
      handed.set(id, connection);
      // A connection that can't be handed over is closed: its proxy opens another.
      child.send({ kind: 'connection', id, listener }, connection, { keepOpen: true }, (error) => {
        if (error !== null) connection.destroy();
      });
    },
    async ask(question, withinMs, ...told) {
      const answer = await ask(question, withinMs, ...told);
      if (question === 'metrics') metrics = answer as Snapshot;
      return answer;
    },
    async drain(timeoutMs) {
      if (phase === 'up') phase = 'leaving';
      const cut = setTimeout(() => child.kill('SIGKILL'), timeoutMs + END_MS);
      const last = await ask('drain', timeoutMs + END_MS).catch(() => undefined);
      if (last !== undefined) ({ metrics } = last);
      await ended.promise;
      clearTimeout(cut);
      return last?.wasQuiet ?? false;
    },
    kill,
  };
}

function createQuestions(child: ChildProcess) {
  const open = new Map<number, PromiseWithResolvers<unknown>>();
  let lastId = 0;
  let isEnded = false;
  return {
    async ask(question: Question, told: unknown, withinMs: number): Promise<unknown> {
      if (isEnded) throw new Error('the worker has ended');
      const id = (lastId += 1);
      const waiting = Promise.withResolvers<unknown>();
      open.set(id, waiting);
      const silent = setTimeout(() => waiting.reject(new Error(`a worker was silent for ${withinMs} ms`)), withinMs);
      child.send({ kind: 'ask', id, question, told }, () => undefined);
      try {
        return await waiting.promise;
      } finally {
        clearTimeout(silent);
        open.delete(id);
      }
    },
    settle(message: Extract<FromWorker, { kind: 'answer' | 'refused' }>): void {
      const waiting = open.get(message.id);
      if (message.kind === 'answer') waiting?.resolve(message.answer);
      else waiting?.reject(new Error(message.message));
    },
    end(): void {
      isEnded = true;
      for (const waiting of open.values()) waiting.reject(new Error('the worker has ended'));
    },
  };
}
