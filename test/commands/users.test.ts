/** Commands that talk to a running service: users, health. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { freePort } from '../../scripts/processes.ts';
import { countersign, createFolder, openService, type Folder, type Service } from './rig.ts';

let folder: Folder;
let service: Service;
beforeAll(async () => {
  folder = createFolder();
  service = await openService(folder);
}, 30_000);
afterAll(async () => {
  await service.stop();
  folder.remove();
});

const users = (...args: string[]) =>
  countersign(['users', ...args, '--admin', service.admin, '--token-file', service.tokenFile]);
const parsed = ({ stdout }: { stdout: string }) => JSON.parse(stdout) as Record<string, unknown>;

describe('users', () => {
  test('add, show, revoke, delete: a user from the first record to the tombstone', async () => {
    const added = await users('add', '--subject', 'alice', '--attributes', '{"role":"admin"}');
    expect(added).toMatchObject({ exit: 0, stderr: '' });
    expect(parsed(await users('show', '--subject', 'alice'))).toMatchObject({
      subject: 'alice',
      epoch: 0,
      attributes: { role: 'admin' },
    });
    expect(parsed(await users('revoke', '--subject', 'alice'))).toEqual({ epoch: 1 });
    expect((await users('delete', '--subject', 'alice')).exit).toBe(0);
    const gone = await users('show', '--subject', 'alice');
    expect(gone.exit === 5 || parsed(gone)['deleted'] === true).toBe(true);
  });

  test('add-key takes a private JWK or what keys client --json printed, and sends the public members alone', async () => {
    const out = join(folder.path, 'bob.jwk');
    const { stdout: made } = await countersign(['keys', 'client', '--alg', 'Ed25519', '--out', out, '--json']);
    const { thumbprint } = JSON.parse(made) as { thumbprint: string };
    const key = ['--subject', 'bob', '--scheme', 'challenge-signature', '--kid', 'k1', '--jwk'];
    for (const file of [out, folder.write('bob.pub.json', made)]) {
      const added = await users('add-key', ...key, file);
      expect(added.exit).toBe(0);
      expect(parsed(added)).toMatchObject({ subject: 'bob', keyId: 'k1', thumbprint });
    }
  });

  test('invite prints a token once and its end', async () => {
    const answer = await users('invite', '--scheme', 'challenge-signature', '--subject', 'carol', '--ttl', '10m');
    expect(answer.exit).toBe(0);
    expect(parsed(answer)).toEqual({
      token: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      expiresAtMs: expect.any(Number),
    });
  });

  test('another tenant does not know the users of this one', async () => {
    await users('add', '--subject', 'dave');
    const { exit, stderr } = await users('show', '--subject', 'dave', '--tenant', 'other');
    expect({ exit, stderr }).toMatchObject({ exit: 5, stderr: expect.stringContaining('404 not_found') });
  });

  test('exits 5 for a wrong token, and never prints it', async () => {
    const wrong = folder.write('wrong', 'canary-token-of-an-admin');
    const { exit, stdout, stderr } = await countersign([
      'users',
      'show',
      '--subject',
      'bob',
      '--admin',
      service.admin,
      '--token-file',
      wrong,
      '--debug',
    ]);
    expect(exit).toBe(5);
    expect(stderr).toContain('401 unauthorized');
    expect(stdout + stderr).not.toContain('canary');
  });

  test('exits 5 for what the server refuses, 2 for what is no JSON', async () => {
    expect((await users('add', '--subject', 'a/b')).exit).toBe(5);
    expect((await users('add', '--subject', 'a', '--attributes', '{role}')).exit).toBe(2);
  });

  test('exits 7 for a token file or key that is missing, and prints nothing of a key that is broken', async () => {
    const missing = await countersign([
      'users',
      'show',
      '--subject',
      'bob',
      '--admin',
      service.admin,
      '--token-file',
      join(folder.path, 'none'),
    ]);
    expect(missing.exit).toBe(7);
    const broken = folder.write('broken.jwk', '{"d":"canary-key');
    const { exit, stderr } = await users(
      'add-key',
      '--subject',
      'b',
      '--scheme',
      'challenge-signature',
      '--kid',
      'k',
      '--jwk',
      broken,
      '--debug',
    );
    expect(exit).toBe(7);
    expect(stderr).not.toContain('canary');
  });

  test('exits 4 when the admin listener does not answer', async () => {
    const { exit, stderr } = await countersign([
      'users',
      'show',
      '--subject',
      'b',
      '--admin',
      `http://127.0.0.1:${await freePort()}`,
      '--token-file',
      service.tokenFile,
    ]);
    expect({ exit, stderr }).toMatchObject({ exit: 4, stderr: expect.stringContaining('no answer (ECONNREFUSED)') });
  });

  test('every change has left an audit line without the subject', async () => {
    await users('add', '--subject', 'canary-subject');
    expect(service.output()).toMatch(
      /"event":"audit"[^\n]*"action":"users\.put","actor":"admin","target_hash":"[A-Za-z0-9_-]{16}"/,
    );
    expect(service.output()).not.toContain('canary-subject');
  });
});

test('calls of the admin listener do not count as requests of the issuer', async () => {
  await users('add', '--subject', 'erin');
  const exposition = await (await fetch(`${service.admin}/metrics`)).text();
  expect(exposition).toContain('# TYPE countersign_issuer_requests_total counter');
  expect(exposition).not.toMatch(/^countersign_issuer_requests_total\{/m);
});

describe('health', () => {
  test('exits 0 when ready, by the admin listener and by gRPC', async () => {
    expect(await countersign(['health', '--admin', service.admin])).toMatchObject({ exit: 0, stdout: 'ready\n' });
    expect(await countersign(['health', '--grpc', `unix:${service.check}`, '--json'])).toMatchObject({
      exit: 0,
      stdout: '{"ready":true}\n',
    });
  });

  test('exits 4 when nobody answers', async () => {
    const port = await freePort();
    expect((await countersign(['health', '--admin', `http://127.0.0.1:${port}`])).exit).toBe(4);
    expect((await countersign(['health', '--grpc', `127.0.0.1:${port}`])).exit).toBe(4);
  });

  test('exits 6 when the service answers but is not ready', async () => {
    const other = createFolder();
    const unready = await openService(other, {
      insecure: { plaintextRedis: true },
      store: { type: 'redis', redis: { urls: [`redis://127.0.0.1:${await freePort()}`] } },
    });
    expect(await countersign(['health', '--admin', unready.admin])).toMatchObject({ exit: 6, stdout: 'not ready\n' });
    expect((await countersign(['health', '--grpc', `unix:${unready.check}`])).exit).toBe(6);
    await unready.stop();
    other.remove();
  });
});
