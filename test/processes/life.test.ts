/** How several processes begin, serve clients and end, seen from outside. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile, writeFile } from 'node:fs/promises';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { isLong } from '../support/long.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type Service, startService } from '../support/service.ts';

type Config = Record<string, Record<string, unknown>>;

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

let service: Service | undefined;
afterEach(async () => {
  await service?.stop();
  service = undefined;
});

async function start(change: (config: Config, folder: string) => unknown = () => undefined): Promise<Service> {
  service = await startService((some, folder) => {
    const config = some as unknown as Config;
    config['store'] = { type: 'redis', redis: { urls: [redis.url], commandTimeout: '1s', connectTimeout: '2s' } };
    config['insecure'] = {};
    config['process'] = { model: 'multi', checkWorkers: 2 };
    return change(config, folder);
  });
  return service;
}

interface Told {
  readonly role: string;
  readonly pid: number;
  readonly connections: number;
}

async function workers(of: Service): Promise<readonly Told[]> {
  const { workers: told } = (await of.status()) as unknown as { workers: Told[] };
  return told.filter(({ role }) => role !== 'supervisor');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** @throws when there is none: pid 0 would be the whole group, this test among it. */
function signal(worker: { readonly pid: number } | undefined, name: NodeJS.Signals): void {
  if (worker === undefined) throw new Error('there is no such worker');
  process.kill(worker.pid, name);
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt += 1) {
    if (await isSo()) return;
    await sleep(50);
  }
  throw new Error('it never came to be');
}

const SERVING = 1;
const NOT_SERVING = 2;

/** What the health service says to a proxy that asks for the first time. */
async function health(of: Service): Promise<number | undefined> {
  const session = connectHttp2('http://countersign', {
    createConnection: () => connect(join(of.folder, 'check.sock')),
  });
  const call = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  call.end(new Uint8Array(5));
  const [answer] = (await once(call, 'data')) as [Uint8Array];
  session.destroy();
  return answer[6];
}

test('SIGTERM ends all of it with 0, and leaves neither a socket nor a process behind', async () => {
  const of = await start();
  await of.ready();
  const pids = (await workers(of)).map(({ pid }) => pid);
  expect(pids).toHaveLength(3);
  of.child.kill('SIGTERM');
  expect(await of.ended).toBe(0);
  await expect(access(join(of.folder, 'check.sock'))).rejects.toThrow('ENOENT');
  expect(pids.filter(isAlive)).toEqual([]);
}, 60_000);

test('signals that reach the workers as well, as Ctrl-C does, change nothing', async () => {
  const of = await start();
  await of.ready();
  const before = await workers(of);
  for (const { pid } of before)
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const) process.kill(pid, name);
  await sleep(300);
  expect(before.filter(({ pid }) => !isAlive(pid))).toEqual([]);
  of.child.kill('SIGINT');
  expect(await of.ended).toBe(0);
}, 60_000);

test('workers follow a supervisor that was killed', async () => {
  const of = await start();
  await of.ready();
  const pids = (await workers(of)).map(({ pid }) => pid);
  of.child.kill('SIGKILL');
  await until(() => !pids.some(isAlive));
}, 60_000);

test.each([0, 200, 800])(
  'workers that were starting follow a supervisor that was killed, %d ms later',
  async (afterMs) => {
    const of = await start();
    const pids = () => [...of.output().matchAll(/worker, process ([0-9]+)/g)].map(([, pid]) => Number(pid));
    await until(() => new Set(pids()).size === 3);
    await sleep(afterMs);
    of.child.kill('SIGKILL');
    await until(() => !pids().some(isAlive));
  },
  60_000,
);

test('exit 7 with a ring that is none, and nothing of it in the output', async () => {
  const of = await start(async (config, folder) => {
    await writeFile(join(folder, 'ring.json'), '{"version":1,"keys":"CANARY', { mode: 0o600 });
    config['keys'] = { ringFile: join(folder, 'ring.json') };
  });
  expect(await of.ended).toBe(7);
  expect(of.output()).toContain('key ring');
  expect(of.output()).not.toContain('CANARY');
}, 60_000);

test('exit 1 when an address is taken, and says which setting; no worker stays', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as { port: number };
  const of = await start((config) => {
    config['listeners'] = { ...config['listeners'], issuer: { address: `127.0.0.1:${port}` } };
  });
  expect(await of.ended).toBe(1);
  expect(of.output()).toContain('listeners.issuer.address');
  const pids = [...of.output().matchAll(/worker, process ([0-9]+)/g)].map(([, pid]) => Number(pid));
  expect(pids).not.toEqual([]);
  expect(pids.filter(isAlive)).toEqual([]);
  taken.close();
}, 60_000);

