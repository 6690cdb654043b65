/**
 * The life of the service: start, reload, drain, end. Signals and the configuration file come in here; what runs is `sidecar.ts` alone,
 * or several of it under `multi.ts`.
 */
import { readFile } from 'node:fs/promises';
import { ConfigError } from './config/config-error.ts';
import { loadConfig, type Loaded, type LoadOptions } from './config/load.ts';
import { checkSecretFiles } from './config/secret-files.ts';
import { utf8 } from './encoding/bytes.ts';
import { RingError } from './keys/ring.ts';
import { watchFile, type FileWatch } from './keys/watch-file.ts';
import { bind } from './listener/bind.ts';
import { startMulti } from './multi.ts';
import { StartFailed } from './processes/member.ts';
import { onCrash } from './processes/on-crash.ts';
import { openEvents } from './processes/open-events.ts';
import { schemes } from './schemes/index.ts';
import { startSidecar, type Running } from './sidecar.ts';
import type { Events } from './telemetry/events.ts';
import { VERSION } from './version.ts';

/** Exit codes of `serve`. */
const EXIT = { ok: 0, failed: 1, configuration: 3, unreadable: 7, cutOff: 8 } as const;

const CONFIG_LOOK_MS = 10_000;

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

  const isMulti = loaded.config.process.model === 'multi';
  const events = openEvents(isMulti ? 'supervisor' : 'single', loaded.config, source.env);
  events.start(loaded.hash, loaded.warnings);

  // Signals and reloads that come during the start, which takes a while, wait for its end: nobody would hear of them otherwise.
  const started = Promise.withResolvers<Running>();
  const reload = createReload(load, started.promise, events, loaded.hash);
  const askedToEnd = untilAskedToEnd();
  process.on('SIGHUP', () => void reload('asked'));
  process.on('SIGUSR2', () => void started.promise.then((service) => service.replace()));

  let running: Running | undefined;
  onCrash(events, () => running?.denyAll());
  const options = { loaded, events, version: VERSION, reload: () => reload('asked') };
  try {
    running = isMulti
      ? await startMulti({ ...options, set: source.set ?? [], env: source.env })
      : await startSidecar({ ...options, fronts: { check: bind, issuer: bind, admin: bind } });
  } catch (thrown) {
    process.stderr.write(`countersign: ${Error.isError(thrown) ? thrown.message : 'the start failed'}\n`);
    await events.close();
    if (thrown instanceof StartFailed) return thrown.exit;
    return thrown instanceof RingError ? EXIT.unreadable : EXIT.failed;
  }
  started.resolve(running);
  const watch = watchConfig(loaded, reload);
  await askedToEnd;
  watch.close();
  events.drain('started');
  const wasQuiet = await running.drain();
  events.drain(wasQuiet ? 'finished' : 'cut_off');
  await events.close();
  return wasQuiet ? EXIT.ok : EXIT.cutOff;
}

function watchConfig({ file, text }: Loaded, reload: Reload): FileWatch {
  return watchFile({
    file,
    intervalMs: CONFIG_LOOK_MS,
    read: () => readFile(file),
    initial: utf8(text.reveal()),
    onChange: async () => void (await reload('seen')),
    onError: () => void reload('seen'), // Which finds the same and tells of it.
  });
}

function untilAskedToEnd(): Promise<void> {
  return new Promise((resolve) => {
    let seen = 0;
    const onSignal = () => {
      seen += 1;
      if (seen > 1) process.exit(EXIT.ok); // Asked twice to end: at once.
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

/** @returns undefined when applied, else why not. */
type Reload = (why: 'asked' | 'seen') => Promise<string | undefined>;

/**
 * One at a time. The old configuration stays on any error. What the watch sees after somebody asked is in force already: building it
 * again would only empty caches and fill buckets.
 */
function createReload(load: () => Loaded, running: Promise<Running>, events: Events, hash: string): Reload {
  let last: Promise<string | undefined> = Promise.resolve(undefined);
  let inForce: string | undefined = hash;
  const once = async (why: 'asked' | 'seen'): Promise<string | undefined> => {
    const service = await running;
    try {
      const loaded = load();
      if (why === 'seen' && loaded.hash === inForce) return undefined;
      await service.apply(loaded);
      inForce = loaded.hash;
      events.reload({ applied: true, configHash: loaded.hash });
      return undefined;
    } catch (thrown) {
      inForce = undefined; // A file that is put back after a mistake is told of as applied.
      const error = Error.isError(thrown) ? thrown.message : 'unknown error';
      events.reload({ applied: false, error });
      return error;
    }
  };
  return (why) => (last = last.then(() => once(why)));
}
