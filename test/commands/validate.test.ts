import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../scripts/processes.ts';
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
