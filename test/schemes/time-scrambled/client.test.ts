/** The signer against the verifier: lost requests and answers, renewal, backups, forged answers, clocks, lanes. */
import { describe, expect, test } from '@jest/globals';
import { CountersignError } from '../../../src/core/client-error.ts';
import { parseAuthHeader } from '../../../src/encoding/auth-header.ts';
import { timeScrambled } from '../../../src/schemes/time-scrambled/index.ts';
import type { Profile } from '../../../src/schemes/time-scrambled/message.ts';
import { headerOf } from '../../conformance/scheme.ts';
import type { RequestParts } from '../../support/auth-request.ts';
import { bent } from '../../support/bytes.ts';
import { rejectionOf } from '../../support/refused.ts';
import { createSchemeWorld, type SchemeWorld } from '../../support/scheme-world.ts';
import { answerTo, exchange, type Line, REQUEST } from './exchange.ts';
import {
  change,
  clientOf,
  type Client,
  type ClientWish,
  enrolled,
  issuerOf,
  laneOf,
  outgoing,
  proven,
  restored,
  signedBy,
} from './prover.ts';

const HOUR_MS = 3_600_000;
const RENEWALS = 'time_scrambled_renewals_total';

async function setup(profile: Profile, wish: ClientWish = {}, settings: object = {}) {
  const limits = { resync: { rate: '1000/s', burst: 1000 } };
  const world = createSchemeWorld(timeScrambled, { settings: { profiles: [profile], limits, ...settings } });
  return { world, client: await enrolled(world, wish) };
}

const go = (world: SchemeWorld, client: Client, line?: Line) => exchange(world, client, line);

async function times(count: number, run: () => Promise<unknown>): Promise<void> {
  for (let done = 0; done < count; done += 1) await run();
}

const parameters = (parts: RequestParts) => parseAuthHeader(headerOf(parts, 'authorization')).params;

