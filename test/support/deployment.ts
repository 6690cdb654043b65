/**
 * The whole of it, as shipped: `countersign serve` with the memory store, a real Envoy in front by `deploy/envoy.yaml`, the echo upstream
 * behind, each a process of its own.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type EnvoyTree, extAuthz, renderEnvoy } from '../../scripts/envoy-config.ts';
import { envoyBinary, type EnvoyVersion } from '../../scripts/fetch-envoy.ts';
import { formatRing } from '../../src/keys/ring.ts';
import { freePort, startProcess, stopAll, whenAnswers } from '../../scripts/processes.ts';
import { ringWith } from './key-ring.ts';

export interface DeploymentOptions {
  /** Settings of challenge-signature, as in the file. */
  readonly settings?: object;
  /** Default: the newest. */
  readonly envoy?: EnvoyVersion;
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
  /** `unix:/path` of countersign's check listener. */
  readonly check: string;
  /** A call of the admin API. @returns the answer's members. @throws Error for anything but 2xx. */
  admin(method: 'PUT' | 'POST', path: string, body: object): Promise<Record<string, unknown>>;
  /** Changes countersign's configuration and has it reloaded. @throws Error when that is refused. */
  reconfigure(change: (config: ServiceConfig) => void): Promise<void>;
  /** The key ring, one `challenge-mac` key at first; written in one step, noticed by itself. */
  readonly ringFile: string;
  /** All that countersign has written so far. */
  log(): Promise<string>;
  /** The administrator's `/metrics`. */
  metrics(): Promise<string>;
  stop(): Promise<void>;
}

/** One at a time in a test file. */
export async function openDeployment({
  settings = {},
  envoy,
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
  const check = `unix:${join(folder, 'check.sock')}`;
  const token = randomBytes(24).toString('base64url');
  const write = async (name: string, text: string) => {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const tokenFile = await write('token', token);
  const ringFile = await write('ring.json', formatRing(ringWith('challenge-mac')));
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
    check,
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
  const configFile = await write('config.yaml', stringify(configuration));

  const log = (name: string) => join(folder, `${name}.log`);
  startProcess('echo', process.execPath, ['deploy/echo/server.mjs', addresses.backend], log('echo'));
  startProcess('countersign', process.execPath, ['src/cli.ts', 'serve', '--config', configFile], log('countersign'));
  startProcess(
    'Envoy',
    await envoyBinary(envoy),
    ['-c', envoyFile, '--disable-hot-restart', '--concurrency', '1', '--log-level', 'warning'],
    log('envoy'),
  );
  const stop = async () => {
    await stopAll();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all([
      whenAnswers('countersign', `http://127.0.0.1:${admin}/readyz`),
      whenAnswers('Envoy', `http://127.0.0.1:${envoyAdmin}/ready`),
      whenAnswers('echo', `http://${addresses.backend}/`),
    ]);
  } catch (error) {
    await stop();
    throw error;
  }

  const call: Deployment['admin'] = async (method, path, body) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const init = { method, headers, body: JSON.stringify(body) };
    const answer = await fetch(`http://127.0.0.1:${admin}/admin/v1/${path}`, init);
    if (!answer.ok) throw new Error(`admin answered ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as Record<string, unknown>;
  };

  return {
    url,
    envoyAdmin: `http://127.0.0.1:${envoyAdmin}`,
    adminAddress: `127.0.0.1:${admin}`,
    check,
    admin: call,
    async reconfigure(next) {
      next(configuration);
      await write('config.yaml', stringify(configuration));
      await call('POST', 'reload', {});
    },
    ringFile,
    log: () => readFile(log('countersign'), 'utf8'),
    metrics: async () => (await fetch(`http://127.0.0.1:${admin}/metrics`)).text(),
    stop,
  };
}

/** Tests share a machine with each other: what takes long there is not what they are about. */
export const PATIENCE = '3s';

function bePatient(config: EnvoyTree): void {
  const service = extAuthz(config).grpc_service;
  service.timeout = '8s';
  service.retry_policy.retry_back_off.max_interval = '4s';
}
