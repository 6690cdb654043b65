/** The verifier's guards beside those that every scheme has: windows, horizon, heads, renewal, first use, buckets, answers. */
import { describe, expect, test } from '@jest/globals';
import { StoreFault, type Fault } from '../../../src/core/fault.ts';
import type { Key } from '../../../src/core/store.ts';
import { sha512 } from '../../../src/crypto/digest.ts';
import { parseAuthHeader } from '../../../src/encoding/auth-header.ts';
import { toHex, utf8 } from '../../../src/encoding/bytes.ts';
import { createFirstUses } from '../../../src/schemes/time-scrambled/first-use.ts';
import { timeScrambled } from '../../../src/schemes/time-scrambled/index.ts';
import {
  formatProof,
  parseProof,
  type Profile,
  type Resync,
  xor,
} from '../../../src/schemes/time-scrambled/message.ts';
import { windowOf } from '../../../src/schemes/time-scrambled/message-window.ts';
import { parseRecord, type ChainRecord } from '../../../src/schemes/time-scrambled/record.ts';
import { headerOf } from '../../conformance/scheme.ts';
import { authRequest, newCheckId, type RequestParts, withHeader } from '../../support/auth-request.ts';
import { checkCall } from '../../support/check-call.ts';
import { ringWith } from '../../support/key-ring.ts';
import { codeOf, denialOf, faultOf, outcomeOf } from '../../support/refused.ts';
import { createSchemeWorld, SKEW_MS, type SchemeWorld, type WorldOptions } from '../../support/scheme-world.ts';
import { storesUnderTest } from '../../support/stores.ts';
import { writesOf } from '../../support/watched-store.ts';
import { answerTo, exchange, REQUEST } from './exchange.ts';
import { change, type Client, type ClientWish, enrolled, laneOf, NAME, proven } from './prover.ts';

const WINDOW_MS = 30_000;
const MANY = { resync: { rate: '1000/s', burst: 1000 } };

async function setup(profile: Profile, settings: object = {}, wish: ClientWish = {}, options: WorldOptions = {}) {
  const world = createSchemeWorld(timeScrambled, {
    ...options,
    settings: { profiles: [profile], limits: MANY, ...settings },
  });
  return { world, client: await enrolled(world, wish) };
}

const keyOf = (world: SchemeWorld, id = 'client-1') => world.resources.storeKey('h', 'default', 'chain', id);

async function recordOf(world: SchemeWorld, id?: string): Promise<ChainRecord> {
  return parseRecord((await world.store.get(keyOf(world, id))) ?? '') as ChainRecord;
}

async function putBack(world: SchemeWorld, text: string | null): Promise<void> {
  await world.store.swap(keyOf(world), await world.store.get(keyOf(world)), text ?? '', Infinity);
}

/** The same token, moved to another window by pads that everybody can compute. */
function rescrambled(parts: RequestParts, fromMs: number, toMs: number): RequestParts {
  const { chain: _, ...proof } = parseProof(parseAuthHeader(headerOf(parts, 'authorization')).params, 65_536);
  const pad = (ms: number) => sha512(utf8(String(windowOf(ms, WINDOW_MS))));
  const x1 = xor(xor(proof.x1, pad(fromMs)), pad(toMs));
  const parity = windowOf(toMs, WINDOW_MS) % 2 === 0 ? 0 : 1;
  return withHeader(parts, 'authorization', formatProof({ ...proof, x1, parity }));
}

describe('a token that was caught and held back', () => {
  test('seed: re-scrambled it passes at any time until a newer one comes: the window is no border there', async () => {
    const { world, client } = await setup('seed');
    const caught = await proven(world, client, REQUEST);
    const fromMs = world.clock.nowMs();
    world.clock.advance(24 * 3_600_000);
    expect(await codeOf(world.judge(caught))).toBe('out_of_sync');
    expect(await outcomeOf(world.judge(rescrambled(caught, fromMs, world.clock.nowMs())))).toBe('allow');
  });

  test('seed: after a newer one it is replayed, however it is scrambled', async () => {
    const { world, client } = await setup('seed');
    const caught = await proven(world, client, REQUEST);
    expect(await exchange(world, client)).toBe('allow');
    const fromMs = world.clock.nowMs();
    world.clock.advance(10 * WINDOW_MS);
    expect(await codeOf(world.judge(rescrambled(caught, fromMs, world.clock.nowMs())))).toBe('replayed');
  });

  test('keyed: neither as it is nor re-scrambled, signature_invalid', async () => {
    const { world, client } = await setup('keyed');
    const caught = await proven(world, client, REQUEST);
    const fromMs = world.clock.nowMs();
    world.clock.advance(3 * WINDOW_MS);
    for (const parts of [caught, rescrambled(caught, fromMs, world.clock.nowMs())])
      expect(await codeOf(world.judge(parts))).toBe('signature_invalid');
  });
});

