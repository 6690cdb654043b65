/**
 * The life of the process: start, reload, drain, end. Signals and the configuration file come in here; what runs is `sidecar.ts`.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { ConfigError } from './config/config-error.ts';
import { loadConfig, type Loaded, type LoadOptions } from './config/load.ts';
import { checkSecretFiles } from './config/secret-files.ts';
import { systemClock as clock } from './core/clock.ts';
import { RingError } from './keys/ring.ts';
import { watchFile } from './keys/watch-file.ts';
import { schemes } from './schemes/index.ts';
import { startSidecar, type Sidecar } from './sidecar.ts';
import { createEvents, type Events } from './telemetry/events.ts';
import { createLogger } from './telemetry/logger.ts';
import { createMetrics } from './telemetry/metrics.ts';
import { COMMIT, VERSION } from './version.ts';

/** Exit codes of `serve`. */
const EXIT = { ok: 0, failed: 1, configuration: 3, unreadable: 7, cutOff: 8, crash: 70 } as const;

const CONFIG_LOOK_MS = 10_000;
const CRASH_WRITE_MS = 50;
const ROLE = 'single';

/** @returns the exit code, once everything has ended. */
export async function runSupervisor(source: Omit<LoadOptions, 'schemes'>): Promise<number> {
  const load = (): Loaded => {
    const loaded = loadConfig({ ...source, schemes });
    checkSecretFiles(loaded.config, loaded.file);
    return loaded;
  };
  let loaded: Loaded;
  try {
    loaded = load();
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    process.stderr.write(`${thrown.message}\n`);
    return EXIT.configuration;
  }

  // Before the start, which takes a while: a change meanwhile must be seen as one.
  const initial = await readFile(loaded.file);

  const { log } = loaded.config;
  const logger = createLogger({ clock, level: log.level, role: ROLE, version: VERSION });
  const metrics = createMetrics({
    schemes,
    build: { version: VERSION, commit: COMMIT, node: process.version },
    role: ROLE,
  });
  const events = createEvents({ metrics, logger, clock, logging: log });
  events.start(loaded.hash, loaded.warnings);

  let sidecar: Sidecar | undefined;
  const reload = createReload(load, () => sidecar, events);
  onCrash(events, () => sidecar);
  try {
    sidecar = await startSidecar({ loaded, events, version: VERSION, reload });
  } catch (thrown) {
    process.stderr.write(`countersign: ${Error.isError(thrown) ? thrown.message : 'the start failed'}\n`);
    await events.close();
    return thrown instanceof RingError ? EXIT.unreadable : EXIT.failed;
  }
  return untilEnded(sidecar, { file: loaded.file, initial }, reload, events);
}

async function untilEnded(
  sidecar: Sidecar,
  { file, initial }: { readonly file: string; readonly initial: Uint8Array },
  reload: () => Promise<string | undefined>,
  events: Events,
): Promise<number> {
  const read = () => readFile(file);
  const watch = watchFile({
    file,
    intervalMs: CONFIG_LOOK_MS,
    read,
    initial,
    onChange: async () => void (await reload()),
    onError: (error) => events.reload({ applied: false, error: Error.isError(error) ? error.message : 'unreadable' }),
  });
  process.on('SIGHUP', () => void reload());
  process.on('SIGUSR2', () => undefined); // One process for everything: there is nothing to replace, and the default would end it.

  await new Promise<void>((resolve) => {
    let seen = 0;
    const onSignal = () => {
      seen += 1;
      if (seen > 1) process.exit(EXIT.ok); // Asked twice to end: at once.
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
  watch.close();
  events.drain('started');
  const wasQuiet = await sidecar.drain();
  events.drain(wasQuiet ? 'finished' : 'cut_off');
  await events.close();
  return wasQuiet ? EXIT.ok : EXIT.cutOff;
}

/** One at a time. The old configuration stays on any error. */
function createReload(
  load: () => Loaded,
  sidecar: () => Sidecar | undefined,
  events: Events,
): () => Promise<string | undefined> {
  let running: Promise<string | undefined> = Promise.resolve(undefined);
  const once = async (): Promise<string | undefined> => {
    try {
      const loaded = load();
      await sidecar()?.apply(loaded);
      events.reload({ applied: true, configHash: loaded.hash });
      return undefined;
    } catch (thrown) {
      const error = Error.isError(thrown) ? thrown.message : 'unknown error';
      events.reload({ applied: false, error });
      return error;
    }
  };
  return () => (running = running.then(once));
}

/** A bug: what is in flight is refused, the stack is logged, never request data, and whoever started us starts us again. */
function onCrash(events: Events, sidecar: () => Sidecar | undefined): void {
  const crash = async (kind: 'exception' | 'rejection', thrown: unknown) => {
    sidecar()?.denyInFlight();
    await events.crash(kind, thrown);
    await pause(CRASH_WRITE_MS);
    process.exit(EXIT.crash);
  };
  process.on('uncaughtException', (error) => void crash('exception', error));
  process.on('unhandledRejection', (reason) => void crash('rejection', reason));
}
