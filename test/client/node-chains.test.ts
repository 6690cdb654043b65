/** Chains in files: kept over any crash without a token shown twice, and held by one process at a time. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type ChainFile, openChainFile } from '../../src/client/node-chains.ts';
import { parseAuthHeader } from '../../src/encoding/auth-header.ts';
import { enrolChains } from '../../src/schemes/time-scrambled/client-enrol.ts';
import { timeScrambled } from '../../src/schemes/time-scrambled/index.ts';
import { headerOf } from '../conformance/scheme.ts';
import { issuerOf } from '../schemes/time-scrambled/prover.ts';
import { type Gateway, openGateway } from '../support/gateway.ts';
import { isLong } from '../support/long.ts';
import { rejectionOf } from '../support/refused.ts';
import { createSchemeWorld } from '../support/scheme-world.ts';

const PROCESS = 'test/support/chain-process.ts';

let folder: string;
let file: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cs-chains-'));
  file = join(folder, 'chain.json');
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

function start(url: string, step: string): ChildProcess {
  const child = spawn(process.execPath, [PROCESS, file, url, step], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  return child;
}

/** What it wrote, and how it ended. */
async function ended(child: ChildProcess): Promise<{ out: string; error: string; signal: unknown }> {
  let [out, error] = ['', ''];
  child.stdout?.on('data', (text: Buffer) => void (out += String(text)));
  child.stderr?.on('data', (text: Buffer) => void (error += String(text)));
  const [, signal] = await once(child, 'close');
  return { out, error, signal };
}

const opened = (child: ChildProcess) => once(child.stdout!, 'data');
const LANE = '{"version":1,"lanes":[{"id":"a"}]}';

describe('the file', () => {
  test('is one that only its owner can read, and holds what was written last', async () => {
    const chains = await openChainFile(file);
    expect(await chains.read()).toEqual([]);
    expect(await rejectionOf(chains.take())).toMatchObject({ code: 'key_unusable' });
    await chains.replace(['{"id":"a"}', '{"id":"a/1"}']);
    const held = await chains.take();
    await held.write('{"id":"b"}');
    held.release();
    chains.close();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const again = await openChainFile(file);
    expect(await again.read()).toEqual(['{"id":"b"}', '{"id":"a/1"}']);
    again.close();
  });

  test('a lane that was given back is written no more', async () => {
    await writeFile(file, LANE, { mode: 0o600 });
    const chains = await openChainFile(file);
    const held = await chains.take();
    held.release();
    held.release();
    expect(await rejectionOf(held.write('{}'))).toMatchObject({ code: 'key_unusable' });
    chains.close();
  });

  test.each([
    ['no JSON', 'secret'],
    ['another version', '{"version":2,"lanes":[]}'],
    ['no lanes', '{"version":1}'],
    ['null', 'null'],
  ])('key_unusable, never quoted, and not locked afterwards: %s', async (_title, text) => {
    await writeFile(file, text, { mode: 0o600 });
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const thrown = await rejectionOf(openChainFile(file));
      expect(thrown).toMatchObject({ code: 'key_unusable', message: expect.stringContaining('expected the chains') });
      expect((thrown as Error).message).not.toContain('secret');
    }
  });

  test('key_unusable when others may read it', async () => {
    await writeFile(file, LANE, { mode: 0o600 });
    await chmod(file, 0o640);
    expect(await rejectionOf(openChainFile(file))).toMatchObject({ message: expect.stringContaining('0600') });
  });

  test('key_unusable when it can not be written, and the next write passes', async () => {
    await writeFile(file, LANE, { mode: 0o600 });
    const chains = await openChainFile(file);
    const held = await chains.take();
    await chmod(folder, 0o500);
    const isRoot = process.getuid?.() === 0;
    const outcome = await held.write('{"id":"b"}').then(
      () => 'kept',
      (thrown: { code: string }) => thrown.code,
    );
    expect(outcome).toBe(isRoot ? 'kept' : 'key_unusable');
    await chmod(folder, 0o700);
    await held.write('{"id":"c"}');
    chains.close();
    expect(await readFile(file, 'utf8')).toContain('"c"');
  });
});