describe.each(['keyed', 'seed'] as const)('%s', (profile) => {
  test.each(storesUnderTest.map((store) => [store.title, store] as const))(
    'of 64 different tokens at once on one lane heads only move forward and no token passes twice, on %s',
    async (_title, under) => {
      const store = await under.open();
      try {
        const clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
        const settings = { window: '2s', allowAhead: true, maxSkip: 2000 };
        const { world, client } = await setup(profile, settings, {}, { store, clock });
        while (world.store.horizonMs() + 4_000 > clock.nowMs())
          await new Promise((resolve) => setTimeout(resolve, 100));
        const tokens = [];
        for (let token = 0; token < 64; token += 1) tokens.push(await proven(world, client, REQUEST));
        const outcomes = await Promise.all(tokens.map((parts) => outcomeOf(world.judge(parts))));
        expect(outcomes).toContain('allow');
        expect(['allow', 'replayed', 'out_of_sync']).toEqual(expect.arrayContaining([...new Set(outcomes)]));
        const { index, head } = await recordOf(world);
        const again = await Promise.all(tokens.map((parts) => outcomeOf(world.judge(parts))));
        for (const [at, outcome] of again.entries()) expect([outcomes[at], outcome]).not.toEqual(['allow', 'allow']);
        const after = await recordOf(world);
        expect(after.index).toBeLessThanOrEqual(index ?? 0);
        if (after.index === index) expect(toHex(after.head)).toBe(toHex(head));
      } finally {
        await store.close();
      }
    },
    60_000,
  );

  test('index 1 is the last: below it nothing passes, whatever the header says', async () => {
    const { world, client } = await setup(profile, {}, { length: 3 });
    const first = await change(client, (lane) => ({ ...lane, chain: { ...lane.chain, next: 1 } }));
    // A renewal would be due; it is not what this is about.
    const parts = await proven(world, first, REQUEST);
    const { s, n } = Object.fromEntries(parseAuthHeader(headerOf(parts, 'authorization')).params);
    expect([s, n]).toEqual([profile === 'keyed' ? 1 : 0, 1]);
    expect(await outcomeOf(world.judge(parts))).toBe('allow');
  });

  test('every 401 tells the server time, but for credentials_missing; 403 and 429 do not', async () => {
    const { world, client } = await setup(profile, { limits: { resync: { rate: '1/s', burst: 1 } } });
    const parts = await proven(world, client, REQUEST);
    await world.judge(parts);
    const timeOf = async (judged: Promise<unknown>) =>
      (await denialOf(judged)).options.replyHeaders?.find(([name]) => name === 'auth-server-time')?.[1];
    const now = String(world.clock.nowMs());
    expect(await timeOf(world.judge(withHeader(parts, 'authorization', 'TimeScrambled x')))).toBe(now);
    expect(await timeOf(world.judge(parts))).toBe(now); // replayed
    const limited = await denialOf(world.judge(parts));
    expect([limited.code, limited.options.replyHeaders]).toEqual(['rate_limited', undefined]);
    expect(await timeOf(world.judge(withHeader(parts, 'authorization', undefined)))).toBeUndefined();
  });

  test('of answers that show the head five pass at once from one address and chain, then rate_limited; another address has its own', async () => {
    const { world, client } = await setup(profile, { limits: {} });
    const parts = await proven(world, client, REQUEST);
    await world.judge(parts);
    const codes = [];
    for (let answer = 0; answer < 6; answer += 1) codes.push(await codeOf(world.judge(parts)));
    expect(codes).toEqual([...Array<string>(5).fill('replayed'), 'rate_limited']);
    expect(await codeOf(world.judge({ ...parts, source: '203.0.113.10' }))).toBe('replayed');
    expect(await exchange(world, client)).toBe('allow');
    world.clock.advance(1000);
    expect(await codeOf(world.judge(parts))).toBe('replayed');
  });

  test('the retry of a Check that renewed the chain is told so again', async () => {
    const { world, client } = await setup(profile, {}, { length: 40 });
    while ((await laneOf(client)).renewal === null && (await laneOf(client)).old === null) {
      const checkId = newCheckId();
      const parts = await proven(world, client, REQUEST);
      const answers = [];
      for (let attempt = 0; attempt < 2; attempt += 1)
        answers.push((await world.judge(parts, { checkId })).replyHeaders?.[0]?.[1]);
      expect(answers[1]).toBe(answers[0]);
    }
  });

  test('another token under the id of a Check that has passed is no retry of it', async () => {
    const { world, client } = await setup(profile);
    const [first, second] = [await proven(world, client, REQUEST), await proven(world, client, REQUEST)];
    const checkId = newCheckId();
    await world.judge(first, { checkId });
    const { retried } = await world.judge(second, { checkId });
    expect([retried, (await recordOf(world)).index]).toEqual([false, 2046]);
    expect(await codeOf(world.judge(first, { checkId }))).toBe('replayed');
  });

  test('a retry that nobody waits for any more is a fault, and touches nothing', async () => {
    const { world, client } = await setup(profile);
    const parts = await proven(world, client, REQUEST);
    const checkId = newCheckId();
    await world.judge(parts, { checkId });
    const call = checkCall();
    call.signal.aborted = true;
    world.store.calls.length = 0;
    const judged = async () =>
      world.scheme.verify(authRequest(parts, world.clock.nowMs(), checkId), world.policy(), call);
    expect((await faultOf(judged())).reason).toBe('deadline');
    expect(writesOf(world.store)).toEqual([]);
  });

  test('beginnings and renewals wait for replicas, ordinary requests do not', async () => {
    const durable: boolean[] = [];
    const { world, client } = await setup(profile, {}, { length: 40 });
    const swap = world.store.swap.bind(world.store);
    world.store.swap = (key: Key, ...rest) => {
      durable.push(key.durable);
      return swap(key, ...rest);
    };
    for (let request = 0; request < 9; request += 1) expect(await exchange(world, client)).toBe('allow');
    expect(durable.filter(Boolean)).toHaveLength(profile === 'keyed' ? 1 : 2);
    expect(durable.slice(0, 7)).toEqual(Array<boolean>(7).fill(false));
  });

  test('a renewal that too few replicas had is refused again, as a fault, when the proxy repeats the Check', async () => {
    const { world, client } = await setup(profile, {}, { length: 40 });
    for (let request = 0; request < 7; request += 1) expect(await exchange(world, client)).toBe('allow');
    const swap = world.store.swap.bind(world.store);
    world.store.swap = async (key: Key, ...rest) => {
      const isDone = await swap(key, ...rest);
      if (key.durable) throw new StoreFault('not_replicated', 'of the test');
      return isDone;
    };
    const parts = await proven(world, client, REQUEST);
    const checkId = newCheckId();
    for (let time = 0; time < 2; time += 1)
      expect((await faultOf(world.judge(parts, { checkId }))).reason).toBe('not_replicated');
    world.store.swap = swap;
    await world.judge(parts, { checkId });
  });

  test('a user who is disabled, deleted or of another epoch is revoked', async () => {
    for (const changed of [{ disabled: true }, { deleted: true }, { epoch: 1 }]) {
      const { world, client } = await setup(profile);
      await world.users.update('default', 'alice', (record) => record && { ...record, ...changed });
      expect(await exchange(world, client)).toBe('revoked');
    }
  });

  test('a record that is damaged is a fault, never an unknown chain', async () => {
    const { world, client } = await setup(profile);
    await putBack(world, '{"v":1}');
    expect((await faultOf(world.judge(await proven(world, client, REQUEST)))).reason).toBe('protocol');
  });

  test('a record that is being removed counts as none', async () => {
    const { world, client } = await setup(profile);
    await putBack(world, '{}');
    const code = profile === 'keyed' ? 'unknown_credential' : 'out_of_sync';
    expect(await codeOf(world.judge(await proven(world, client, REQUEST)))).toBe(code);
  });

  test('a rescue needs the very next token', async () => {
    const { world, client } = await setup(profile, {}, { length: 200 });
    const { chain } = await laneOf(client);
    const other = (await laneOf(await enrolledElsewhere())).chain;
    const rescuing = await change(client, (lane) => ({
      ...lane,
      renewal: { chain: other, order: 2, index: chain.next - 1, isAcknowledged: false },
    }));
    expect(await codeOf(world.judge(await proven(world, rescuing, REQUEST)))).toBe('out_of_sync');
    const right = await change(client, (lane) => ({
      ...lane,
      renewal: { chain: other, order: 2, index: chain.next, isAcknowledged: false },
    }));
    expect(await outcomeOf(world.judge(await proven(world, right, REQUEST)))).toBe('allow');

    async function enrolledElsewhere(): Promise<Client> {
      return (await setup(profile, {}, { length: 200 })).client;
    }
  });

  test('how clients stand to the head is counted', async () => {
    const { world, client } = await setup(profile, { maxSkip: 2 });
    const counted: unknown[] = [];
    Object.assign(world.resources, {
      count: (name: string, labels: { outcome: string }) => counted.push([name, labels.outcome]),
    });
    const far = await change(client, (lane) => ({ ...lane, chain: { ...lane.chain, next: 2000 } }));
    await outcomeOf(world.judge(await proven(world, far, REQUEST)));
    const parts = await proven(world, client, REQUEST);
    await world.judge(parts);
    await outcomeOf(world.judge(parts));
    for (let request = 0; request < 4; request += 1) await exchange(world, client);
    await outcomeOf(world.judge(parts));
    const outcomes = ['ahead', 'replay', 'behind'].map((outcome) => ['time_scrambled_resyncs_total', outcome]);
    expect(counted).toEqual(outcomes);
  });
});