describe.each(['keyed', 'seed'] as const)('%s', (profile) => {
  test('shows one token after the other, each once, and keeps that before it sends', async () => {
    const { world, client } = await setup(profile);
    const shown: unknown[] = [];
    await times(3, async () =>
      expect(await go(world, client, { judged: (parts) => shown.push(parameters(parts).get('n')) })).toBe('allow'),
    );
    expect(shown).toEqual([2047, 2046, 2045]);
    const sent = await client.signer.sign(outgoing(REQUEST), issuerOf(world));
    expect(parameters(signedBy(REQUEST, sent)).get('n')).toBe(2044);
    expect((await laneOf(client)).chain.next).toBe(2043);
  });

  test('goes on after lost requests and lost answers without being asked', async () => {
    const { world, client } = await setup(profile);
    for (const lose of ['request', 'answer', 'request', 'answer'] as const) {
      expect(await go(world, client, { lose })).toBe('lost');
      expect(await go(world, client)).toBe('allow');
    }
  });

  test('after more lost requests than the server skips, out_of_sync once and then a rescue on a new chain', async () => {
    const { world, client } = await setup(profile, {}, { maxSkip: 8 });
    await times(10, () => go(world, client, { lose: 'request' }));
    const orders: unknown[] = [];
    const judged = (parts: RequestParts) => void orders.push([parameters(parts).get('s'), parameters(parts).get('n')]);
    expect(await go(world, client, { judged })).toBe('allow');
    expect(orders).toEqual([
      [0, 2037],
      [2, 2047],
    ]);
    await times(3, async () => expect(await go(world, client)).toBe('allow'));
    expect((await laneOf(client)).renewal).toBeNull();
  });

  test('a client restored from a backup goes on below the head that it can recompute', async () => {
    const { world, client } = await setup(profile);
    const backup = await client.storage.read();
    await times(70, () => go(world, client));
    const old = restored(client, backup);
    expect(await go(world, old)).toBe('allow');
    expect((await laneOf(old)).chain.next).toBe(2047 - 71);
    expect(await go(world, old)).toBe('allow');
  });

  test('a chain that the server has lost is not resynchronised but has to be enrolled again: four such answers in a row stop it', async () => {
    const { world, client } = await setup(profile);
    await go(world, client);
    await world.resources.store.delete(world.resources.storeKey('h', 'default', 'chain', client.id));
    const code = profile === 'keyed' ? 'signature_invalid' : 'out_of_sync';
    await times(4, async () => expect(await go(world, client)).toBe(code));
    if (profile === 'keyed') return; // An unknown chain looks like a wrong MAC: nothing to count.
    const stopped = await rejectionOf(go(world, client));
    expect(stopped).toBeInstanceOf(CountersignError);
    expect(stopped).toMatchObject({ code: 'key_unusable', message: expect.stringContaining('enrolled again') });
  });

  test('renews itself at index 32 and forgets the chain before an hour later', async () => {
    const { world, client } = await setup(profile, { length: 40 });
    const orders: unknown[] = [];
    const judged = (parts: RequestParts) => void orders.push(parameters(parts).get('s'));
    await times(12, async () => expect(await go(world, client, { judged })).toBe('allow'));
    expect(orders.filter((order) => order === 1)).toHaveLength(1);
    const renewed = await laneOf(client);
    expect([renewed.renewal, renewed.old?.chain.length]).toEqual([null, 40]);
    expect(renewed.chain.next).toBeGreaterThan(32);
    world.clock.advance(HOUR_MS - 1);
    await go(world, client);
    expect((await laneOf(client)).old).not.toBeNull();
    world.clock.advance(1);
    await go(world, client);
    expect((await laneOf(client)).old).toBeNull();
  });

  test.each(['request', 'answer'] as const)(
    'a renewal whose every step loses its %s comes to its end',
    async (lose) => {
      const { world, client } = await setup(profile, { length: 40 });
      const head = async () => (await laneOf(client)).chain.next;
      while ((await head()) > 32) await go(world, client);
      // Each step once lost, then repeated.
      for (let round = 0; round < 4; round += 1) {
        expect(await go(world, client, { lose })).toBe('lost');
        expect(await go(world, client)).toBe('allow');
      }
      const lane = await laneOf(client);
      expect([lane.renewal, lane.old === null]).toEqual([null, false]);
    },
  );

  test('many renewals in a row, with losses between, never stop', async () => {
    const { world, client } = await setup(profile, { length: 36 });
    for (let request = 0; request < 200; request += 1) {
      const lose = request % 7 === 3 ? 'request' : request % 7 === 5 ? 'answer' : undefined;
      const outcome = await go(world, client, lose === undefined ? {} : { lose });
      expect(outcome).toBe(lose === undefined ? 'allow' : 'lost');
    }
  });

  test('of a chain of length 2 index 1 is the last, and 0 is never shown', async () => {
    const { world, client } = await setup(profile, { length: 2 });
    const shown: unknown[] = [];
    const judged = (parts: RequestParts) => void shown.push(parameters(parts).get('n'));
    if (profile === 'keyed') {
      await times(5, async () => expect(await go(world, client, { judged })).toBe('allow'));
      expect(new Set(shown)).toEqual(new Set([1]));
    } else {
      // Renewal takes two tokens there, and the second would be the secret.
      expect(await go(world, client, { judged })).toBe('allow');
      expect(await rejectionOf(go(world, client, { judged }))).toMatchObject({ code: 'key_unusable' });
      expect(shown).toEqual([1]);
    }
  });

  test('a head that it can not recompute moves the client nowhere', async () => {
    const { world, client } = await setup(profile, {}, { maxSkip: 1 });
    await go(world, client);
    const before = (await laneOf(client)).chain.next;
    await go(world, client, { lose: 'request' });
    const forged = { alterAnswer: (value: string) => bent(value, 'y1'), repeats: 0 };
    for (let answers = 1; answers <= 2; answers += 1) expect(await go(world, client, forged)).toBe('out_of_sync');
    const lane = await laneOf(client);
    expect(lane.chain.next).toBe(before - 3);
    // An answer of `keyed` that is not the server's counts as none.
    expect(lane.resyncs).toBe(profile === 'keyed' ? 0 : 2);
    expect(await go(world, client)).toBe('allow');
    expect((await laneOf(client)).resyncs).toBe(0);
  });

  test('an answer whose y1 is another head than the token is noticed', async () => {
    const { world, client } = await setup(profile);
    expect(await go(world, client, { alterAnswer: (value) => bent(value, 'y1') })).toBe('allow');
    expect((await laneOf(client)).resyncs).toBe(profile === 'keyed' ? 0 : 1);
    expect(await go(world, client)).toBe('allow');
    expect((await laneOf(client)).resyncs).toBe(0);
  });

  test('answers that take longer than any window are no loss of step', async () => {
    const { world, client } = await setup(profile);
    for (const windows of [2, 3, 11, 200]) {
      const slowly = (value: string) => {
        world.clock.advance(windows * 30_000);
        return value;
      };
      expect(await go(world, client, { alterAnswer: slowly })).toBe('allow');
      expect((await laneOf(client)).resyncs).toBe(0);
    }
  });

  test('forged answers to accepted requests never stop a client', async () => {
    const { world, client } = await setup(profile);
    const forged = { alterAnswer: (value: string) => bent(value, 'y1') };
    await times(6, async () => expect(await go(world, client, forged)).toBe('allow'));
  });

  test('four requests at once take four lanes, the fifth waits; no refusals', async () => {
    const { world, client } = await setup(profile, { lanes: 4 });
    const ids: unknown[] = [];
    const judged = (parts: RequestParts) => void ids.push(parameters(parts).get('id'));
    const outcomes = await Promise.all(Array.from({ length: 9 }, () => go(world, client, { judged })));
    expect(new Set(outcomes)).toEqual(new Set(['allow']));
    expect(new Set(ids)).toEqual(new Set(['client-1', 'client-1/1', 'client-1/2', 'client-1/3']));
  });

  test('refuses the token of one lane on another', async () => {
    const { world, client } = await setup(profile, { lanes: 2 });
    const alterRequest = (parts: RequestParts) => ({
      ...parts,
      headers: parts.headers.map(([name, value]) => [name, value.replace('id="client-1"', 'id="client-1/1"')] as const),
    });
    const code = profile === 'keyed' ? 'signature_invalid' : 'out_of_sync';
    expect(await go(world, client, { alterRequest, repeats: 0 })).toBe(code);
  });
});

