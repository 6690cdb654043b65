/** The image at work: allowed, refused, without Redis, replaced under load. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { docker } from '../../scripts/docker.ts';
import type { Client } from '../../src/client/index.ts';
import { openWorld, type World } from './world.ts';

const BODY = '{"amount":50}';
const REPLACEMENTS = process.env['COUNTERSIGN_LONG'] === '1' ? 20 : 3;

let world: World;
let alice: Client;
beforeAll(async () => {
  world = await openWorld();
  alice = await world.enter('alice');
  await until(async () => (await alice.fetch('/x')).status === 200); // A store that has just started refuses for a moment.
}, 300_000);
afterAll(() => world?.stop(), 60_000);

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if (await isSo().catch(() => false)) return;
    await sleep(100);
  }
  throw new Error('it never came to be');
}

interface Sent {
  readonly status: number;
  readonly code?: string | undefined;
  readonly retryAfter: string | null;
  readonly subject?: string | undefined;
}

async function send(url: string | URL, init: RequestInit): Promise<Sent> {
  const answer = await fetch(url, init);
  const members = (await answer.json().catch(() => ({}))) as { code?: string; headers?: [string, string][] };
  return {
    status: answer.status,
    code: members.code,
    retryAfter: answer.headers.get('retry-after'),
    subject: members.headers?.find(([name]) => name.toLowerCase() === 'x-auth-subject')?.[1],
  };
}

async function signed(): Promise<(body?: string) => Promise<Sent>> {
  const { url, method, headers } = await alice.signRequest('/transfer', { method: 'POST', body: BODY });
  return (body = BODY) => send(url, { method, headers, body });
}

test('a signed request passes with its identity, once; altered, unsigned and spoofed ones are refused', async () => {
  const first = await signed();
  expect(await first()).toMatchObject({ status: 200, subject: 'alice' });
  expect(await first()).toMatchObject({ status: 401, code: 'replayed' });
  expect(await (await signed())(BODY.replace('50', '5000'))).toMatchObject({ status: 401, code: 'signature_invalid' });
  expect(await send(`${world.url}/transfer`, { headers: { 'x-auth-subject': 'root' } })).toMatchObject({ status: 401 });
});

test('of ten copies sent at once exactly one passes', async () => {
  const copy = await signed();
  const statuses = await Promise.all(Array.from({ length: 10 }, async () => (await copy()).status));
  expect(statuses.filter((status) => status === 200)).toHaveLength(1);
  expect(statuses.filter((status) => status === 401)).toHaveLength(9);
});

test('without Redis 503 with retry-after; when it is back without its memory, what was used before stays used', async () => {
  const used = await signed();
  expect(await used()).toMatchObject({ status: 200 });
  const held = await signed();
  await docker(['stop', '--time', '0', world.redis.getId()]);
  const without = await held();
  expect(without).toMatchObject({ status: 503, retryAfter: expect.stringMatching(/^[0-9]+$/) });

  await docker(['start', world.redis.getId()]);
  // Users were in Redis, too.
  await until(async () => {
    alice = await world.enter('alice-again');
    return true;
  });
  await until(async () => (await alice.fetch('/x')).status === 200);
  expect((await used()).status).not.toBe(200);
  expect((await held()).status).not.toBe(200); // Made before the loss: it may have been used.
}, 120_000);

test('process 1 reaps: a worker that is killed inside leaves no zombie, and another takes its place', async () => {
  const look = `
    const { readdirSync, readFileSync } = require('node:fs');
    const stats = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
      .map((name) => readFileSync('/proc/' + name + '/stat', 'utf8').split(' '));
    console.log(JSON.stringify(stats.map(([pid, , state, parent]) => ({ pid: Number(pid), state, parent: Number(parent) }))));`;
  const node = (script: string) => docker(['exec', world.first.getId(), '/usr/local/bin/node', '--eval', script]);
  const workers = async () => {
    const all = JSON.parse(await node(look)) as { pid: number; state: string; parent: number }[];
    expect(all.filter(({ state }) => state === 'Z')).toEqual([]);
    return all.filter(({ parent }) => parent === 1).map(({ pid }) => pid);
  };
  const before = await workers();
  expect(before).toHaveLength(3);
  await node(`process.kill(${before[0]}, 'SIGKILL')`);
  await until(async () => (await workers()).filter((pid) => !before.includes(pid)).length === 1);
  await until(async () => (await alice.fetch('/x')).status === 200);
}, 60_000);

test(`${REPLACEMENTS} rolling replacements under load: no failed Check, no proof twice, each ends with 0 (OP-08)`, async () => {
  await sleep(500); // Envoy writes its log every 100 ms.
  const before = (await world.failures()).length; // Of the time without Redis.
  const statuses: Record<string, number> = {};
  let passedTwice = 0;
  const over = new AbortController();
  const lane = async () => {
    for (let count = 0; !over.signal.aborted; count += 1) {
      const request = await signed().catch(() => undefined);
      if (request === undefined) continue; // Logins go to whom DNS names; Checks are what must not fail.
      const sent = count % 5 === 0 ? await Promise.all([request(), request()]) : [await request()];
      if (sent.filter(({ status }) => status === 200).length > 1) passedTwice += 1;
      const status = String((sent.find((one) => one.status === 200) ?? sent[0])?.status);
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  };
  const loading = Promise.all([lane(), lane(), lane()]);
  const codes: number[] = [];
  let oldest = world.first;
  for (let round = 0; round < REPLACEMENTS; round += 1) {
    const next = await world.addCountersign();
    // As whoever rolls out does: it has been well for a while.
    for (let well = 0; well < 10; await sleep(100)) well = (await world.healthy()) === 2 ? well + 1 : 0;
    codes.push(await world.end(oldest));
    oldest = next;
  }
  over.abort();
  await loading;
  expect((await world.failures()).slice(before)).toEqual([]);
  expect({ statuses: Object.keys(statuses), passedTwice }).toEqual({ statuses: ['200'], passedTwice: 0 });
  expect(statuses['200']).toBeGreaterThan(REPLACEMENTS * 5);
  expect(codes).toEqual(codes.map(() => 0));
}, 1_200_000);
