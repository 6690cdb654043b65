import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../src/config/config-error.ts';
import { checkSecretFiles, readSecretFile, secretFilesOf } from '../../src/config/secret-files.ts';
import { BASE, load } from './config-under-test.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-secrets-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function secret(name: string, content: string | Uint8Array, mode = 0o600): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  chmodSync(file, mode);
  return file;
}

describe('a secret file', () => {
  test.each([
    ['hunter2', 'hunter2'],
    ['hunter2\n', 'hunter2'],
    ['hunter2\r\n', 'hunter2'],
    ['hunter2\n\n', 'hunter2\n'],
    [' hunter2 ', ' hunter2 '],
  ])('%j is %j: one newline at the end is cut, nothing else', (content, value) => {
    expect(readSecretFile(secret('cut', content)).reveal()).toBe(value);
  });

  test('is read anew by every call', () => {
    const file = secret('rotated', 'one');
    expect(readSecretFile(file).reveal()).toBe('one');
    secret('rotated', 'two');
    expect(readSecretFile(file).reveal()).toBe('two');
  });

  test('may be read by its group, not by everybody', () => {
    expect(readSecretFile(secret('group', 'x', 0o640)).reveal()).toBe('x');
    expect(() => readSecretFile(secret('world', 'x', 0o644))).toThrow(
      'expected a file that others on this machine cannot read',
    );
    expect(() => readSecretFile(secret('world-only', 'x', 0o604))).toThrow('others on this machine');
  });

  test('on a volume that Kubernetes projects may have the mode Kubernetes gives it', () => {
    const version = join(folder, '..2026_11_24_08_00_00.123456789');
    mkdirSync(version);
    writeFileSync(join(version, 'token'), 'x');
    chmodSync(join(version, 'token'), 0o644);
    symlinkSync(version, join(folder, '..data'));
    symlinkSync(join('..data', 'token'), join(folder, 'token'));
    expect(readSecretFile(join(folder, 'token')).reveal()).toBe('x');
  });

  test('has at most 64 KiB', () => {
    expect(readSecretFile(secret('full', 'x'.repeat(65_536))).reveal()).toHaveLength(65_536);
    expect(() => readSecretFile(secret('over', 'x'.repeat(65_537)))).toThrow('expected at most 64 KiB');
  });

  test.each([
    ['is missing', () => join(folder, 'missing'), 'ENOENT'],
    ['is a folder', () => folder, 'EISDIR'],
    ['is a device', () => '/dev/null', 'expected a regular file'],
    ['never ends', () => '/dev/zero', 'expected a regular file'],
    ['is empty', () => secret('empty', ''), 'got an empty file'],
    ['is a newline', () => secret('blank', '\n'), 'got an empty file'],
    ['is no text', () => secret('binary', new Uint8Array([0x68, 0xff])), 'expected UTF-8'],
    [
      'is a pipe that nobody writes to',
      () => {
        execFileSync('mkfifo', ['-m', '600', join(folder, 'pipe')]);
        return join(folder, 'pipe');
      },
      'expected a regular file',
    ],
  ])('is refused when it %s', (_, make, message) => {
    expect(() => readSecretFile(make())).toThrow(message);
  });

  test('is never repeated in what is thrown', () => {
    const file = secret('canary', `hunter2${'\0'.repeat(70_000)}`);
    expect(() => readSecretFile(file)).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('hunter2') }),
    );
  });
});

test('all secret files of a configuration are looked at, certificates are not among them', () => {
  const text = `${BASE}keys: {ringFile: /ring}
listeners:
  admin: {tokenFile: /token}
  issuer: {tls: {certFile: /public/cert, keyFile: /issuer-key}}
  check: {tls: {certFile: /public/cert, keyFile: /check-key, clientCaFile: /public/ca, allowedSans: [proxy]}}
`;
  const { config } = load(text);
  expect(secretFilesOf(config)).toEqual(
    expect.arrayContaining([
      { path: 'listeners.check.tls.keyFile', file: '/check-key' },
      { path: 'listeners.issuer.tls.keyFile', file: '/issuer-key' },
      { path: 'listeners.admin.tokenFile', file: '/token' },
      { path: 'keys.ringFile', file: '/ring' },
    ]),
  );
  expect(secretFilesOf(config)).toHaveLength(4);
  let thrown: unknown;
  try {
    checkSecretFiles(config, 'config.yaml');
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(ConfigError);
  expect((thrown as ConfigError).issues).toHaveLength(4);
});
