/** OP-11: what every command has in common. */
import { describe, expect, test } from '@jest/globals';
import { countersign } from './rig.ts';

const COMMANDS = [
  'serve',
  'validate',
  'keys',
  'users',
  'sign',
  'curl',
  'explain',
  'verify-deployment',
  'health',
  'version',
];

describe('usage', () => {
  test('help lists every command on stdout and exits 0', async () => {
    const { exit, stdout } = await countersign(['--help']);
    expect(exit).toBe(0);
    for (const name of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${name} +\\S`, 'm'));
  });

  test.each(COMMANDS)('%s --help shows its usage on stdout and exits 0', async (name) => {
    const { exit, stdout, stderr } = await countersign([name, '--help']);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(stdout).toContain(`usage: countersign ${name}`);
  });

  test.each([
    ['no command', [], 'expected a command'],
    ['an unknown command', ['serv'], 'unknown command "serv"'],
    ['a name of every object', ['constructor'], 'unknown command'],
    ['an unknown option', ['validate', '--confg', 'x'], '--confg'],
    ['an option without its value', ['validate', '--config'], '--config'],
    ['a surplus word, such as a file without --config', ['validate', 'config.yaml'], 'unexpected "config.yaml"'],
    ['an empty value, such as an unset shell variable', ['validate', '--config', ''], '--config: expected a value'],
    ['an option of another action', ['keys', 'list', '--ring', 'x', '--alg', 'ES256'], 'list takes no --alg'],
    ['no action', ['keys'], 'expected client, chain, generate, list, rotate, retire'],
    ['an unknown action', ['users', 'list'], 'expected add, show, revoke, delete, add-key, add-chain, invite'],
    [
      'a URL that is none',
      ['users', 'show', '--subject', 'a', '--token-file', '/dev/null', '--admin', 'localhost:1'],
      '--admin',
    ],
    ['a missing option', ['users', 'show'], 'expected --subject'],
    ['a method alone', ['sign', 'GET'], 'expected METHOD URL'],
    [
      'an unknown scheme',
      ['sign', '--scheme', 'toString', 'GET', 'https://a.example'],
      '--scheme: expected better-auth, challenge-signature, client-challenge, opaque-pop, time-scrambled, got',
    ],
    [
      'an unknown format',
      ['sign', '--format', 'xml', 'GET', 'https://a.example'],
      '--format: expected headers, json, curl',
    ],
    ['a health address that is none', ['health', '--grpc', 'nowhere'], '--grpc: expected host:port'],
  ])('exits 2 for %s and says what was expected', async (_, args, message) => {
    const { exit, stdout, stderr } = await countersign(args);
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' });
    expect(stderr).toContain(message);
  });

  test('version tells version, commit, Node, OpenSSL and the schemes', async () => {
    const { exit, stdout } = await countersign(['version', '--json']);
    expect(exit).toBe(0);
    expect(Object.keys(JSON.parse(stdout) as object)).toEqual(['version', 'commit', 'node', 'openssl', 'schemes']);
    expect((await countersign(['version'])).stdout).toContain('challenge-signature');
  });
});

describe('an unexpected failure', () => {
  const preload = 'globalThis.fetch = () => { throw new RangeError("a bug") };';

  test('exits 1 with one line, and with the stack under --debug', async () => {
    const plain = await countersign(['health'], { preload });
    expect(plain).toEqual({ exit: 1, stdout: '', stderr: 'countersign health: a bug\n' });
    const debug = await countersign(['health', '--debug'], { preload });
    expect(debug.exit).toBe(1);
    expect(debug.stderr).toMatch(/RangeError: a bug\n {4}at /);
  });
});
