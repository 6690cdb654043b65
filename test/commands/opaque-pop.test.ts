/** `sign` and `curl` with a password or a session in a file, and the key ring's setup, through a real Envoy. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { connectIssuer, registerPassword } from '../../src/client/index.ts';
import { decodeBase64url } from '../../src/encoding/base64url.ts';
import { openDeployment, type Deployment } from '../support/deployment.ts';
import { CHEAP } from '../schemes/opaque-pop/prover.ts';
import { countersign, createFolder, type Folder } from './rig.ts';

const PASSWORD = 'correct horse battery staple';
let folder: Folder;
let deployment: Deployment;
let passwordFile: string;

beforeAll(async () => {
  folder = createFolder();
  passwordFile = folder.write('password', `${PASSWORD}\n`, 0o600);
  deployment = await openDeployment({
    ringUses: ['challenge-mac', 'wrap', 'opaque-setup'],
    change(config) {
      config.schemes['opaque-pop'] = { ksf: CHEAP };
      config.routes['api'] = { ...config.routes['api'], schemes: ['opaque-pop'] };
    },
  });
  const { token } = await deployment.admin('POST', 'invites', { scheme: 'opaque-pop', subject: 'alice', ttl: '1h' });
  const issuer = connectIssuer({ scheme: 'opaque-pop', baseUrl: deployment.url });
  await registerPassword(issuer, { user: 'alice', password: PASSWORD, invitation: String(token) });
}, 60_000);
afterAll(async () => {
  await deployment.stop();
  folder.remove();
});

const asAlice = (...more: string[]) => [
  '--scheme',
  'opaque-pop',
  '--user',
  'alice',
  '--password-file',
  passwordFile,
  ...more,
];
const request = () => ['POST', `${deployment.url}/transfer`, '-d', '{"amount":50}'];

test('curl logs in by a password in a file and sends a request that passes', async () => {
  const { exit, stdout } = await countersign(['curl', ...asAlice(), ...request()]);
  expect(exit).toBe(0);
  expect(stdout).toContain('"alice"');
});

test('the password comes from standard input too', async () => {
  const child = spawn(process.execPath, ['src/cli.ts', 'curl', ...asAlice().with(5, '-'), ...request()]);
  let output = '';
  child.stdout.on('data', (chunk) => (output += String(chunk)));
  child.stdin.end(`${PASSWORD}\n`);
  const exit = await new Promise((resolve) => child.once('exit', resolve));
  expect(exit).toBe(0);
  expect(output).toContain('"alice"');
});

test('a session is kept in a file of mode 0600, serves without the password, and is replaced when it is over', async () => {
  const session = join(folder.path, 'session');
  expect((await countersign(['curl', ...asAlice('--session', session), ...request()])).exit).toBe(0);
  expect(statSync(session).mode & 0o777).toBe(0o600);
  const first = readFileSync(session, 'utf8');
  expect((await countersign(['curl', '--scheme', 'opaque-pop', '--session', session, ...request()])).exit).toBe(0);
  expect(readFileSync(session, 'utf8')).toBe(first);

  await deployment.admin('POST', 'users/revoke', { subject: 'alice' });
  const refused = await countersign(['curl', '--scheme', 'opaque-pop', '--session', session, ...request()]);
  expect(refused.exit).toBe(5);
  expect((await countersign(['curl', ...asAlice('--session', session), ...request()])).exit).toBe(0);
  expect(readFileSync(session, 'utf8')).not.toBe(first);
});

test('sign prints headers that pass once', async () => {
  const { stdout } = await countersign(['sign', ...asAlice(), ...request()]);
  const [, authorization = ''] = /^authorization: (OpaquePoP .*)$/m.exec(stdout) ?? [];
  const send = () =>
    fetch(`${deployment.url}/transfer`, { method: 'POST', body: '{"amount":50}', headers: { authorization } });
  expect([(await send()).status, (await send()).status]).toEqual([200, 401]);
});

describe('what it refuses, and prints nothing secret', () => {
  test('exits 5 for a wrong password', async () => {
    const wrong = folder.write('wrong', 'canary-password\n', 0o600);
    const { exit, stdout, stderr } = await countersign(['curl', ...asAlice().with(5, wrong), ...request()]);
    expect([exit, stdout]).toEqual([5, '']);
    expect(stderr).not.toContain('canary');
  });

  test('exits 7 for a password that others may read, one that is missing, a session that is none', async () => {
    const open = folder.write('open', PASSWORD, 0o644);
    const none = folder.write('none', 'canary-session', 0o600);
    for (const args of [
      asAlice().with(5, open),
      asAlice().with(5, join(folder.path, 'missing')),
      ['--scheme', 'opaque-pop', '--session', none],
    ]) {
      const { exit, stderr } = await countersign(['curl', ...args, ...request()]);
      expect(exit).toBe(7);
      expect(stderr).not.toContain('canary');
    }
  });

  test("exits 7 for another user's session, and leaves it as it is", async () => {
    const session = join(folder.path, 'of-alice');
    expect((await countersign(['curl', ...asAlice('--session', session), ...request()])).exit).toBe(0);
    const before = readFileSync(session, 'utf8');
    const asBob = ['--scheme', 'opaque-pop', '--user', 'bob', '--session', session];
    for (const args of [
      asBob,
      [...asBob, '--password-file', passwordFile],
      [...asBob.with(3, 'alice'), '--tenant', 'acme'],
    ]) {
      const { exit, stdout } = await countersign(['curl', ...args, ...request()]);
      expect([exit, stdout]).toEqual([7, '']);
    }
    expect(readFileSync(session, 'utf8')).toBe(before);
  });

  test('exits 2 without password and session, and for a password without its user', async () => {
    expect((await countersign(['curl', '--scheme', 'opaque-pop', ...request()])).exit).toBe(2);
    const nobody = ['--scheme', 'opaque-pop', '--password-file', passwordFile];
    expect((await countersign(['curl', ...nobody, ...request()])).exit).toBe(2);
    const absent = ['--scheme', 'opaque-pop', '--session', join(folder.path, 'absent')];
    expect((await countersign(['curl', ...absent, ...request()])).exit).toBe(2);
    expect(existsSync(join(folder.path, 'absent'))).toBe(false);
  });
});

test('keys generate makes a setup that the engine made, and never over one that is there', async () => {
  const ring = join(folder.path, 'ring.json');
  const generate = () => countersign(['keys', 'generate', '--use', 'opaque-setup', '--ring', ring]);
  expect((await generate()).exit).toBe(0);
  const read = () => (JSON.parse(readFileSync(ring, 'utf8')) as { keys: { material: string; state: string }[] }).keys;
  const [first] = read();
  expect(decodeBase64url(first?.material ?? '')).toHaveLength(128);
  expect((await generate()).exit).toBe(0);
  expect(read().map(({ state }) => state)).toEqual(['active', 'next']);
  expect(read()[0]).toEqual(first);
  const rotate = ['keys', 'rotate', '--use', 'opaque-setup', '--ring', ring];
  expect((await countersign(rotate)).exit).toBe(2);
});