describe('after the store has lost its memory', () => {
  test('keyed: recovering until the first window that can pass, then old windows are stale and new tokens pass; nothing passes twice', async () => {
    const { world, client } = await setup('keyed');
    const before = await world.store.get(keyOf(world));
    const used: RequestParts[] = [];
    for (let request = 0; request < 10; request += 1)
      await exchange(world, client, { judged: (parts) => used.push(parts) });
    // Rolled back by ten tokens.
    await putBack(world, before);
    const horizon = world.clock.nowMs() + SKEW_MS;
    world.store.horizon = horizon;
    const allowed: string[] = [];
    for (let waitedMs = 0; waitedMs <= 4 * WINDOW_MS; waitedMs += 1_000) {
      for (const parts of used) {
        const outcome = await outcomeOf(world.judge(parts)).catch((fault: Fault) => fault.reason);
        if (outcome === 'allow') allowed.push(`${waitedMs} ms`);
      }
      world.clock.advance(1_000);
    }
    expect(allowed).toEqual([]);
    expect(await exchange(world, client)).toBe('allow');
  });

  test.each([true, false])(
    'keyed: with allowAhead %s the seconds to wait are those until a new token passes',
    async (allowAhead) => {
      const { world, client } = await setup('keyed', { allowAhead });
      world.store.horizon = world.clock.nowMs() + 1_234;
      const fault = await faultOf(world.judge(await proven(world, client, REQUEST)));
      expect(fault.reason).toBe('recovering');
      world.clock.advance(fault.retryAfterSeconds * 1000 - 1000);
      expect((await faultOf(world.judge(await proven(world, client, REQUEST)))).reason).toBe('recovering');
      world.clock.advance(1000);
      expect(await outcomeOf(world.judge(await proven(world, client, REQUEST)))).toBe('allow');
    },
  );

  test('keyed: a token of a window that may have been spent before is stale while a new one passes', async () => {
    const { world, client } = await setup('keyed', { allowAhead: false });
    const old = await proven(world, client, REQUEST);
    const window = windowOf(world.clock.nowMs(), WINDOW_MS);
    world.clock.advance((window + 1) * WINDOW_MS - world.clock.nowMs());
    world.store.horizon = window * WINDOW_MS + 1;
    expect(await codeOf(world.judge(old))).toBe('stale');
    expect(await outcomeOf(world.judge(await proven(world, client, REQUEST)))).toBe('allow');
  });

  test('seed: out_of_sync until enrolled again, however long; with afterLoss: resume it goes on, used tokens included', async () => {
    for (const [afterLoss, outcome] of [
      ['enrol', 'out_of_sync'],
      ['resume', 'allow'],
    ] as const) {
      const { world, client } = await setup('seed', { afterLoss });
      const used = await proven(world, client, REQUEST);
      const before = await world.store.get(keyOf(world));
      await world.judge(used);
      await putBack(world, before);
      world.store.horizon = world.clock.nowMs() + SKEW_MS;
      expect(await outcomeOf(world.judge(used))).toBe(outcome);
      world.clock.advance(SKEW_MS);
      expect(await exchange(world, client, { repeats: 0 })).toBe(outcome);
      const again = await enrolled(world, { id: 'client-2' });
      expect(await exchange(world, again)).toBe('allow');
    }
  });

  test('seed: not even a retried Check passes on a record from before', async () => {
    const { world, client } = await setup('seed');
    const parts = await proven(world, client, REQUEST);
    const checkId = newCheckId();
    await world.judge(parts, { checkId });
    world.store.horizon = world.clock.nowMs() + SKEW_MS;
    expect(await codeOf(world.judge(parts, { checkId }))).toBe('replayed');
  });

  test('seed: a chain from before and one that never was tell the same to who shows them their own head', async () => {
    const { world, client } = await setup('seed');
    world.store.horizon = world.clock.nowMs() + SKEW_MS;
    world.clock.advance(SKEW_MS);
    for (const id of ['client-1', 'nobody']) {
      const parts = await proven(world, await change(client, (lane) => ({ ...lane, id })), REQUEST);
      const { code, value } = await answerTo(world, parts);
      // The pads are those of the token.
      const [, y1 = ''] = /y1="([0-9a-f]*)"/.exec(value) ?? [];
      const again = headerOf(parts, 'authorization').replace(/x1="[0-9a-f]*"/, `x1="${y1}"`);
      const codes = [code, await codeOf(world.judge(withHeader(parts, 'authorization', again)))];
      expect([id, ...codes]).toEqual([id, 'out_of_sync', 'replayed']);
    }
  });
});

