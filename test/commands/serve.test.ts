/** The life of `countersign serve` as an operator sees it: exit codes, lines and metrics of the real process. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type ClientHttp2Session } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { LOG_FIELDS } from '../../src/telemetry/line.ts';
import { configure, countersign, createFolder, openService, start, type Folder, type Service } from './rig.ts';

let folder: Folder;
let service: Service | undefined;
beforeEach(() => {
  folder = createFolder();
});
afterEach(async () => {
  service?.child.kill('SIGKILL');
  await service?.ended;
  service = undefined;
  folder.remove();
});

const linesOf = (output: string) =>
  output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((done) => setTimeout(done, 25));
}

function openCheckSession(path: string): ClientHttp2Session {
  const session = connect('http://countersign', { createConnection: () => connectSocket({ path }) });
  session.on('error', () => undefined);
  return session;
}

const CHECK = {
  ':method': 'POST',
  ':path': '/envoy.service.auth.v3.Authorization/Check',
  'content-type': 'application/grpc',
  te: 'trailers',
};

describe('serve ends', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('with 0 after %s, and tells start, ready and drain', async (signal) => {
    service = await openService(folder);
    const { output, child, ended } = service;
    await eventually(() => output().includes('"event":"ready"'));
    child.kill(signal);
    const { exit, stdout, stderr } = await ended;
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    const events = linesOf(stdout).map(({ event }) => event);
    expect(events).toEqual(expect.arrayContaining(['start', 'insecure_setting', 'keys_changed', 'ready', 'drain']));
    expect(events.at(-1)).toBe('drain');
  });

  test('with 8 when calls in flight had to be cut off', async () => {
    service = await openService(folder, { process: { drainTimeout: '300ms' }, envoy: { checkBudget: '5s' } });
    const session = openCheckSession(service.check);
    const call = session.request(CHECK);
    call.on('error', () => undefined);
    call.write(new Uint8Array([0, 0, 0, 1, 0, 1])); // A message that never ends.
    await new Promise((done) => call.on('ready', done));
    await new Promise((done) => session.ping(done)); // What came before it has arrived.
    const { exit, stdout } = await service.stop();
    session.destroy();
    expect(exit).toBe(8);
    expect(linesOf(stdout).at(-1)).toMatchObject({ event: 'drain', level: 'warn' });
  });

  test('with 3 for a configuration that is not valid, on stderr, before anything listens', async () => {
    const { configFile } = await configure(folder, { routes: {} });
    const { exit, stdout, stderr } = await countersign(['serve', '--config', configFile]);
    expect({ exit, stdout }).toEqual({ exit: 3, stdout: '' });
    expect(stderr).toContain('config.yaml');
  });

  test('with 7 for a ring that can not be read', async () => {
    const { configFile } = await configure(folder);
    folder.write('ring.json', '{"version":1,"keys":"canary"}');
    const { exit, stderr, stdout } = await countersign(['serve', '--config', configFile]);
    expect(exit).toBe(7);
    expect(stderr).toContain('key ring');
    expect(stdout + stderr).not.toContain('canary');
  });

  test.each([
    ['exception', 'throw bug'],
    ['rejection', 'Promise.reject(bug)'],
  ])('with 70 after an uncaught %s, with frames and without the message', async (_, fail) => {
    const { configFile } = await configure(folder);
    // The message is put together, so that it does not stand in the module's own address, which frames name.
    const bug = `const bug = new TypeError(['can', 'ary'].join(''));`;
    const whenServing = `if (process.listenerCount('SIGTERM') > 0) { clearInterval(timer); ${bug} ${fail}; }`;
    const preload = `const timer = setInterval(() => { ${whenServing} }, 20);`;
    const { exit, stdout, stderr } = await start(['serve', '--config', configFile], { preload }).ended;
    expect(exit).toBe(70);
    const error: unknown = expect.stringMatching(/^TypeError\n {4}at /);
    expect(linesOf(stdout).find(({ event }) => event === 'crash')).toMatchObject({ level: 'error', error });
    expect(stdout + stderr).not.toContain('canary');
  });
});

const metric = async (name: string) =>
  new RegExp(`^${name} (\\S+)$`, 'm').exec(await (await fetch(`${service?.admin}/metrics`)).text())?.[1];

describe('a reload by SIGHUP', () => {
  test('of a bad file keeps the old configuration and says why; a good one is applied', async () => {
    service = await openService(folder);
    const { child, configFile, output } = service;
    const good = readFileSync(configFile, 'utf8');
    writeFileSync(configFile, good.replace('schemes:', 'sceme:'));
    child.kill('SIGHUP');
    await eventually(() => output().includes('configuration refused'));
    expect(await metric('countersign_config_last_reload_success')).toBe('0');
    expect((await fetch(`${service.admin}/readyz`)).status).toBe(200);
    writeFileSync(configFile, `${good}log: { level: debug }\n`);
    child.kill('SIGHUP');
    await eventually(() => output().includes('configuration applied'));
    expect(await metric('countersign_config_last_reload_success')).toBe('1');
  });
});

async function sendCheck(session: ClientHttp2Session, body: string): Promise<string> {
  const message = new TextEncoder().encode(body);
  const frame = new Uint8Array(5 + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, 5);
  const call = session.request(CHECK);
  const chunks: Uint8Array[] = [];
  call.on('data', (chunk: Uint8Array) => chunks.push(chunk));
  const closed = new Promise((done) => call.on('close', done).on('error', done));
  call.end(frame);
  await closed;
  return chunks.map((chunk) => new TextDecoder('latin1').decode(chunk)).join('');
}

describe('a reader of the log that has gone to sleep (OP-16)', () => {
  test('neither keeps Checks from being answered nor the process from ending', async () => {
    execFileSync('mkfifo', [join(folder.path, 'log')]);
    const pipe = openSync(join(folder.path, 'log'), constants.O_RDWR);
    service = await openService(folder, {}, { stdoutFd: pipe });
    const session = openCheckSession(service.check);
    // A pipe holds 64 KiB, a line has some 300 bytes.
    for (let index = 0; index < 300; index++) expect(await sendCheck(session, 'no check')).toContain('unavailable');
    session.close();
    const exposition = await (await fetch(`${service.admin}/metrics`)).text();
    expect(exposition).toMatch(/^countersign_faults_total\{reason="check_invalid"\} 300$/m);
    expect((await service.stop()).exit).toBe(0);
    closeSync(pipe);
  });
});

describe('what it writes', () => {
  test('holds none of the secrets that pass through it: lines, metrics, answers, status (OP-15), and only listed fields (OP-16)', async () => {
    service = await openService(folder, { log: { level: 'debug', decisions: 'all' } });
    const { admin, issuer, check, token, ringFile } = service;
    const answers: string[] = [];
    const send = async (url: string, init: RequestInit) => answers.push(await (await fetch(url, init)).text());
    const json = { 'content-type': 'application/json' };
    await send(`${admin}/admin/v1/users`, {
      method: 'PUT',
      headers: { ...json, authorization: 'Bearer canary-wrong-token' },
      body: '{}',
    });
    await send(`${admin}/admin/v1/users`, {
      method: 'PUT',
      headers: { ...json, authorization: `Bearer ${token}` },
      body: '{"subject":"canary-subject","attributes":{"a":"canary-attribute"}}',
    });
    await send(`${admin}/admin/v1/users`, {
      method: 'PUT',
      headers: { ...json, authorization: `Bearer ${token}` },
      body: '{"subject":"x","canary-member":1',
    });
    await send(`${issuer}/auth/challenge-signature/challenge`, {
      method: 'POST',
      headers: json,
      body: '{"user":"canary-user"}',
    });
    await send(`${issuer}/auth/challenge-signature/enrol`, {
      method: 'POST',
      headers: { ...json, cookie: 'canary-cookie' },
      body: `{"invitation":"canary-invitation"}`,
    });
    await send(`${issuer}/canary-path`, { method: 'POST', headers: json, body: 'canary-body' });
    const session = openCheckSession(check);
    for (const body of ['canary-check', '\r\n\0\u202e{"level":"error"}', 'x'.repeat(1_000_000)]) {
      answers.push(await sendCheck(session, body));
    }
    session.close();
    await send(`${admin}/metrics`, {});
    await send(`${admin}/readyz?verbose`, {});
    await send(`${admin}/admin/v1/status`, { headers: { authorization: `Bearer ${token}` } });
    await send(`${admin}/admin/v1/keys`, { headers: { authorization: `Bearer ${token}` } });
    const { stdout, stderr } = await service.stop();

    expect(stdout).toContain('"event":"decision"');
    expect(stdout).toContain('"event":"audit"');
    const { keys } = JSON.parse(readFileSync(ringFile, 'utf8')) as { keys: { material: string }[] };
    const secrets = ['canary', token, ...keys.map(({ material }) => material), ...challengesOf(answers)];
    expect(secrets.length).toBeGreaterThan(3);
    for (const secret of secrets) expect(stdout + stderr).not.toContain(secret);
    // What a caller is told about its own user is no leak; everything else is.
    const told = answers.filter(
      (answer) => !answer.includes('"subject":"canary-subject"') && !answer.includes('"challenge":'),
    );
    expect(told.length).toBeGreaterThan(9);
    for (const secret of secrets) expect(told.join('\n')).not.toContain(secret);

    const known = ['time', 'level', 'event', 'msg', 'pid', 'role', 'version', ...LOG_FIELDS];
    for (const line of linesOf(stdout)) expect(known).toEqual(expect.arrayContaining(Object.keys(line)));
    expect(stdout).toMatch(/^[\x20-\x7e\n]*$/);
  });
});

function challengesOf(answers: readonly string[]): string[] {
  return answers.flatMap((answer) => /"challenge":"([^"]+)"/.exec(answer)?.[1] ?? []);
}
