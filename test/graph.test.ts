/** What a reload takes over, and what a refused one leaves behind: nothing. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { buildGraph, type Graph, type GraphParts } from '../src/graph.ts';
import type { KeyUse } from '../src/core/keyring.ts';
import { createSignatures, generateKeyPair } from '../src/crypto/signatures.ts';
import { formatRing } from '../src/keys/ring.ts';
import { writeRingFile } from '../src/keys/ring-file.ts';
import { createMemoryStore } from '../src/store/memory.ts';
import { BASE, load } from './config/config-under-test.ts';
import { createFakeClock } from './support/fake-clock.ts';
import { ringWith } from './support/key-ring.ts';
import { quietObserver } from './support/quiet-observer.ts';

let folder: string;
let told: string[];
const graphs: Graph[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cs-graph-'));
  told = [];
});

afterEach(async () => {
  for (const graph of graphs.splice(0)) graph.close();
  await rm(folder, { recursive: true });
});

/** Everything that is told to `events`, by name. */
const events = new Proxy({} as GraphParts['events'], {
  get: (_target, name) => () => void told.push(String(name)),
});

async function build(more: string, previous?: Graph, base = BASE): Promise<Graph> {
  const clock = createFakeClock(1_700_000_000_000);
  const graph = await buildGraph({
    loaded: load(base + more),
    previous,
    store: createMemoryStore({ clock, skewMs: 5000, maxEntries: 1000, fresh: true, observer: quietObserver }),
    signatures: createSignatures({ mode: 'sync' }),
    events,
    adminFacts: {} as GraphParts['adminFacts'],
  });
  graphs.push(graph);
  return graph;
}

async function ringFile(name: string, use: KeyUse = 'challenge-mac'): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, formatRing(ringWith(use)), { mode: 0o600 });
  return file;
}

const keys = (file: string, more = '') => `keys: {ringFile: ${file}, reloadInterval: 1s}\n${more}`;

test('a ring whose file and uses are the same is taken over; it is not told of again', async () => {
  const file = await ringFile('ring.json');
  const first = await build(keys(file));
  const second = await build(keys(file, 'log: {level: debug}\n'), first);
  first.close(second);
  expect(second.keyring).toBe(first.keyring);
  expect(told).toEqual(['keysChanged']);
});

test('a ring is opened anew where other uses are needed: the file must have them from now on', async () => {
  const file = await ringFile('ring.json');
  const first = await build(keys(file));
  const stateless = BASE.replace('{challenge-signature: {}}', '{challenge-signature: {challenges: stateless}}');
  expect(stateless).not.toBe(BASE);
  const second = await build(keys(file), first, stateless);
  expect(second.requiredUses).not.toEqual(first.requiredUses);
  expect(second.keyring).not.toBe(first.keyring);
});

test('of a refused configuration nothing stays: its ring is not watched, and the ring in force still is', async () => {
  const [inForce, refused] = [await ringFile('ring.json'), await ringFile('other.json')];
  const first = await build(keys(inForce));
  const users = join(folder, 'users.json');
  await writeFile(users, '{"users":[{}]}');
  await expect(build(keys(refused, `directory: {file: ${users}}\n`), first)).rejects.toThrow('directory.file');
  told = [];
  await writeRingFile(refused, ringWith('challenge-mac'));
  await sleep(1500);
  expect(told).toEqual([]);
  await writeRingFile(inForce, ringWith('challenge-mac'));
  for (let look = 0; look < 100 && told.length === 0; look += 1) await sleep(50);
  expect(told).toEqual(['keysChanged']);
});

test('a refused configuration that shares the ring in force leaves it open', async () => {
  const file = await ringFile('ring.json');
  const first = await build(keys(file));
  const users = join(folder, 'users.json');
  await writeFile(users, '{"users":[{}]}');
  await expect(build(keys(file, `directory: {file: ${users}}\n`), first)).rejects.toThrow('directory.file');
  told = [];
  await writeRingFile(file, ringWith('challenge-mac'));
  for (let look = 0; look < 100 && told.length === 0; look += 1) await sleep(50);
  expect(told).toEqual(['keysChanged']);
});

describe('the directory of users', () => {
  const users = (attributes = '{}') => `{"users":[{"user":"alice","attributes":${attributes},"keys":[]}]}`;
  const settings = (file: string, cacheTtl = '5s') => `directory: {file: ${file}, cacheTtl: ${cacheTtl}}\n`;
  let file: string;
  let first: Graph;

  beforeEach(async () => {
    file = join(folder, 'users.json');
    await writeFile(file, users());
    first = await build(settings(file));
  });

  test('is taken over with its cache where its settings and its file say the same', async () => {
    await writeFile(file, `${users()}\n`);
    const second = await build(`${settings(file)}log: {level: debug}\n`, first);
    expect(second.directory).toBe(first.directory);
  });

  test('is made anew where its file has changed', async () => {
    await writeFile(file, users('{"role":"admin"}'));
    const second = await build(settings(file), first);
    expect(await second.directory.user('default', 'alice')).toMatchObject({ attributes: { role: 'admin' } });
    expect(await first.directory.user('default', 'alice')).toMatchObject({ attributes: {} });
  });

  test('is made anew where its settings have changed', async () => {
    const second = await build(settings(file, '6s'), first);
    expect(second.directory).not.toBe(first.directory);
  });

  test('is made anew where other schemes have public keys, to which the keys of the file are given', async () => {
    const key = generateKeyPair('Ed25519').publicJwk;
    await writeFile(file, JSON.stringify({ users: [{ user: 'alice', keys: [{ kid: 'k1', jwk: key }] }] }));
    const others = settings(file) + keys(await ringFile('ring.json', 'token-signing'));
    const before = await build(others);
    const more = BASE.replace('challenge-signature: {}', 'challenge-signature: {}, client-challenge: {}').replace(
      'issuer: {',
      'issuer: {url: "https://auth.example.com", ',
    );
    const after = await build(others, before, more);
    expect((await after.directory.user('default', 'alice'))?.keys[0]?.uses).toContain('client-challenge');
  });
});

describe('the limits', () => {
  const LIMITED = 'rateLimit: {perCredential: {rate: 1/h, burst: 1}}\n';
  const charge = ({ limits }: Graph) => limits.credential('10.0.0.1', 'challenge-signature', 'alice');

  test('a bucket that is empty stays so over a reload: else each would be another burst of guesses', async () => {
    const first = await build(LIMITED);
    charge(first);
    const second = await build(`${LIMITED}log: {level: debug}\n`, first);
    expect(() => charge(second)).toThrow('bucket empty');
  });

  test.each([
    ['a general one', LIMITED.replace('burst: 1', 'burst: 2'), BASE],
    ["one of a scheme's", LIMITED, BASE.replace('challenge-signature: {}', 'challenge-signature: {lifetime: 31s}')],
  ])('buckets are full again when %s changed', async (_title, more, base) => {
    const first = await build(LIMITED);
    charge(first);
    charge(await build(more, first, base));
  });
});