describe('seed: first use', () => {
  async function unknown(settings: object = {}) {
    const { world } = await setup('seed', { seedFirstUse: 'permit', ...settings }, { id: 'other' });
    const { client } = await setup('seed', {}, { user: 'whoever' });
    return { world, client };
  }
  const permit = (world: SchemeWorld) => createFirstUses(world.resources).permit('default', 60_000);

  test('without a permit, out_of_sync; with one the first token becomes the head and says so upstream', async () => {
    const { world, client } = await unknown();
    expect(await codeOf(world.judge(await proven(world, client, REQUEST)))).toBe('out_of_sync');
    await permit(world);
    const noticed: unknown[] = [];
    Object.assign(world.resources, { notice: (...told: unknown[]) => noticed.push(told) });
    const { subject, attributes } = await world.judge(await proven(world, client, REQUEST));
    expect(noticed).toEqual([['first_use', 'client-1']]);
    expect([subject, attributes]).toEqual(['client-1', { auth: { profile: 'seed', first_use: true } }]);
    expect(await recordOf(world)).toMatchObject({ index: null, user: 'client-1', isFirstUse: true });
    const next = await world.judge(await proven(world, client, REQUEST));
    expect(next.attributes).toEqual({ auth: { profile: 'seed', first_use: true } });
  });

  test('where it is denied a permit changes nothing', async () => {
    const { world, client } = await unknown({ seedFirstUse: 'deny' });
    await permit(world);
    expect(await codeOf(world.judge(await proven(world, client, REQUEST)))).toBe('out_of_sync');
  });

  test('a flush takes the permit with it, and a known chain is never begun anew', async () => {
    const { world, client } = await unknown();
    await permit(world);
    const first = await proven(world, client, REQUEST);
    await world.judge(first);
    expect(await codeOf(world.judge(first))).toBe('replayed');
    await world.store.delete(keyOf(world));
    await world.store.delete(world.resources.storeKey('o', 'default', 'first-use'));
    expect(await codeOf(world.judge(await proven(world, client, REQUEST)))).toBe('out_of_sync');
  });

  test('none while the horizon lies ahead: such a chain would be out_of_sync for good', async () => {
    const { world, client } = await unknown();
    await permit(world);
    world.store.horizon = world.clock.nowMs() + 1000;
    expect(await exchange(world, client, { repeats: 0 })).toBe('out_of_sync');
    world.clock.advance(1000);
    for (let request = 0; request < 2; request += 1) expect(await exchange(world, client)).toBe('allow');
  });

  test('nobody becomes a user who exists, or has existed, by naming a chain after him', async () => {
    for (const deleted of [false, true]) {
      const { world, client } = await unknown();
      await permit(world);
      await world.resources.users.ensure('default', 'client-1');
      await world.users.update('default', 'client-1', (record) => record && { ...record, deleted });
      expect(await codeOf(world.judge(await proven(world, client, REQUEST)))).toBe('out_of_sync');
    }
  });

  test('a permit is for 1000 chains and no longer than it says, and who is refused leaves no user', async () => {
    const { world, client } = await unknown();
    await permit(world);
    const key = world.resources.storeKey('o', 'default', 'first-use');
    const untilMs = world.clock.nowMs() + 60_000;
    expect(await world.store.get(key)).toBe(`1000 ${untilMs}`);
    await world.judge(await proven(world, client, REQUEST));
    expect(await world.store.get(key)).toBe(`999 ${untilMs}`);
    await world.store.put(key, `0 ${untilMs}`, 60_000);
    const { client: late } = await setup('seed', {}, { id: 'late', user: 'whoever' });
    expect(await codeOf(world.judge(await proven(world, late, REQUEST)))).toBe('out_of_sync');
    expect(await world.resources.users.current('default', 'late')).toBeNull();
    await permit(world);
    world.clock.advance(59_999);
    await world.judge(await proven(world, late, REQUEST));
    world.clock.advance(1);
    expect(await world.store.get(key)).toBeNull();
  });

  test('eight who come at once all begin their chains', async () => {
    const { world } = await unknown();
    await permit(world);
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, async (_, at) => {
        const { client } = await setup('seed', {}, { id: `c${at}`, user: 'whoever' });
        return outcomeOf(world.judge(await proven(world, client, REQUEST)));
      }),
    );
    expect(outcomes).toEqual(Array<string>(8).fill('allow'));
  });

  test('a keyed chain is not taken over by the form of seed', async () => {
    const settings = { profiles: ['keyed', 'seed'], seedFirstUse: 'permit', limits: MANY };
    const world = createSchemeWorld(timeScrambled, { settings });
    const client = await enrolled(world);
    await permit(world);
    const { client: rival } = await setup('seed');
    expect(await codeOf(world.judge(await proven(world, rival, REQUEST)))).toBe('out_of_sync');
    expect(await exchange(world, client)).toBe('allow');
  });

  test('of two who come first one begins the chain; the other is out of step, and lanes have no first use', async () => {
    const { world, client } = await unknown();
    await permit(world);
    const { client: rival } = await setup('seed');
    const outcomes = await Promise.all(
      [client, rival].map(async (one) => outcomeOf(world.judge(await proven(world, one, REQUEST)))),
    );
    expect(outcomes.toSorted()).toEqual(['allow', 'out_of_sync']);
    const lane = await change(client, (one) => ({ ...one, id: 'client-9/1' }));
    expect(await codeOf(world.judge(await proven(world, lane, REQUEST)))).toBe('out_of_sync');
  });

  test('after a renewal its index is known, and it is still one that was begun by first use', async () => {
    const { world } = await unknown();
    const { client } = await setup('seed', {}, { length: 40 });
    await permit(world);
    for (let request = 0; request < 12; request += 1) expect(await exchange(world, client)).toBe('allow');
    const record = await recordOf(world);
    expect([typeof record.index, record.isFirstUse]).toEqual(['number', true]);
  });
});

