/** Requests with a token from the terminal: one key file is all they take. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { openDeployment, type Deployment } from '../support/deployment.ts';
import { countersign, createFolder, type Folder } from './rig.ts';

let folder: Folder;
let deployment: Deployment;
let keyFile: string;
beforeAll(async () => {
  folder = createFolder();
  deployment = await openDeployment({
    ringUses: ['challenge-mac', 'token-signing'],
    change(config) {
      const { audiences } = config['issuer'] as { audiences: string[] };
      config['issuer'] = { url: audiences[0], audiences };
      config.schemes['client-challenge'] = {};
      config.routes['api'] = { ...config.routes['api'], schemes: ['client-challenge'] };
    },
  });
  keyFile = await newKeyFile('alice.jwk', 'alice');
  await newKeyFile('stranger.jwk');
}, 60_000);
afterAll(async () => {
  await deployment.stop();
  folder.remove();
});

/** @param user whose it is; without one, nobody's. */
async function newKeyFile(name: string, user?: string): Promise<string> {
  const file = join(folder.path, name);
  const { stdout } = await countersign(['keys', 'client', '--alg', 'ES256', '--out', file, '--json']);
  const { publicJwk } = JSON.parse(stdout) as { publicJwk: object };
  if (user !== undefined)
    await deployment.admin('PUT', 'credentials/client-challenge', { subject: user, keyId: name, jwk: publicJwk });
  return file;
}

test('sign prints a header that lets any request in, any number of times', async () => {
  const { exit, stdout } = await countersign([
    'sign',
    '--scheme',
    'client-challenge',
    '--key',
    keyFile,
    'GET',
    `${deployment.url}/a`,
  ]);
  expect(exit).toBe(0);
  const [, authorization = ''] = /^authorization: (Bearer [A-Za-z0-9._-]+)$/m.exec(stdout) ?? [];
  for (const [method, path] of [
    ['GET', '/a'],
    ['DELETE', '/b?c=d'],
    ['GET', '/a'],
  ]) {
    expect((await fetch(deployment.url + path, { method, headers: { authorization } } as RequestInit)).status).toBe(
      200,
    );
  }
});

test('curl logs in, sends, and prints the answer', async () => {
  const { exit, stdout } = await countersign([
    'curl',
    '--scheme',
    'client-challenge',
    '--key',
    keyFile,
    'PUT',
    `${deployment.url}/x`,
    '-d',
    'text',
  ]);
  expect(exit).toBe(0);
  expect((JSON.parse(stdout) as { headers: unknown[] }).headers).toContainEqual(['x-auth-subject', 'alice']);
});

test('a key of nobody exits 5 with signature_invalid; no key file exits 7, no option for it 2', async () => {
  const at = `${deployment.url}/x`;
  const stranger = await countersign([
    'curl',
    '--scheme',
    'client-challenge',
    '--key',
    join(folder.path, 'stranger.jwk'),
    'GET',
    at,
  ]);
  expect([stranger.exit, stranger.stderr]).toEqual([5, expect.stringContaining('signature_invalid')]);
  expect((await countersign(['curl', '--scheme', 'client-challenge', '--key', '/nowhere', 'GET', at])).exit).toBe(7);
  expect((await countersign(['curl', '--scheme', 'client-challenge', 'GET', at])).exit).toBe(2);
});
