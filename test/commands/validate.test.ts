import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../scripts/processes.ts';
import { SERVER_ACL } from '../support/acl.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { configure, countersign, createFolder, type Folder } from './rig.ts';

let folder: Folder;
beforeEach(() => {
  folder = createFolder();
});
afterEach(() => folder.remove());

describe('validate', () => {
  test('exits 0 for a sound configuration and tells its hash', async () => {
    const { configFile } = await configure(folder);
    const { exit, stdout } = await countersign(['validate', '--config', configFile, '--json']);
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ valid: true, hash: expect.stringMatching(/^[0-9a-f]{12}$/) });
  });

  test('finds the file by the environment', async () => {
    const { configFile } = await configure(folder);
    const { exit, stdout } = await countersign(['validate'], { env: { COUNTERSIGN_CONFIG: configFile } });
    expect(exit).toBe(0);
    expect(stdout).toContain(configFile);
  });

  test('exits 3 with file, line, path and what was expected, for all mistakes at once', async () => {
    const { configFile } = await configure(folder, {
      routes: { api: { sceme: ['challenge-signature'] } },
      process: { drainTimeout: 8 },
    });
    const { exit, stderr } = await countersign(['validate', '--config', configFile]);
    expect(exit).toBe(3);
    expect(stderr).toMatch(/config\.yaml:\d+ routes\.api\.sceme: .*schemes/);
    expect(stderr).toMatch(/config\.yaml:\d+ process\.drainTimeout: expected a duration/);
  });

  test('exits 3 for a file that is not there', async () => {
    expect((await countersign(['validate', '--config', join(folder.path, 'nowhere.yaml')])).exit).toBe(3);
  });

  test('exits 7 for a ring that is none', async () => {
    const { configFile } = await configure(folder);
    folder.write('ring.json', 'no ring');
    const { exit, stderr } = await countersign(['validate', '--config', configFile]);
    expect(exit).toBe(7);
    expect(stderr).toContain('key ring');
  });

  test('exits 3 for a token that everybody may read', async () => {
    const { configFile, tokenFile } = await configure(folder);
    chmodSync(tokenFile, 0o644);
    const { exit, stderr } = await countersign(['validate', '--config', configFile]);
    expect(exit).toBe(3);
    expect(stderr).toContain('listeners.admin.tokenFile');
  });

  test('prints the effective configuration with paths of secrets and without secrets', async () => {
    const { configFile, token, tokenFile } = await configure(folder, {
      insecure: { freshMemoryStore: false, inlineSecrets: true, plaintextRedis: true },
      store: { type: 'redis', redis: { urls: ['redis://127.0.0.1:6379'], password: 'canary-password' } },
    });
    const { exit, stdout, stderr } = await countersign([
      'validate',
      '--config',
      configFile,
      '--print-effective',
      '--set',
      'log.level=debug',
    ]);
    expect({ exit, stderr: stderr.includes('canary') }).toEqual({ exit: 0, stderr: false });
    expect(stdout).toContain(tokenFile);
    expect(stdout).toMatch(/level: "?debug/);
    expect(stdout).not.toContain('canary-password');
    expect(stdout).not.toContain(token);
  });

  test('exits 4 when the store does not answer', async () => {
    const { configFile } = await configure(folder, {
      insecure: { plaintextRedis: true },
      store: { type: 'redis', redis: { urls: [`redis://127.0.0.1:${await freePort()}`] } },
    });
    const { exit, stderr } = await countersign(['validate', '--config', configFile, '--against-store']);
    expect(exit).toBe(4);
    expect(stderr).toContain('store: the self-test did not pass');
  });

  describe('--against-store', () => {
    const against = async (redis: TestRedis, more: object = {}, ...flags: string[]) => {
      const { configFile } = await configure(folder, {
        insecure: { plaintextRedis: true },
        store: { type: 'redis', redis: { urls: [redis.url], ...more } },
      });
      return countersign(['validate', '--config', configFile, '--against-store', ...flags]);
    };

    test('tells of each setting of the server whether it is right, and warns of what is not', async () => {
      const redis = await startRedis(['--maxmemory', '100mb', '--appendonly', 'yes', '--appendfsync', 'always']);
      const { exit, stdout, stderr } = await against(redis);
      await redis.stop();
      expect(exit).toBe(0);
      expect(stdout).toContain('store: self-test: passed\n');
      expect(stdout).toMatch(/^(redis|valkey) [0-9.]+: maxmemory-policy: noeviction$/m);
      expect(stdout).toMatch(/: appendonly: yes$/m);
      expect(stdout).toMatch(/: maxmemory: 104857600$/m);
      expect(stdout).toMatch(/: time: not verifiable from here, expected NTP with slewing$/m);
      expect(stderr).toMatch(/^warning: .*: appendfsync: expected everysec, found always$/m);
      expect(stdout).not.toContain('min-replicas'); // There is nobody to replicate to.
    });

    test('calls not verifiable what the user of the documentation may not ask', async () => {
      const redis = await startRedis();
      await redis.admin.call('ACL', 'SETUSER', 'countersign', 'on', '>secret', ...SERVER_ACL);
      const files = {
        usernameFile: folder.write('user', 'countersign', 0o600),
        passwordFile: folder.write('password', 'secret', 0o600),
      };
      const { exit, stdout } = await against(redis, files, '--json');
      await redis.stop();
      expect(exit).toBe(0);
      const { store } = JSON.parse(stdout) as { store: { setting: string; verdict: string; found: unknown }[] };
      const verdicts = Object.fromEntries(store.map(({ setting, verdict }) => [setting, verdict]));
      expect(verdicts).toMatchObject({ 'maxmemory-policy': 'right', role: 'right', appendonly: 'unknown' });
    });

    test('exits 4 where claims would be dropped', async () => {
      const redis = await startRedis();
      await redis.admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
      const { exit, stderr } = await against(redis);
      await redis.stop();
      expect({ exit, stderr }).toEqual({ exit: 4, stderr: expect.stringContaining('unsafe') });
    });

    test('has nothing to tell of the memory store', async () => {
      const { configFile } = await configure(folder);
      const { exit, stdout } = await countersign(['validate', '--config', configFile, '--against-store', '--json']);
      expect([exit, JSON.parse(stdout)]).toMatchObject([0, { valid: true, store: [] }]);
    });
  });

  test('warns of a certificate that ends within 14 days', async () => {
    const [key, cert] = [join(folder.path, 'tls.key'), join(folder.path, 'tls.crt')];
    const subject = ['-subj', '/CN=x', '-addext', 'subjectAltName=DNS:x'];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-keyout', key, '-out', cert, '-days', '3', ...subject],
      { stdio: 'ignore' },
    );
    chmodSync(key, 0o600);
    const { configFile } = await configure(folder);
    const text = readFileSync(configFile, 'utf8').replace(
      / {2}issuer:\n {4}address/,
      `  issuer:\n    tls: { certFile: ${cert}, keyFile: ${key} }\n    address`,
    );
    folder.write('config.yaml', text);
    const { exit, stderr } = await countersign(['validate', '--config', configFile]);
    expect({ exit, stderr }).toMatchObject({
      exit: 0,
      stderr: expect.stringContaining(`${cert}: the certificate ends`),
    });
  });
});
