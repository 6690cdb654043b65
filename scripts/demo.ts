/**
 * `npm start`: countersign with the memory store, a real Envoy in front, the echo upstream behind; of each scheme a request is shown
 * allowed and others refused (`demo/`). Stays up until Ctrl-C; with `--once` it ends, 0 when every verdict was the right one.
 */
import { once } from 'node:events';
import { rm, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { randomBytes } from 'node:crypto';
import { stringify } from 'yaml';
import { addKey } from '../src/keys/ring-changes.ts';
import { writeRingFile } from '../src/keys/ring-file.ts';
import type { StoredKey } from '../src/keys/ring.ts';
import { createStage, type Addresses } from './demo/scene.ts';
import { scenes } from './demo/scenes.ts';
import { renderEnvoy, routeToIssuer } from './envoy-config.ts';
import { anyEnvoyBinary } from './fetch-envoy.ts';
import { freePort, isFree, startProcess, stopAll, whenAnswers } from './processes.ts';
import { root } from './tool.ts';

/** What shells say of a program that Ctrl-C ended. */
const EXIT_ASKED = 130;
const FOLDER = join(root, '.demo');

/** @param asked aborts when a signal asks for the end; before it is all up this rejects then. Settled once all is unmade. */
async function main(asked: AbortSignal): Promise<number> {
  const { values } = parseArgs({ options: { once: { type: 'boolean' }, port: { type: 'string', default: '10000' } } });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Error(`--port: expected 1 to 65535, got "${values.port}"`);
  if (!(await isFree(port))) {
    throw new Error(
      `port ${port} is taken: stop what listens there, or choose another: npm start -- --port ${port === 10_000 ? 10_001 : 10_000}`,
    );
  }
  const envoy = await anyEnvoyBinary(asked);

  await rm(FOLDER, { recursive: true, force: true });
  await mkdir(FOLDER, { recursive: true, mode: 0o700 });
  // Sockets have short names: a clone may lie deep.
  const sockets = await mkdtemp(join(tmpdir(), 'countersign-'));
  // What waits for one of them, or talks to it, fails at once then.
  asked.addEventListener('abort', () => void stopAll());
  try {
    const addresses = await bringUp(port, envoy, `unix:${join(sockets, 'check.sock')}`, asked);
    const { stage, areRight } = createStage(addresses, FOLDER);
    for (const scene of scenes) {
      asked.throwIfAborted();
      stage.say(`\n${scene.scheme}, through Envoy at ${addresses.envoy}:`);
      await scene.play(stage);
    }
    if (values.once === true) return areRight() ? 0 : 1;
    say(addresses);
    if (!asked.aborted) await once(asked, 'abort');
    return 0;
  } finally {
    await stopAll();
    await rm(sockets, { recursive: true, force: true });
  }
}

async function bringUp(port: number, envoyBinary: string, check: string, asked: AbortSignal): Promise<Addresses> {
  const [issuerPort, adminPort, backendPort, envoyAdminPort] = await Promise.all([
    freePort(),
    freePort(),
    freePort(),
    freePort(),
  ]);
  const origins = [`http://127.0.0.1:${port}`, `http://localhost:${port}`];
  const adminTokenFile = join(FOLDER, 'admin-token');
  await writeFile(adminTokenFile, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
  const ringFile = join(FOLDER, 'ring.json');
  await makeRing(ringFile);
  const names = scenes.map(({ scheme }) => scheme);
  const configFile = join(FOLDER, 'config.yaml');
  await writeFile(
    configFile,
    stringify({
      version: 1,
      store: { type: 'memory' },
      // Every key is new, so nothing from before this start can still be accepted.
      insecure: { freshMemoryStore: true },
      listeners: {
        check: { address: check },
        issuer: { address: `127.0.0.1:${issuerPort}`, trustedHops: 1 },
        admin: { address: `127.0.0.1:${adminPort}`, tokenFile: adminTokenFile },
      },
      keys: { ringFile },
      issuer: { url: origins[0], audiences: origins },
      schemes: Object.fromEntries(scenes.map(({ scheme, settings }) => [scheme, settings])),
      routes: {
        api: { schemes: names, publicOrigins: origins },
        feed: { schemes: names, publicOrigins: origins, body: 'none' },
      },
    }),
  );
  const envoyFile = join(FOLDER, 'envoy.yaml');
  await writeFile(
    envoyFile,
    renderEnvoy(
      {
        adminPort: envoyAdminPort,
        listenPort: port,
        check,
        issuer: `127.0.0.1:${issuerPort}`,
        backend: `127.0.0.1:${backendPort}`,
      },
      (config) =>
        routeToIssuer(
          config,
          scenes.flatMap(({ issuerPaths = [] }) => issuerPaths),
        ),
    ),
  );

  asked.throwIfAborted(); // From here on all three are started, which `stopAll` then knows.
  const log = (name: string) => join(FOLDER, `${name}.log`);
  startProcess(
    'the echo upstream',
    process.execPath,
    [join(root, 'deploy', 'echo', 'server.mjs'), `127.0.0.1:${backendPort}`],
    log('echo'),
  );
  startProcess(
    'countersign',
    process.execPath,
    [join(root, 'src', 'cli.ts'), 'serve', '--config', configFile],
    log('countersign'),
  );
  startProcess(
    'Envoy',
    envoyBinary,
    ['-c', envoyFile, '--disable-hot-restart', '--concurrency', '1', '--log-level', 'warning'],
    log('envoy'),
  );

  const addresses = {
    envoy: `http://127.0.0.1:${port}`,
    issuer: `http://127.0.0.1:${issuerPort}`,
    admin: `http://127.0.0.1:${adminPort}`,
    adminTokenFile,
  };
  await Promise.all([
    whenAnswers('countersign', `${addresses.admin}/readyz`),
    whenAnswers('Envoy', `http://127.0.0.1:${envoyAdminPort}/ready`),
    whenAnswers('the echo upstream', `http://127.0.0.1:${backendPort}/`),
  ]);
  await writeFile(join(FOLDER, 'addresses.json'), `${JSON.stringify(addresses, undefined, 2)}\n`);
  return addresses;
}

/** One key of each use that a scene needs. */
async function makeRing(file: string): Promise<void> {
  let ring: readonly StoredKey[] = [];
  for (const scene of scenes) {
    for (const order of (await scene.ringKeys?.()) ?? []) {
      if (ring.some(({ use }) => use === order.use)) continue;
      ring = addKey(ring, { ...order, nowMs: Date.now(), random: (count) => randomBytes(count) }).ring;
    }
  }
  await writeRingFile(file, ring);
}

function say({ envoy, issuer, admin, adminTokenFile }: Addresses): void {
  process.stdout.write(`
It stays up until Ctrl-C:
  Envoy   ${envoy}
  issuer  ${issuer} (through Envoy: ${envoy}/auth)
  admin   ${admin} (token in ${adminTokenFile}; metrics at ${admin}/metrics)
  logs    .demo/*.log; these addresses also stand in .demo/addresses.json

Try it yourself, in another terminal:
${scenes.map(({ scheme, terminal }) => `  npm --silent run countersign -- curl --scheme ${scheme} ${terminal} POST ${envoy}/transfer -d '{"amount":50}'`).join('\n')}
`);
}

/** From the first moment on: before the handlers are there a signal ends the process, and later what it has made would stay. */
function onSignals(): AbortSignal {
  const asked = new AbortController();
  // As often as they come: Ctrl-C reaches this process from the terminal and once more from whoever started it.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => asked.abort());
  return asked.signal;
}

const asked = onSignals();
try {
  process.exitCode = await main(asked);
} catch (error) {
  // What fails after the end was asked for fails by that.
  if (asked.aborted) process.exit(EXIT_ASKED);
  process.stderr.write(`countersign: ${Error.isError(error) ? error.message : 'the demonstration failed'}\n`);
  process.exitCode = 1;
}
