/** Signed requests from the terminal, through a real Envoy. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../scripts/processes.ts';
import { openDeployment, type Deployment } from '../support/deployment.ts';
import { countersign, createFolder, type Folder } from './rig.ts';

let folder: Folder;
let deployment: Deployment;
let keyFile: string;
beforeAll(async () => {
  folder = createFolder();
  deployment = await openDeployment();
  keyFile = join(folder.path, 'alice.jwk');
  const { stdout } = await countersign(['keys', 'client', '--alg', 'ES256', '--out', keyFile, '--json']);
  const { publicJwk } = JSON.parse(stdout) as { publicJwk: object };
  await deployment.admin('PUT', 'credentials/challenge-signature', { subject: 'alice', keyId: 'k1', jwk: publicJwk });
}, 60_000);
afterAll(async () => {
  await deployment.stop();
  folder.remove();
});

/** What `curl` would do with the options that we print, for a machine without it: what is tested is the shell's reading of them. */
const STAND_IN = `#!/usr/bin/env node
const { values, positionals } = require('node:util').parseArgs({
  options: {
    method: { type: 'string', short: 'X' },
    header: { type: 'string', short: 'H', multiple: true },
    'data-binary': { type: 'string' },
    s: { type: 'boolean', short: 's' },
  },
  allowPositionals: true,
});
const headers = values.header.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]);
fetch(positionals[0], { method: values.method, headers, body: values['data-binary'] })
  .then((answer) => answer.text())
  .then((text) => process.stdout.write(text));
`;

/** With the real `curl` where there is one. */
function shell(command: string): string {
  writeFileSync(join(folder.path, 'curl'), STAND_IN, { mode: 0o755 });
  const path = `${process.env['PATH'] ?? ''}:${folder.path}`;
  return execFileSync('sh', ['-c', command], { encoding: 'utf8', env: { ...process.env, PATH: path } });
}

const asAlice = () => ['--scheme', 'challenge-signature', '--key', keyFile, '--user', 'alice', '--kid', 'k1'];

describe('sign', () => {
  test('prints headers that pass once', async () => {
    const { exit, stdout } = await countersign([
      'sign',
      ...asAlice(),
      'POST',
      `${deployment.url}/transfer?dry=0`,
      '-d',
      '{"amount":50}',
    ]);
    expect(exit).toBe(0);
    const [, value = ''] = /^authorization: (ChallengeSignature .*)$/m.exec(stdout) ?? [];
    const send = () =>
      fetch(`${deployment.url}/transfer?dry=0`, {
        method: 'POST',
        body: '{"amount":50}',
        headers: { authorization: value },
      });
    expect([(await send()).status, (await send()).status]).toEqual([200, 401]);
  });

  test('prints a curl command that a shell runs, whatever the body holds', async () => {
    const body = `{"text":"it's $HOME \`ls\`"}`;
    const { stdout } = await countersign([
      'sign',
      ...asAlice(),
      '--format',
      'curl',
      'POST',
      `${deployment.url}/note`,
      '-H',
      'x-note: a',
      '-d',
      body,
    ]);
    const answer = JSON.parse(shell(`${stdout.trim()} -s`)) as { body: string };
    expect(atob(answer.body)).toBe(body);
  });

  test('prints JSON for scripts', async () => {
    const { stdout } = await countersign(['sign', ...asAlice(), '--json', 'GET', `${deployment.url}/x`]);
    expect(JSON.parse(stdout)).toMatchObject({
      method: 'GET',
      url: `${deployment.url}/x`,
      headers: { authorization: expect.stringMatching(/^ChallengeSignature /) },
    });
  });

  test('exits 7 for a key that is missing, broken, or that others may read, and prints nothing of it', async () => {
    const broken = folder.write('broken.jwk', '{"d":"canary-key"');
    const open = folder.write('open.jwk', readFileSync(keyFile, 'utf8'), 0o644);
    for (const file of [join(folder.path, 'none'), broken, open]) {
      const { exit, stdout, stderr } = await countersign([
        'sign',
        '--scheme',
        'challenge-signature',
        '--key',
        file,
        '--user',
        'a',
        '--debug',
        'GET',
        `${deployment.url}/`,
      ]);
      expect({ exit, stdout }).toEqual({ exit: 7, stdout: '' });
      expect(stderr).not.toContain('canary');
    }
  });

  test('exits 7 for a body file that is missing', async () => {
    expect((await countersign(['sign', ...asAlice(), 'POST', `${deployment.url}/`, '-d', '@/nowhere'])).exit).toBe(7);
  });

  test('exits 4 when the issuer does not answer', async () => {
    const { exit, stderr } = await countersign([
      'sign',
      ...asAlice(),
      '--issuer',
      `http://127.0.0.1:${await freePort()}`,
      'GET',
      `${deployment.url}/`,
    ]);
    expect({ exit, stderr }).toMatchObject({ exit: 4, stderr: expect.stringContaining('no answer') });
  });

  test('exits 2 for an http address that is not on loopback', async () => {
    expect((await countersign(['sign', ...asAlice(), 'GET', 'http://api.example.com/'])).exit).toBe(2);
  });
});

describe('curl', () => {
  test('sends the request and prints the answer, with -i its status and headers too', async () => {
    const body = folder.write('body', 'bytes \u00e4');
    const { exit, stdout } = await countersign([
      'curl',
      ...asAlice(),
      '-i',
      'PUT',
      `${deployment.url}/put`,
      '--data',
      `@${body}`,
    ]);
    expect(exit).toBe(0);
    const [head = '', answer = ''] = stdout.split('\n\n');
    expect(head).toMatch(/^HTTP 200\n/);
    const { method, headers } = JSON.parse(answer) as { method: string; headers: [string, string][] };
    expect(method).toBe('PUT');
    expect(headers).toContainEqual(['x-auth-subject', 'alice']);
  });

  test('exits 5 when it is refused, and prints the refusal', async () => {
    const stranger = join(folder.path, 'stranger.jwk');
    await countersign(['keys', 'client', '--alg', 'Ed25519', '--out', stranger]);
    const { exit, stdout, stderr } = await countersign([
      'curl',
      '--scheme',
      'challenge-signature',
      '--key',
      stranger,
      '--user',
      'alice',
      '--kid',
      'k1',
      '-i',
      'GET',
      `${deployment.url}/x`,
    ]);
    expect(exit).toBe(5);
    expect(stdout).toMatch(/^HTTP 401\n[^]*"code":"signature_invalid"/);
    expect(stderr).toContain('signature_invalid');
  });

  test('exits 4 when there is nobody', async () => {
    const port = await freePort();
    expect((await countersign(['curl', ...asAlice(), 'GET', `http://127.0.0.1:${port}/`])).exit).toBe(4);
  });
});
