/** `countersign validate`: what is wrong with a configuration and the files it names, all of it, by line. */
import process from 'node:process';
import { readFileSync } from 'node:fs';
import { ConfigError } from '../config/config-error.ts';
import { formatEffective } from '../config/effective.ts';
import { loadConfig, type Loaded } from '../config/load.ts';
import { checkSecretFiles, readSecretFile } from '../config/secret-files.ts';
import { systemClock as clock } from '../core/clock.ts';
import type { StoreObserver } from '../core/store.ts';
import { certificateEndsMs } from '../crypto/certificate.ts';
import { readRingFile } from '../keys/ring-file.ts';
import { RingError } from '../keys/ring.ts';
import { schemes } from '../schemes/index.ts';
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
    const loaded = load(optional(values, 'config'), several(values, 'set'), env);
    const warnings = [...loaded.warnings, ...(await checkFiles(loaded))];
    for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
    const store = values['against-store'] === true ? await checkStore(loaded) : undefined;
    if (values['print-effective'] === true) process.stdout.write(formatEffective(loaded.effective));
    else if (values['json'] === true) printJson({ valid: true, hash: loaded.hash, warnings, ...(store && { store }) });
    else for (const line of [...(store ?? []), `${loaded.file}: valid (${loaded.hash})`]) print(line);
    return EXIT.ok;
  },
};

function load(file: string | undefined, set: readonly string[], env: NodeJS.ProcessEnv): Loaded {
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

/** Connects and runs the self-test. @returns what it found, as lines. @throws {CommandError} unreachable */
async function checkStore({ config }: Loaded): Promise<readonly string[]> {
  if (config.store.type === 'memory') return ['store: memory, nothing to connect to'];
  let why = 'no answer';
  const observer: StoreObserver = {
    operation() {},
    state: (state, reason) => (why = `${state} (${reason})`),
    breaker() {},
    clockOffset() {},
    horizon() {},
    connections() {},
  };
  const store = createRedisStore({
    settings: config.store.redis,
    skewMs: config.clock.skew,
    maxStoreOffsetMs: config.clock.maxStoreOffset,
    clock,
    readSecret: (file) => readSecretFile(file).reveal(),
    observer,
  });
  const untilMs = clock.monotonicMs() + STORE_WAIT_MS;
  while (!store.provenOnce() && clock.monotonicMs() < untilMs) await new Promise((done) => setTimeout(done, 50));
  const isProven = store.provenOnce();
  await store.close();
  if (!isProven) throw new CommandError(EXIT.unreachable, `store: the self-test did not pass: ${why}`);
  return [
    'store: self-test passed (version, role, noeviction, clock, one claim given once)',
    'store: min-replicas-to-write, promotion delay and persistence are not verifiable from here',
  ];
}