describe('keyed: the time key in the store', () => {
  test('is sealed, to its own record: moved to another it is a fault', async () => {
    const { world, client } = await setup('keyed', {}, { lanes: 2 });
    const { timeKey } = await laneOf(client);
    const text = (await world.store.get(keyOf(world))) ?? '';
    expect(text).not.toContain(toHex(timeKey ?? new Uint8Array(0)));
    const other = JSON.parse((await world.store.get(keyOf(world, 'client-1/1'))) ?? '') as { kt: string };
    await putBack(world, JSON.stringify({ ...(JSON.parse(text) as object), kt: other.kt }));
    expect((await faultOf(world.judge(await proven(world, client, REQUEST)))).reason).toBe('sealed');
  });

  test('is sealed anew by the next request after a rotation, and a fault once its key is gone', async () => {
    const { world, client } = await setup('keyed');
    const sealed = async () => (await recordOf(world)).timeKey;
    const [first] = [await sealed()];
    await exchange(world, client);
    expect(await sealed()).toBe(first);
    const fresh = ringWith('wrap', 'pepper');
    const retired = world.ring
      .filter(({ use }) => use === 'wrap')
      .map((key) => ({ ...key, state: 'retired' as const, retireAtMs: Number.MAX_SAFE_INTEGER }));
    const before = world.ring.filter(({ use }) => use !== 'wrap');
    world.ring = [...before, ...fresh.filter(({ use }) => use === 'wrap'), ...retired];
    expect(await exchange(world, client)).toBe('allow');
    const second = await sealed();
    expect(second).not.toBe(first);
    world.ring = world.ring.filter(({ state }) => state !== 'retired');
    expect(await exchange(world, client)).toBe('allow');
    world.ring = fresh.filter(({ use }) => use === 'pepper').concat(ringWith('wrap'));
    expect((await faultOf(world.judge(await proven(world, client, REQUEST)))).reason).toBe('sealed');
  });
});

