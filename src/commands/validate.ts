/** `countersign validate`: what is wrong with a configuration and the files it names, all of it, by line. */
import process from 'node:process';
import { readFileSync } from 'node:fs';
import { ConfigError } from '../config/config-error.ts';
import { formatEffective } from '../config/effective.ts';
import { loadConfig, type Loaded } from '../config/load.ts';
import { checkSecretFiles, readSecretFile } from '../config/secret-files.ts';
import { systemClock as clock } from '../core/clock.ts';
import type { Store, StoreObserver } from '../core/store.ts';
import { certificateEndsMs } from '../crypto/certificate.ts';
import { readRingFile } from '../keys/ring-file.ts';
import { RingError } from '../keys/ring.ts';
import { schemes } from '../schemes/index.ts';
import { surveyRedis, type Finding } from '../store/redis-survey.ts';
import { createRedisStore } from '../store/redis.ts';
import { CommandError, EXIT, optional, print, printJson, several, type Command } from './command.ts';

const SOON_MS = 14 * 24 * 3_600_000;
const STORE_WAIT_MS = 3000;

export const validate: Command = {
  summary: 'check a configuration, its key files and certificates',
  usage: '--config FILE [--against-store] [--print-effective] [--set path=value]...',
  options: {
    config: { type: 'string' },
    'against-store': { type: 'boolean' },
    'print-effective': { type: 'boolean' },
    set: { type: 'string', multiple: true },
  },
  words: 0,
  async run(values, _words, env) {
    const loaded = loadOrRefuse(optional(values, 'config'), several(values, 'set'), env);
    const warnings = [...loaded.warnings, ...(await checkFiles(loaded))];
    for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
    const store = values['against-store'] === true ? await checkStore(loaded) : undefined;
    for (const one of store ?? []) if (one.verdict === 'wrong') process.stderr.write(`warning: ${lineOf(one)}\n`);
    if (values['print-effective'] === true) process.stdout.write(formatEffective(loaded.effective));
    else if (values['json'] === true) printJson({ valid: true, hash: loaded.hash, warnings, ...(store && { store }) });
    else for (const line of [...(store ?? []).map(lineOf), `${loaded.file}: valid (${loaded.hash})`]) print(line);
    return EXIT.ok;
  },
};

/** @throws {CommandError} configuration */
export function loadOrRefuse(file: string | undefined, set: readonly string[], env: NodeJS.ProcessEnv): Loaded {
  try {
    const loaded = loadConfig({ ...(file !== undefined && { file }), env, set, schemes });
    checkSecretFiles(loaded.config, loaded.file);
    return loaded;
  } catch (thrown) {
    if (thrown instanceof ConfigError) throw new CommandError(EXIT.configuration, thrown.message);
    throw thrown;
  }
}

/** @returns warnings. */
async function checkFiles({ config }: Loaded): Promise<string[]> {
  const { ringFile } = config.keys;
  if (ringFile !== undefined) {
    try {
      await readRingFile(ringFile);
    } catch (thrown) {
      if (thrown instanceof RingError) throw new CommandError(EXIT.unreadable, thrown.message);
      throw thrown;
    }
  }
  const certificates = [config.listeners.check.tls?.certFile, config.listeners.issuer.tls?.certFile];
  return certificates.filter((file) => file !== undefined).flatMap(expiresSoon);
}

function expiresSoon(file: string): string[] {
  try {
    const endsMs = certificateEndsMs(readFileSync(file));
    return endsMs - clock.nowMs() > SOON_MS ? [] : [`${file}: the certificate ends ${new Date(endsMs).toISOString()}`];
  } catch (cause) {
    throw new CommandError(EXIT.unreadable, `${file}: expected a certificate in PEM`, { cause });
  }
}

/** Runs the self-test, then asks each server how it is set. @throws {CommandError} unreachable */
async function checkStore(loaded: Loaded): Promise<readonly Finding[]> {
  const { store } = loaded.config;
  if (store.type === 'memory') return [];
  await (await openProvenStore(loaded)).close();
  return [SELF_TEST, ...(await surveyRedis(store.redis, readSecret, STORE_WAIT_MS))];
}

/** The configured store once its self-test has passed. @throws {CommandError} unreachable, usage */
export async function openProvenStore({ config }: Loaded): Promise<Store> {
  if (config.store.type === 'memory')
    throw new CommandError(
      EXIT.usage,
      '--against-store: expected store.type "redis" in the configuration, got "memory"',
    );
  let why = 'no answer';
  const store = createRedisStore({
    settings: config.store.redis,
    skewMs: config.clock.skew,
    maxStoreOffsetMs: config.clock.maxStoreOffset,
    clock,
    readSecret,
    observer: { ...SILENT, state: (state, reason) => void (why = `${state} (${reason})`) },
  });
  const untilMs = clock.monotonicMs() + STORE_WAIT_MS;
  while (!store.provenOnce() && clock.monotonicMs() < untilMs) await new Promise((done) => setTimeout(done, 50));
  if (store.provenOnce()) return store;
  const refused = why; // Closing is a state too.
  await store.close();
  throw new CommandError(EXIT.unreachable, `store: the self-test did not pass: ${refused}`);
}

const readSecret = (file: string) => readSecretFile(file).reveal();

/** Commands print; they count nothing. */
export const SILENT: StoreObserver = {
  operation() {},
  state() {},
  breaker() {},
  clockOffset() {},
  horizon() {},
  connections() {},
};

const SELF_TEST: Finding = {
  server: 'store',
  setting: 'self-test',
  wanted: 'version, clock, every command of the verbs, one claim given once',
  found: 'passed',
  verdict: 'right',
};

function lineOf({ server, setting, wanted, found, verdict }: Finding): string {
  const said = {
    right: `${found}`,
    wrong: `expected ${wanted}, found ${found}`,
    unknown: `not verifiable from here, expected ${wanted}`,
  };
  return `${server}: ${setting}: ${said[verdict]}`;
}