test('exit 8 when the time to drain cut a call off', async () => {
  const of = await start((config) => {
    config['process'] = { model: 'multi', checkWorkers: 1, drainTimeout: '300ms' };
  });
  await of.ready();
  // A call whose message never comes: it would end by itself only after seconds.
  const session = connectHttp2('http://countersign', {
    createConnection: () => connect(join(of.folder, 'check.sock')),
  });
  session.on('error', () => undefined);
  const call = session.request({
    ':method': 'POST',
    ':path': '/envoy.service.auth.v3.Authorization/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  call.on('error', () => undefined);
  call.write(new Uint8Array(3));
  await sleep(300);
  of.child.kill('SIGTERM');
  expect(await of.ended).toBe(8);
  session.destroy();
}, 60_000);

test('a worker is nothing to start by hand: exit 2', async () => {
  const child = spawn(process.execPath, ['src/cli.ts', 'worker'], { stdio: 'ignore' });
  const [code] = await once(child, 'exit');
  expect(code).toBe(2);
});

test('the issuer behind the supervisor ends slow clients, and takes no more connections than it may (OP-17)', async () => {
  let issuer = '';
  const of = await start((config) => {
    const listeners = config['listeners'] as { issuer: { address: string } };
    issuer = listeners.issuer.address;
    const limits = { headersTimeout: '3s', requestTimeout: '4s', maxConnections: 3 };
    config['listeners'] = { ...listeners, issuer: { address: issuer, ...limits } };
  });
  await of.ready();
  const [host, port] = issuer.split(':');
  const open = (text: string) => {
    const socket = connect(Number(port), host);
    socket.on('error', () => undefined);
    socket.write(text);
    return new Promise<string>((resolve) => {
      let answer = '';
      socket.on('data', (chunk) => (answer += String(chunk)));
      socket.on('close', () => resolve(answer));
    });
  };
  const half = 'POST /auth/challenge-signature/challenge HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n1';
  const slow = [open('POST /auth'), open(half), open('')];
  await sleep(200);
  expect(await open('GET /.well-known/countersign HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')).toBe('');
  await Promise.all(slow); // Each was ended by the server.
  const answer = await open('GET /.well-known/countersign HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  expect(answer).toContain('200 OK');
}, 60_000);

test('a worker that comes up while the service drains never says that it serves', async () => {
  const of = await start((config) => {
    config['process'] = { model: 'multi', checkWorkers: 1, drainDelay: '60s' };
  });
  await of.ready();
  expect(await health(of)).toBe(SERVING);
  const [victim] = (await workers(of)).filter(({ role }) => role === 'check');
  of.child.kill('SIGTERM');
  await until(async () => (await health(of)) === NOT_SERVING);
  signal(victim, 'SIGKILL');
  const conditions = async () => (await (await fetch(`${of.admin}/readyz?verbose`)).json()) as Record<string, boolean>;
  await until(async () => (await workers(of)).some(({ role, pid }) => role === 'check' && pid !== victim?.pid));
  await until(async () => (await conditions())['storeProvenOnce'] === true);
  await sleep(500); // All else that it needs to serve is there now.
  expect(await health(of)).toBe(NOT_SERVING);
  expect(await of.metric('countersign_workers{state="ready"}')).toBe(0);
}, 60_000);

test('connections of a worker that was killed come back to its successor, since the one that took them gives them away', async () => {
  const of = await start();
  await of.ready();
  let isOver = false;
  // As a proxy does: another connection in place of each that ends.
  const keepOpen = () => {
    const session = connectHttp2('http://countersign', {
      createConnection: () => connect(join(of.folder, 'check.sock')),
    });
    session.on('error', () => undefined);
    session.on('close', () => {
      if (!isOver) keepOpen();
    });
    sessions.push(session);
  };
  const sessions: ClientHttp2Session[] = [];
  const counts = async () =>
    (await workers(of)).flatMap(({ connections, role }) => (role === 'check' ? [connections] : []));
  for (let count = 0; count < 4; count += 1) keepOpen();
  await until(async () => (await counts()).join() === '2,2');
  const [victim] = (await workers(of)).filter(({ role }) => role === 'check');
  signal(victim, 'SIGKILL');
  await until(async () => (await counts()).includes(4));
  await until(async () => (await counts()).join() === '2,2');
  isOver = true;
  for (const session of sessions) session.destroy();
}, 60_000);

test('a connection that comes while all workers are gone waits for the next, and nothing of what it sent is lost', async () => {
  const of = await start();
  await of.ready();
  const before = (await workers(of)).filter(({ role }) => role === 'check');
  for (const { pid } of before) process.kill(pid, 'SIGKILL');
  await until(() => !before.some(({ pid }) => isAlive(pid)));
  expect([SERVING, NOT_SERVING]).toContain(await health(of));
}, 60_000);

test('a worker that comes up while a reload is under way has the configuration of the others', async () => {
  const of = await start();
  await of.ready();
  const [victim] = await workers(of);
  signal(victim, 'SIGKILL');
  await sleep(150);
  const { configHash: before } = await of.status();
  const text = await readFile(of.configFile, 'utf8');
  await writeFile(of.configFile, text.replace('api:', 'api2:'));
  expect((await of.reload()).status).toBe(200);
  expect((await of.status()).configHash).not.toBe(before);
  await until(async () => (await workers(of)).length === 3);
  await until(async () => (await fetch(`${of.admin}/readyz`)).ok);
  expect((await of.reload()).status).toBe(200); // All of them can be asked.
}, 60_000);

test('SIGTERM during the start is heard: exit 0, and no worker stays', async () => {
  const of = await start();
  await until(() => of.output().includes('a worker is starting'));
  of.child.kill('SIGTERM');
  expect(await of.ended).toBe(0);
  const pids = [...of.output().matchAll(/worker, process ([0-9]+)/g)].map(([, pid]) => Number(pid));
  expect(pids.filter(isAlive)).toEqual([]);
}, 60_000);

test('a reload that is asked for during the start is put in force after it', async () => {
  const of = await start();
  await until(() =>
    fetch(`${of.admin}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  const text = await readFile(of.configFile, 'utf8');
  await writeFile(of.configFile, text.replace('api:', 'api2:'));
  expect((await of.reload()).status).toBe(200);
  await of.ready();
  const [, first] = /"event":"start".*"config_hash":"([0-9a-f]+)"/.exec(of.output()) ?? [];
  expect(first).toHaveLength(12);
  expect((await of.status()).configHash).not.toBe(first);
}, 60_000);

test('a worker that comes up while the others prepare a reload has it as well', async () => {
  const discovery = async (of: Service) => {
    const { listeners } = parse(await readFile(of.configFile, 'utf8')) as {
      listeners: { issuer: { address: string } };
    };
    const answer = await fetch(`http://${listeners.issuer.address}/.well-known/countersign`);
    return ((await answer.json()) as { audiences: string[] }).audiences;
  };
  const of = await start((config) => {
    config['issuer'] = { audiences: ['https://before.example.com'] };
  });
  await of.ready();
  const all = await workers(of);
  const slow = all.find(({ role }) => role === 'check')?.pid ?? 0;
  const up = () => (of.output().match(/a worker answers/g) ?? []).length;
  const before = up();
  process.kill(all.find(({ role }) => role === 'issuer')?.pid ?? 0, 'SIGKILL');
  process.kill(slow, 'SIGSTOP');
  try {
    await sleep(200); // Its successor has begun, with the configuration of before.
    const text = await readFile(of.configFile, 'utf8');
    await writeFile(of.configFile, text.replace('before.example', 'after.example'));
    const reloaded = of.reload();
    for (let look = 0; up() === before && look < 40; look += 1) await sleep(100);
    process.kill(slow, 'SIGCONT');
    expect((await reloaded).status).toBe(200);
  } finally {
    process.kill(slow, 'SIGCONT');
  }
  await until(async () => (await workers(of)).length === 3);
  await until(() =>
    discovery(of).then(
      ([audience]) => audience === 'https://after.example.com',
      () => false,
    ),
  );
}, 60_000);

test('connections on their way to a worker that ends are closed, so that proxies open others', async () => {
  const of = await start((config) => {
    config['process'] = { model: 'multi', checkWorkers: 1 };
  });
  await of.ready();
  const victim = (await workers(of)).find(({ role }) => role === 'check')?.pid ?? 0;
  process.kill(victim, 'SIGSTOP');
  const connections = Array.from({ length: 4 }, () => connect(join(of.folder, 'check.sock')));
  const closed = Promise.all(connections.map((connection) => once(connection.resume(), 'close')));
  await sleep(500);
  process.kill(victim, 'SIGKILL');
  await closed;
}, 60_000);

test('what ends a crash whose own handling fails is the exit code of a crash all the same: 70', async () => {
  const program = `
    import { onCrash } from './src/processes/on-crash.ts';
    onCrash({ crash: async () => {} }, () => { throw new Error('of the handling'); });
    setInterval(() => {}, 1000);
    throw new Error('of the program');`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'ignore' });
  const [code] = await once(child, 'exit');
  expect(code).toBe(70);
}, 20_000);

// It takes more than half a minute to be sure that a worker hangs.
if (isLong) {
  test('a worker that hangs is ended, and another takes its place', async () => {
    const of = await start();
    await of.ready();
    const before = await workers(of);
    const hanging = before.find(({ role }) => role === 'check')?.pid ?? 0;
    process.kill(hanging, 'SIGSTOP');
    await sleep(30_000);
    await until(() => !isAlive(hanging));
    await until(async () => (await workers(of)).length === before.length);
    expect(of.output()).toContain('since it was silent');
    expect(await of.metric('countersign_worker_restarts_total{reason="crash"}')).toBe(1);
  }, 120_000);
}