test('the upstream is told that a proof of seed says nothing about the body, on a retry too', async () => {
  for (const [profile, covers] of [
    ['keyed', undefined],
    ['seed', false],
  ] as const) {
    const { world, client } = await setup(profile);
    const parts = await proven(world, client, REQUEST);
    const checkId = newCheckId();
    for (const retried of [false, true]) expect(await world.judge(parts, { checkId })).toMatchObject({ retried });
    expect((await world.judge(parts, { checkId })).coversBody).toBe(covers);
  }
});

test('a chain of one profile is unknown to the form of the other', async () => {
  const world = createSchemeWorld(timeScrambled, { settings: { profiles: ['keyed', 'seed'], limits: MANY } });
  const client = await enrolled(world);
  const asSeed = await change(client, (lane) => ({ ...lane, profile: 'seed', timeKey: null }));
  expect(await codeOf(world.judge(await proven(world, asSeed, REQUEST)))).toBe('out_of_sync');
  expect(await exchange(world, client)).toBe('allow');
});

test('seed: an unknown chain shows another head in each tenant, as known ones do', async () => {
  const { world, client } = await setup('seed');
  const nobody = await change(client, (lane) => ({ ...lane, id: 'nobody' }));
  const parts = await proven(world, nobody, REQUEST);
  const shown = async (tenant: string) =>
    ((await denialOf(world.judge(parts, { policy: { tenant } }))).options.hint as Resync).y1;
  const heads = [await shown('default'), await shown('other'), await shown('third'), await shown('other')].map(toHex);
  expect(new Set(heads).size).toBe(3);
});