test('keyed: a client whose clock is wrong corrects it once and shows the same token again', async () => {
  const { world, client } = await setup('keyed');
  const shown: unknown[] = [];
  const judged = (parts: RequestParts) => void shown.push(parameters(parts).get('n'));
  expect(await go(world, client, { clientMs: () => world.clock.nowMs() - HOUR_MS, judged })).toBe('allow');
  expect(shown).toEqual([2047, 2047]);
});

test('keyed: a renewal that was refused for the clock, held back and delivered later shuts nobody out', async () => {
  const { world, client } = await setup('keyed', { length: 40 });
  while ((await laneOf(client)).chain.next > 32) await go(world, client);
  const caught: RequestParts[] = [];
  const ahead = {
    clientMs: () => world.clock.nowMs() + 60_000,
    judged: (parts: RequestParts) => void caught.push(parts),
  };
  expect(await go(world, client, { ...ahead, repeats: 0 })).toBe('signature_invalid');
  expect(await go(world, client, { lose: 'request' })).toBe('lost');
  world.clock.advance(60_000);
  expect((await answerTo(world, caught[0] ?? REQUEST)).code).toBe('allow');
  expect(await go(world, client)).toBe('allow');
  expect((await laneOf(client)).renewal).toBeNull();
});

test('keyed: a token of a window that began before the store lost its memory is stale, and shown again in the next', async () => {
  const { world, client } = await setup('keyed', {}, { allowAhead: false });
  const borderMs = Math.ceil(world.clock.nowMs() / 30_000) * 30_000;
  world.clock.advance(borderMs - world.clock.nowMs());
  world.store.horizon = borderMs;
  const shown: unknown[] = [];
  const judged = (parts: RequestParts) => void shown.push(parameters(parts).get('n'));
  expect(await go(world, client, { clientMs: () => world.clock.nowMs() - 1, judged })).toBe('allow');
  expect(shown).toEqual([2047, 2047]);
});

test('keyed: a client that never hears answers is out_of_sync after its renewal, until it hears one', async () => {
  const { world, client } = await setup('keyed', { length: 33 });
  const unheard = async () => (await answerTo(world, await proven(world, client, REQUEST))).code;
  expect([await unheard(), await unheard()]).toEqual(['allow', 'out_of_sync']);
  expect(await go(world, client)).toBe('allow');
  expect(await unheard()).toBe('allow');
});

