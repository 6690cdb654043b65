/**
 * The whole of it, as shipped: `countersign serve` with the memory store, a real Envoy in front by `deploy/envoy.yaml`, the echo upstream
 * behind, each a process of its own.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { type EnvoyTree, extAuthz, renderEnvoy } from '../../scripts/envoy-config.ts';
import { envoyBinary, type EnvoyVersion } from '../../scripts/fetch-envoy.ts';
import type { KeyUse } from '../../src/core/keyring.ts';
import { formatRing } from '../../src/keys/ring.ts';
import { freePort, startProcess, stopAll, stopProcess, whenAnswers } from '../../scripts/processes.ts';
import { ringWith } from './key-ring.ts';

export interface DeploymentOptions {
  /** Settings of challenge-signature, as in the file. */
  readonly settings?: object;
  /** Default: `challenge-mac`. */
  readonly ringUses?: readonly KeyUse[];
  /** Default: the newest. */
  readonly envoy?: EnvoyVersion;
  /** How many countersigns there are, each an endpoint of Envoy's; default 1. More than one needs Redis. */
  readonly services?: number;
  /** Threads of Envoy, each with a connection of its own; default 1. */
  readonly concurrency?: number;
  /** Changes countersign's configuration before it starts. */
  readonly change?: (config: ServiceConfig) => void;
  /** Changes Envoy's configuration before it starts. */
  readonly changeEnvoy?: (config: EnvoyTree) => void;
}

/** As the file has it. */
export interface ServiceConfig {
  [section: string]: unknown;
  readonly routes: Record<string, Record<string, unknown>>;
  readonly schemes: Record<string, object>;
}

export interface Deployment {
  /** Envoy, by which everything is reached. */
  readonly url: string;
  /** Envoy's own admin listener. */
  readonly envoyAdmin: string;
  /** `host:port` of countersign's admin listener. */
  readonly adminAddress: string;
  /** What `--token-file` takes. */
  readonly tokenFile: string;
  /** Where Envoy asks, one for each countersign; the first is the one that everything else here is about. */
  readonly services: readonly Service[];
  /** A call of the admin API. @returns the answer's members. @throws Error for anything but 2xx. */
  admin(method: 'GET' | 'PUT' | 'POST', path: string, body?: object): Promise<Record<string, unknown>>;
  /** Changes countersign's configuration and has it reloaded. @throws Error when that is refused. */
  reconfigure(change: (config: ServiceConfig) => void): Promise<void>;
  /** The key ring, one key of each use at first; written in one step, noticed by itself. */
  readonly ringFile: string;
  /** All that countersign has written so far. */
  log(): Promise<string>;
  /** The administrator's `/metrics`. */
  metrics(): Promise<string>;
  stop(): Promise<void>;
}

export interface Service {
  /** `unix:/path` of its check listener. */
  readonly check: string;
  /** Ends it: with its drain, or at once. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Starts it again and waits until it is ready. */
  start(): Promise<void>;
}

