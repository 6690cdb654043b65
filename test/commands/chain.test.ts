/** Hash chains from the terminal, as the documentation tells it: enrolled by an invitation or by the operator, and used by one at a time. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Deployment, openDeployment } from '../support/deployment.ts';
import { countersign, createFolder, type Folder, start } from './rig.ts';

let folder: Folder;
let deployment: Deployment;
beforeAll(async () => {
  folder = createFolder();
  deployment = await openDeployment({
    ringUses: ['challenge-mac', 'wrap', 'pepper'],
    change(config) {
      config.schemes['time-scrambled'] = { profiles: ['keyed', 'seed'] };
      config.routes['api'] = { ...config.routes['api'], schemes: ['time-scrambled', 'challenge-signature'] };
    },
  });
}, 60_000);
afterAll(async () => {
  await deployment.stop();
  folder.remove();
});

const file = (name: string) => join(folder.path, name);
const parsed = ({ stdout }: { stdout: string }) => JSON.parse(stdout) as Record<string, unknown>;
const chain = (...args: string[]) => countersign(['keys', 'chain', ...args]);
const curl = (name: string) =>
  countersign([
    'curl',
    '--scheme',
    'time-scrambled',
    '--key',
    file(name),
    'POST',
    `${deployment.url}/transfer`,
    '-d',
    'x',
  ]);

async function invitation(name: string, replace = false): Promise<string> {
  const invited = { scheme: 'time-scrambled', subject: 'bob', ttl: '10m', replace };
  const { token } = await deployment.admin('POST', 'invites', invited);
  return folder.write(name, `${String(token)}\n`);
}

async function enrolled(name: string): Promise<void> {
  const invited = await invitation(`${name}.invitation`);
  const made = await chain(
    '--id',
    name,
    '--out',
    file(name),
    '--length',
    '200',
    '--invitation',
    invited,
    '--url',
    deployment.url,
  );
  expect(made).toMatchObject({ exit: 0, stderr: '', stdout: `enrolled ${name}\n` });
}

describe('with an invitation', () => {
  test('chains are made in a file that only the owner can read, and requests pass one after the other', async () => {
    await enrolled('one');
    expect(statSync(file('one')).mode & 0o777).toBe(0o600);
    for (let request = 0; request < 2; request += 1) {
      const answer = await curl('one');
      expect([answer.exit, answer.stderr]).toEqual([0, '']);
      expect(answer.stdout).toContain('["x-auth-subject","bob"]');
    }
    expect(existsSync(file('one.lock'))).toBe(false);
  });

  test('a used-up invitation exits 5, and the chains wait for another', async () => {
    const spent = await invitation('spent');
    const order = (name: string) =>
      chain('--id', name, '--out', file(name), '--invitation', spent, '--url', deployment.url);
    expect((await order('first')).exit).toBe(0);
    expect(await order('second')).toMatchObject({ exit: 5, stderr: expect.stringContaining('signature_invalid') });
    expect(await curl('second')).toMatchObject({ exit: 7, stderr: expect.stringContaining('not enrolled') });
    const fresh = await invitation('fresh');
    expect(
      (await chain('--id', 'second', '--out', file('second'), '--invitation', fresh, '--url', deployment.url)).exit,
    ).toBe(0);
    expect((await curl('second')).exit).toBe(0);
  });

  test('chains in use give way only with --replace, at the server and here', async () => {
    await enrolled('three');
    const again = ['--id', 'three', '--out', file('three'), '--url', deployment.url, '--invitation'];
    expect(await chain(...again, await invitation('i1', true))).toMatchObject({ exit: 7 });
    expect((await chain('--replace', ...again, await invitation('i2', true))).exit).toBe(0);
    expect((await curl('three')).exit).toBe(0);
  });
});

describe('with the operator between', () => {
  const addChain = (id: string, anchors: string, ...more: string[]) => {
    const admin = ['--admin', `http://${deployment.adminAddress}`, '--token-file', deployment.tokenFile];
    return countersign(['users', 'add-chain', '--subject', 'bob', '--id', id, '--anchors', anchors, ...more, ...admin]);
  };

  test('the anchors go to the operator, the answer comes back, and requests pass', async () => {
    const made = await chain('--id', 'four', '--out', file('four'), '--lanes', '2');
    expect(parsed(made)).toEqual({ id: 'four', n: 4096, anchors: [expect.any(String), expect.any(String)] });
    const anchors = folder.write('four.anchors', made.stdout);
    expect(await curl('four')).toMatchObject({ exit: 7 });
    const added = await addChain('four', anchors);
    expect([added.exit, parsed(added)]).toMatchObject([
      0,
      { id: 'four', profile: 'keyed', timeKey: expect.any(String) },
    ]);
    const answer = folder.write('four.answer', added.stdout);
    expect(await chain('--out', file('four'), '--answer', answer)).toMatchObject({ exit: 0, stdout: 'enrolled\n' });
    expect((await curl('four')).exit).toBe(0);
  });

  test('a taken id exits 5 without --replace, and a seed chain has no time key', async () => {
    const { stdout } = await chain('--id', 'eight', '--out', file('eight'));
    const anchors = folder.write('eight.anchors', stdout);
    const seed = await addChain('eight', anchors, '--profile', 'seed');
    expect([seed.exit, parsed(seed)]).toMatchObject([0, { profile: 'seed', timeKey: null }]);
    expect(await addChain('eight', anchors)).toMatchObject({
      exit: 5,
      stderr: expect.stringContaining('409 conflict'),
    });
    expect((await addChain('eight', anchors, '--replace', '--profile', 'seed')).exit).toBe(0);
    await chain('--out', file('eight'), '--answer', folder.write('eight.answer', seed.stdout));
    expect((await curl('eight')).exit).toBe(0);
  });

  test('anchors of another chain, or a file that is none, exit 7 and go nowhere', async () => {
    const other = folder.write('other.anchors', '{"id":"nine","n":100,"anchors":[]}');
    expect(await addChain('ten', other)).toMatchObject({
      exit: 7,
      stderr: expect.stringContaining('the anchors of ten'),
    });
    expect((await addChain('ten', folder.write('none', 'x'))).exit).toBe(7);
  });

  test('an answer that is none exits 4 or 7, quotes nothing and changes nothing', async () => {
    await chain('--id', 'five', '--out', file('five'));
    const before = readFileSync(file('five'), 'utf8');
    for (const text of ['canary', '{"timeKey":"canary"}', 'null']) {
      const { exit, stdout, stderr } = await chain('--out', file('five'), '--answer', folder.write('wrong', text));
      expect([4, 7]).toContain(exit);
      expect(stdout + stderr).not.toContain('canary');
    }
    expect(readFileSync(file('five'), 'utf8')).toBe(before);
  });
});

describe('one at a time', () => {
  test('a second process is refused with 7 while the first has the file, and sent nothing', async () => {
    await enrolled('six');
    const first = start(
      ['curl', '--scheme', 'time-scrambled', '--key', file('six'), 'POST', 'http://127.0.0.1:1/x', '-d', 'x'],
      {
        // Stays in the middle of its request.
        preload: 'globalThis.fetch = () => new Promise((resolve) => setTimeout(resolve, 60000));',
      },
    );
    while (!existsSync(file('six.lock'))) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await curl('six')).toMatchObject({ exit: 7, stderr: expect.stringContaining('another process') });
    first.child.kill('SIGKILL');
    await first.ended;
    expect((await curl('six')).exit).toBe(0);
  }, 30_000);

  test('what sign prints passes once', async () => {
    await enrolled('seven');
    const signed = await countersign([
      'sign',
      '--scheme',
      'time-scrambled',
      '--key',
      file('seven'),
      'POST',
      `${deployment.url}/transfer`,
      '-d',
      'x',
    ]);
    const [, authorization = ''] = /^authorization: (TimeScrambled .*)$/m.exec(signed.stdout) ?? [];
    const send = () => fetch(`${deployment.url}/transfer`, { method: 'POST', body: 'x', headers: { authorization } });
    expect([(await send()).status, (await send()).status]).toEqual([200, 401]);
  });
});

test.each([
  ['no id', ['--out', 'x']],
  ['no file', ['--id', 'x']],
  ['a length that is no number', ['--id', 'x', '--out', 'x', '--length', 'long']],
  ['a url that is none', ['--id', 'x', '--out', 'x', '--invitation', 'x', '--url', 'x']],
  ['an option of another action', ['--id', 'x', '--out', 'x', '--ring', 'x']],
])('exits 2 for %s', async (_title, args) => {
  const inFolder = args.map((arg, at) => (args[at - 1] === '--out' ? file('usage') : arg));
  expect((await chain(...inFolder)).exit).toBe(2);
});

test.each([
  ['more lanes than there are', ['--lanes', '65']],
  ['a file that can not be made', ['--out', '/nowhere/x']],
])('exits 7 for %s', async (_title, args) => {
  expect((await chain('--id', 'x', '--out', file('other'), ...args)).exit).toBe(7);
});