test('keyed: with the right clock signature_invalid is not repeated, and the token counts as shown', async () => {
  const { world, client } = await setup('keyed');
  const stranger = await change(client, (lane) => ({ ...lane, timeKey: new Uint8Array(32) }));
  const shown: unknown[] = [];
  const judged = (parts: RequestParts) => void shown.push(parameters(parts).get('n'));
  expect(await go(world, stranger, { judged })).toBe('signature_invalid');
  expect(shown).toEqual([2047]);
  expect((await laneOf(stranger)).chain.next).toBe(2046);
});

describe('seed: a renewal that is altered on its way ends on the old chain', () => {
  async function atRenewal() {
    const { world, client } = await setup('seed', { length: 40 });
    const counted: unknown[] = [];
    Object.assign(world.resources, {
      count: (name: string, labels: object) => counted.push([name, labels]),
      notice: (event: string, subject: string) => counted.push([event, subject]),
    });
    while ((await laneOf(client)).chain.next > 32) await go(world, client);
    return { world, client, counted };
  }
  const altering = (name: string) => (parts: RequestParts) => ({
    ...parts,
    headers: parts.headers.map(([header, value]) => [header, bent(value, name)] as const),
  });

  test.each(['x2', 'c'])('altered %s: accepted, dropped with the alarm, and the client tries again', async (name) => {
    const { world, client, counted } = await atRenewal();
    expect(await go(world, client, { alterRequest: altering(name) })).toBe('allow');
    expect(await go(world, client)).toBe('allow');
    const outcomes = ['pending', 'dropped'].map((outcome) => [RENEWALS, { profile: 'seed', outcome }]);
    expect(counted).toEqual([...outcomes, ['renewal_dropped', 'alice']]);
    const lane = await laneOf(client);
    expect([lane.renewal, lane.old]).toEqual([null, null]);
    await times(3, async () => expect(await go(world, client)).toBe('allow'));
    expect((await laneOf(client)).old).not.toBeNull();
  });

  test('until the first step is acknowledged the very same token, anchor and commitment are shown, scrambled anew', async () => {
    const { world, client } = await atRenewal();
    const seen: ReturnType<typeof parameters>[] = [];
    for (let round = 0; round < 3; round += 1) {
      await go(world, client, { lose: 'request' });
      const sent = await client.signer.sign(outgoing(REQUEST), issuerOf(world));
      await client.signer.unanswered?.(sent);
      seen.push(parameters(signedBy(REQUEST, sent)));
      world.clock.advance(30_000);
    }
    expect(new Set(seen.map((params) => params.get('n')))).toEqual(new Set([32]));
    expect(new Set(seen.map((params) => params.get('c'))).size).toBe(1);
    expect(new Set(seen.map((params) => params.get('x2'))).size).toBe(3);
  });
});

test("an answer that can not be kept is the caller's nonetheless, and the next request finds its way", async () => {
  const { world, client } = await setup('keyed', { length: 40 });
  while ((await laneOf(client)).chain.next > 32) await go(world, client);
  let writes = 0;
  const failing = clientOf(client.id, {
    ...client.storage,
    async take() {
      const held = await client.storage.take();
      return {
        ...held,
        write: (text: string) => ((writes += 1) === 2 ? Promise.reject(new Error('disk full')) : held.write(text)),
      };
    },
  });
  // The renewal is in force at the server; the client has not kept that.
  expect(await go(world, failing)).toBe('allow');
  expect((await laneOf(client)).renewal).not.toBeNull();
  expect(await go(world, client)).toBe('allow');
  expect((await laneOf(client)).renewal).toBeNull();
});

test.each(['x2', 'nn'])('keyed: refuses with signature_invalid a renewal with another %s', async (name) => {
  const { world, client } = await setup('keyed', { length: 40 });
  while ((await laneOf(client)).chain.next > 32) await go(world, client);
  const alterRequest = (parts: RequestParts) => ({
    ...parts,
    headers: parts.headers.map(([header, value]) => {
      const altered = name === 'nn' ? value.replace(/nn=40/, 'nn=41') : bent(value, 'x2');
      return [header, altered] as const;
    }),
  });
  expect(await go(world, client, { alterRequest })).toBe('signature_invalid');
  expect(await go(world, client)).toBe('allow');
});