test('a route may take fewer profiles than are enrolled', async () => {
  const { world, client } = await setup('keyed');
  const options = { ...(world.settings as object), profiles: ['seed'] };
  const parts = await proven(world, client, REQUEST);
  expect(await codeOf(world.judge(parts, { policy: { options } }))).toBe('malformed');
});

test('the renewal of a seed chain in one step where it is configured, malformed where not', async () => {
  for (const isAllowed of [true, false]) {
    const { world, client } = await setup('seed', { seedOneStepRenewal: isAllowed }, { length: 40 });
    while ((await laneOf(client)).chain.next > 32) await exchange(world, client);
    const alterRequest = (parts: RequestParts) =>
      withHeader(parts, 'authorization', headerOf(parts, 'authorization').replace(/, c="[0-9a-f]{128}"/, ''));
    expect(await exchange(world, client, { alterRequest })).toBe(isAllowed ? 'allow' : 'malformed');
    expect(await exchange(world, client)).toBe('allow');
  }
});

test('what it is called, needs and counts', () => {
  expect(timeScrambled.name).toBe(NAME);
  const settingsOf = (profiles: string[]) => ({ profiles }) as never;
  expect(timeScrambled.keyUses(settingsOf(['keyed']))).toEqual(['pepper', 'wrap']);
  expect(timeScrambled.keyUses(settingsOf(['seed']))).toEqual(['pepper']);
});

test('keyed: only who knows the key learns where the chain stands', async () => {
  const { world, client } = await setup('keyed');
  const forger = await change(client, (lane) => ({ ...lane, timeKey: new Uint8Array(32) }));
  const refused = await answerTo(world, await proven(world, forger, REQUEST));
  expect(refused.value).toBe('TimeScrambled realm="countersign", error="signature_invalid"');
});