describe('the lock', () => {
  test('key_unusable to a second one in this process, until the first is closed', async () => {
    const chains = await openChainFile(file);
    expect(await rejectionOf(openChainFile(file))).toMatchObject({ code: 'key_unusable' });
    chains.close();
    chains.close();
    (await openChainFile(file)).close();
  });

  test('key_unusable while another process has it; free when that was killed', async () => {
    const child = start('', 'hold');
    await opened(child);
    expect(await rejectionOf(openChainFile(file))).toMatchObject({
      message: expect.stringContaining('another process'),
    });
    child.kill('SIGKILL');
    await once(child, 'close');
    (await openChainFile(file)).close();
  });

  test('a process that ends by itself leaves no lock', async () => {
    const child = start('http://127.0.0.1:1', 'once');
    await ended(child); // There is nothing to send to.
    expect(await rejectionOf(readFile(`${file}.lock`))).toMatchObject({ code: 'ENOENT' });
  });

  test.each([
    ['of another host', JSON.stringify({ pid: 1, host: 'elsewhere' })],
    ['of a process that runs', JSON.stringify({ pid: process.ppid, host: hostname() })],
    ['that is being written', ''],
    ['of nobody knows whom', '{"pid":"1"}'],
  ])('key_unusable with a lock %s', async (_title, text) => {
    await writeFile(`${file}.lock`, text);
    expect(await rejectionOf(openChainFile(file))).toMatchObject({ code: 'key_unusable' });
    expect(await readFile(`${file}.lock`, 'utf8')).toBe(text);
  });

  test('of several that find a lock left over exactly one gets it', async () => {
    const gone = start('', 'hold');
    await opened(gone);
    gone.kill('SIGKILL');
    await once(gone, 'close');
    const racers = Array.from({ length: isLong ? 16 : 5 }, () => start('', 'hold'));
    const outcomes = await Promise.all(
      racers.map((child) =>
        Promise.race([opened(child).then(() => 'open'), once(child, 'close').then(() => 'refused')]),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'open')).toHaveLength(1);
  }, 60_000);
});

describe('a client that is killed', () => {
  let gateway: Gateway;
  let chains: ChainFile;

  beforeEach(async () => {
    const clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
    const world = createSchemeWorld(timeScrambled, { clock, settings: { window: '300s' } });
    gateway = await openGateway(world);
    chains = await openChainFile(file);
    const invited = { scheme: 'time-scrambled', user: 'alice', replace: false, ttlMs: 60_000 };
    const { token: invitation } = await world.resources.invitations.issue('default', invited);
    await enrolChains(issuerOf(world), chains, { id: 'client-1', length: 4096, lanes: 1, invitation });
    chains.close();
  });
  afterEach(() => gateway.close());

  const shown = () =>
    gateway.judged.map((parts) => parseAuthHeader(headerOf(parts, 'authorization')).params.get('n') as number);

  test.each([
    'before token is kept',
    'while token is kept',
    'after token is kept',
    'before it is sent',
    'while it is sent',
    'after it is answered',
    'before answer is kept',
    'while answer is kept',
    'after answer is kept',
  ])(
    '%s: shows no token twice, and the next one passes',
    async (step) => {
      expect((await ended(start(gateway.url, 'once'))).out).toBe('open\n200\n');
      expect((await ended(start(gateway.url, step))).signal).toBe('SIGKILL');
      const { out, error } = await ended(start(gateway.url, 'once'));
      expect([out, error]).toEqual(['open\n200\n', '']);
      const indices = shown();
      expect(indices).toEqual([...new Set(indices)].toSorted((a, b) => b - a));
    },
    60_000,
  );

  test('at any time, over and over: shows no token twice', async () => {
    for (let round = 0; round < (isLong ? 100 : 4); round += 1) {
      const child = start(gateway.url, '');
      // Two answers at least, and then somewhere between two others.
      for (let answers = 0; answers < 3; answers += 1) await opened(child);
      await sleep(Math.random() * 30);
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    expect((await ended(start(gateway.url, 'once'))).out).toBe('open\n200\n');
    const indices = shown();
    expect(indices.length).toBeGreaterThan(8);
    expect(indices).toEqual([...new Set(indices)].toSorted((a, b) => b - a));
  }, 120_000);
});