/** One at a time in a test file. */
export async function openDeployment({
  settings = {},
  ringUses = ['challenge-mac'],
  envoy,
  services: count = 1,
  concurrency = 1,
  change,
  changeEnvoy,
}: DeploymentOptions = {}): Promise<Deployment> {
  const folder = await mkdtemp(join(tmpdir(), 'cs-'));
  const [port, issuer, admin, backend, envoyAdmin] = await Promise.all([
    freePort(),
    freePort(),
    freePort(),
    freePort(),
    freePort(),
  ]);
  const url = `http://127.0.0.1:${port}`;
  const check = `unix:${join(folder, 'check-1.sock')}`;
  const token = randomBytes(24).toString('base64url');
  const write = async (name: string, text: string) => {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const tokenFile = await write('token', token);
  const ringFile = await write('ring.json', formatRing(ringWith(...ringUses)));
  const configuration: ServiceConfig = {
    version: 1,
    store: { type: 'memory' },
    insecure: { freshMemoryStore: true },
    keys: { ringFile },
    listeners: {
      check: { address: check },
      issuer: { address: `127.0.0.1:${issuer}` },
      admin: { address: `127.0.0.1:${admin}`, tokenFile },
    },
    issuer: { audiences: [url] },
    envoy: { checkBudget: PATIENCE },
    schemes: { 'challenge-signature': settings },
    routes: {
      api: { schemes: ['challenge-signature'], publicOrigins: [url] },
      feed: { schemes: ['challenge-signature'], publicOrigins: [url], body: 'none' },
    },
  };
  const addresses = {
    adminPort: envoyAdmin,
    listenPort: port,
    check: Array.from({ length: count }, (_, index) => `unix:${join(folder, `check-${index + 1}.sock`)}`),
    issuer: `127.0.0.1:${issuer}`,
    backend: `127.0.0.1:${backend}`,
  };
  const envoyFile = await write(
    'envoy.yaml',
    renderEnvoy(addresses, (config) => {
      bePatient(config);
      changeEnvoy?.(config);
    }),
  );
  change?.(configuration);
  const configFile = await write('config-1.yaml', stringify(configuration));

  const log = (name: string) => join(folder, `${name}.log`);
  startProcess('echo', process.execPath, ['deploy/echo/server.mjs', addresses.backend], log('echo'));
  startProcess(
    'Envoy',
    await envoyBinary(envoy),
    ['-c', envoyFile, '--disable-hot-restart', '--concurrency', String(concurrency), '--log-level', 'warning'],
    log('envoy'),
  );
  const stop = async () => {
    // Nobody is left to be patient for; a supervisor must end its workers.
    await stopAll('process' in configuration ? 'SIGTERM' : 'SIGKILL');
    await rm(folder, { recursive: true, force: true });
  };
  const services = [await serviceOf('countersign-1', configFile, log('countersign-1'))];
  for (let index = 2; index <= count; index += 1) {
    const own = await besides(configuration, `unix:${join(folder, `check-${index}.sock`)}`);
    const file = await write(`config-${index}.yaml`, stringify(own));
    services.push(await serviceOf(`countersign-${index}`, file, log(`countersign-${index}`)));
  }
  try {
    await Promise.all([
      ...services.map((service) => service.start()),
      whenAnswers('Envoy', `http://127.0.0.1:${envoyAdmin}/ready`),
      whenAnswers('echo', `http://${addresses.backend}/`),
    ]);
  } catch (error) {
    await stop();
    throw error;
  }

  const call: Deployment['admin'] = async (method, path, body) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
    let answer = await fetch(`http://127.0.0.1:${admin}/admin/v1/${path}`, init);
    // The store may be slower than a command may take: an operator tries again.
    for (let again = 0; answer.status === 503 && again < 20; again += 1) {
      await sleep(100);
      answer = await fetch(`http://127.0.0.1:${admin}/admin/v1/${path}`, init);
    }
    if (!answer.ok) throw new Error(`admin answered ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as Record<string, unknown>;
  };

  return {
    url,
    envoyAdmin: `http://127.0.0.1:${envoyAdmin}`,
    adminAddress: `127.0.0.1:${admin}`,
    tokenFile,
    services,
    admin: call,
    async reconfigure(next) {
      next(configuration);
      await write('config-1.yaml', stringify(configuration));
      await call('POST', 'reload', {});
    },
    ringFile,
    log: () => readFile(log('countersign-1'), 'utf8'),
    metrics: async () => (await fetch(`http://127.0.0.1:${admin}/metrics`)).text(),
    stop,
  };
}

/** Another countersign of the same deployment: nobody signs in there. */
async function besides(configuration: ServiceConfig, check: string): Promise<ServiceConfig> {
  const listeners = {
    check: { address: check },
    issuer: { enabled: false },
    admin: { address: `127.0.0.1:${await freePort()}` },
  };
  return { ...configuration, listeners };
}

async function serviceOf(name: string, configFile: string, logFile: string): Promise<Service> {
  const { listeners } = parse(await readFile(configFile, 'utf8')) as {
    listeners: { check: { address: string }; admin: { address: string } };
  };
  return {
    check: listeners.check.address,
    end: (signal) => stopProcess(name, signal),
    start() {
      startProcess(name, process.execPath, ['src/cli.ts', 'serve', '--config', configFile], logFile);
      return whenAnswers(name, `http://${listeners.admin.address}/readyz`);
    },
  };
}

/** Tests share a machine with each other: what takes long there is not what they are about. */
export const PATIENCE = '3s';

function bePatient(config: EnvoyTree): void {
  const service = extAuthz(config).grpc_service;
  service.timeout = '8s';
  service.retry_policy.retry_back_off.max_interval = '4s';
}
