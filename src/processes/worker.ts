/**
 * A worker process: a sidecar with one front, whose connections, configuration and end come from the supervisor. It outlives neither
 * its calls nor the supervisor by long.
 */
import type { Server, Socket } from 'node:net';
import { loadConfig, type LoadOptions } from '../config/load.ts';
import { RingError } from '../keys/ring.ts';
import type { Attach } from '../listener/bind.ts';
import { schemes } from '../schemes/index.ts';
import { startSidecar, type Sidecar } from '../sidecar.ts';
import type { Events } from '../telemetry/events.ts';
import { VERSION } from '../version.ts';
import type {
  AdminCall,
  Asked,
  FromWorker,
  HandedConnection,
  Listener,
  Question,
  Questions,
  StartOrder,
  ToWorker,
  WorkerFacts,
} from './messages.ts';
import { onCrash } from './on-crash.ts';
import { openEvents } from './open-events.ts';
import { createReload } from './reload.ts';

/** As the command that the supervisor is ends with for the same reason. */
const EXIT = { ok: 0, failed: 1, usage: 2, unreadable: 7, cutOff: 8 } as const;

const TELL_MS = 200;
/** Without news: the supervisor takes one that is silent for long to hang. */
const ALIVE_MS = 2000;

/** @returns the exit code, once everything has ended. */
export async function runWorker(env: LoadOptions['env']): Promise<number> {
  if (process.send === undefined) {
    process.stderr.write('countersign worker: started by countersign serve, not by hand\n');
    return EXIT.usage;
  }
  // The supervisor gets them too, and says what they mean here.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => undefined);
  const order = await new Promise<StartOrder>((resolve) => {
    process.once('message', (message: StartOrder) => resolve(message));
    tell({ kind: 'loaded' });
  });
  const { role, file, text, set } = order;
  const load = (next: string) => loadConfig({ schemes, env, set, file, text: next });
  const loaded = load(text);
  const events = openEvents(role, loaded.config, env);
  const handed = createHandedConnections();
  let sidecar: Sidecar | undefined;
  onCrash(events, () => sidecar?.denyAll());
  try {
    sidecar = await startSidecar({
      loaded,
      events,
      version: VERSION,
      fronts: { [role]: handed.attach(role) },
      reload: () => Promise.resolve('the supervisor reloads'),
    });
  } catch (thrown) {
    const exit = thrown instanceof RingError ? EXIT.unreadable : EXIT.failed;
    tell({ kind: 'failed', message: Error.isError(thrown) ? thrown.message : 'the start failed', exit });
    await events.close();
    process.disconnect?.();
    return exit;
  }
  return untilDrained(sidecar, events, load, handed.give);
}

async function untilDrained(
  sidecar: Sidecar,
  events: Events,
  load: (text: string) => ReturnType<typeof loadConfig>,
  give: (order: HandedConnection, connection: Socket | undefined) => void,
): Promise<number> {
  let told = '';
  let quietMs = 0;
  const telling = setInterval(() => {
    const facts = factsOf(sidecar);
    const now = JSON.stringify(facts);
    quietMs += TELL_MS;
    if (now === told && quietMs < ALIVE_MS) return;
    told = now;
    quietMs = 0;
    tell({ kind: 'facts', facts });
  }, TELL_MS);
  const ended = Promise.withResolvers<boolean>();
  let isDraining = false;
  const drain = async (): Promise<boolean> => {
    isDraining = true;
    const wasQuiet = await sidecar.drain();
    clearInterval(telling);
    return wasQuiet;
  };

  const answers = createAnswers(sidecar, events, load, drain);
  process.on('message', (message: ToWorker, connection: Socket | undefined) => {
    if (message.kind === 'connection') give(message, connection);
    else if (message.kind === 'ask') void answer(message, answers, ended.resolve);
  });
  // The supervisor is gone: nobody brings connections any more, so the calls in flight are the last.
  const follow = () => {
    if (!isDraining) void drain().then(ended.resolve);
  };
  process.on('disconnect', follow);
  if (!process.connected) follow(); // It went while this one was starting.
  tell({ kind: 'started', facts: factsOf(sidecar) });

  const wasQuiet = await ended.promise;
  await events.close();
  if (process.connected) process.disconnect?.();
  return wasQuiet ? EXIT.ok : EXIT.cutOff;
}

type Answers = {
  readonly [Q in Question]: (told: Questions[Q]['tell']) => Promise<Questions[Q]['answer']> | Questions[Q]['answer'];
};

function createAnswers(
  sidecar: Sidecar,
  events: Events,
  load: (text: string) => ReturnType<typeof loadConfig>,
  drain: () => Promise<boolean>,
): Answers {
  const reload = createReload(async (text) => sidecar.prepare(load(text)));
  return {
    async prepare({ text }) {
      await reload.prepare(text);
      return undefined;
    },
    commit() {
      reload.commit();
      return undefined;
    },
    cancel() {
      reload.cancel();
      return undefined;
    },
    metrics: () => events.snapshot(),
    logLevel({ level, ttlMs }) {
      events.overrideLogLevel(level, ttlMs);
      return undefined;
    },
    admin: (call) => answerAdmin(sidecar, call),
    retire({ connections }) {
      sidecar.retireConnections(connections);
      return undefined;
    },
    leave() {
      sidecar.leave();
      return undefined;
    },
    drain: async () => ({ wasQuiet: await drain(), metrics: await events.snapshot() }),
  };
}

async function answer(
  { id, question, told }: Asked,
  answers: Answers,
  ended: (wasQuiet: boolean) => void,
): Promise<void> {
  try {
    // What is told goes with the question, as `messages.ts` pairs them; the channel carries no types.
    const answered = await answers[question](told as never);
    tell({ kind: 'answer', id, answer: answered });
    if (question === 'drain') ended((answered as Questions['drain']['answer']).wasQuiet);
  } catch (thrown) {
    tell({ kind: 'refused', id, message: Error.isError(thrown) ? thrown.message : 'unknown error' });
  }
}

async function answerAdmin(
  sidecar: Sidecar,
  { method, path, raw, contentType }: AdminCall,
): Promise<Questions['admin']['answer']> {
  const {
    status,
    body,
    headers = [],
  } = await sidecar.answerAdmin({
    method,
    target: path,
    header: (name) => (name === 'content-type' ? contentType : undefined),
    body: () => Promise.resolve(raw), // The front that read it has the limit.
    address: '',
    forwardedFor: [],
  });
  return { status, body, headers };
}

function tell(message: FromWorker): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

function factsOf(sidecar: Sidecar): WorkerFacts {
  const { adminPaths, ...facts } = sidecar.facts();
  const paths = [...adminPaths].flatMap(([path, methods]) => [...methods.keys()].map((method) => ({ method, path })));
  return { ...facts, adminPaths: paths };
}

/** Servers that listen nowhere: what the supervisor hands over is given to them as if they had accepted it. */
function createHandedConnections() {
  const servers = new Map<Listener, Server>();
  return {
    attach:
      (listener: Listener): Attach =>
      (server, { address }) => {
        servers.set(listener, server);
        server.emit('listening'); // For an HTTP server, which begins to look after its connections' time then.
        return Promise.resolve(address);
      },
    give({ id, listener }: HandedConnection, connection: Socket | undefined): void {
      tell({ kind: 'taken', id });
      if (connection === undefined) return tell({ kind: 'closed', listener }); // It ended on the way.
      connection.once('close', () => tell({ kind: 'closed', listener }));
      const server = servers.get(listener);
      if (server === undefined) connection.destroy();
      else server.emit('connection', connection);
    },
  };
}
