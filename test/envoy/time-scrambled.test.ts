/** time-scrambled through a real Envoy: both profiles, by the client library, and what somebody on the line can do with what he sees. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createClient, type SignedRequest } from '../../src/client/client.ts';
import { connectIssuer } from '../../src/client/connect.ts';
import { sha512 } from '../../src/crypto/digest.ts';
import { parseAuthHeader } from '../../src/encoding/auth-header.ts';
import { utf8 } from '../../src/encoding/bytes.ts';
import { timeScrambled } from '../../src/schemes/time-scrambled/client.ts';
import { enrolChains, type ChainWish } from '../../src/schemes/time-scrambled/client-enrol.ts';
import { parseLane, type ChainStorage } from '../../src/schemes/time-scrambled/client-state.ts';
import { formatProof, parseProof, xor } from '../../src/schemes/time-scrambled/message.ts';
import { windowOf } from '../../src/schemes/time-scrambled/message-window.ts';
import { memoryChains } from '../schemes/time-scrambled/prover.ts';
import { bent } from '../support/bytes.ts';
import { echoOf, openWorld, upstream, verdictOf, type World } from './world.ts';
import { headerOf, http1 } from './wire.ts';

const WINDOW_MS = 2_000;
const BODY = '{"to":"bob","amount":50}';
const TARGET = '/transfer?dry=0';

describe.each([
  ['keyed', 'oldest', 'memory'],
  ['keyed', 'newest', 'redis'],
  ['seed', 'newest', 'redis'],
] as const)('%s, Envoy %s, store %s', (profile, envoy, store) => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld({
      envoy,
      store,
      ringUses: ['challenge-mac', 'wrap', 'pepper'],
      change(config) {
        // A busy machine is no outage.
        const { redis } = config['store'] as { redis?: object };
        if (redis !== undefined) Object.assign(redis, { commandTimeout: '1s', socketTimeout: '5s' });
        const limits = { resync: { rate: '1000/s', burst: 10_000 } };
        config.schemes['time-scrambled'] = { profiles: [profile], window: '2s', maxSkip: 8, limits };
        config.routes['api'] = { ...config.routes['api'], schemes: ['time-scrambled', 'challenge-signature'] };
      },
    });
    // A store that was just adopted refuses what may have been spent before: its skew, and two windows.
    if (store === 'redis') await sleep(5_500 + 2 * WINDOW_MS);
  }, 90_000);
  afterAll(() => world.stop());

  /** Loses the answers to these requests, counted from 1. */
  async function enrolled(id: string, wish: Partial<ChainWish> = {}, lostAnswers: readonly number[] = []) {
    const storage = memoryChains();
    const { token } = await world.admin('POST', 'invites', { scheme: 'time-scrambled', subject: 'alice', ttl: '10m' });
    const issuer = connectIssuer({ scheme: 'time-scrambled', baseUrl: world.url });
    await enrolChains(issuer, storage, { id, length: 256, lanes: 1, ...wish, invitation: String(token) });
    let sent = 0;
    const client = createClient({
      baseUrl: world.url,
      signer: timeScrambled(storage),
      async fetch(...args) {
        const answer = await fetch(...args);
        sent += 1;
        if (lostAnswers.includes(sent)) throw new Error('the answer was lost');
        return answer;
      },
    });
    const post = async () => (await client.fetch(TARGET, { method: 'POST', body: BODY })).status;
    const caught = () => client.signRequest(TARGET, { method: 'POST', body: BODY });
    return { storage, client, post, caught };
  }

  const send = ({ headers }: SignedRequest, changes: { body?: string; target?: string; proof?: string } = {}) =>
    http1({
      method: 'POST',
      target: changes.target ?? TARGET,
      to: world.to,
      headers: [
        ['content-type', 'application/json'],
        ['authorization', changes.proof ?? headers.get('authorization') ?? ''],
      ],
      body: utf8(changes.body ?? BODY),
    });
  const proofOf = ({ headers }: SignedRequest) => headers.get('authorization') ?? '';
  const laneOf = async (storage: ChainStorage) => parseLane((await storage.read())[0] ?? '');
  const wrong = profile === 'keyed' ? '401 signature_invalid' : '401 out_of_sync';

  test('the upstream sees who it is and by which chain, and no proof; the client hears the head', async () => {
    const { client } = await enrolled('a');
    const answer = await client.fetch(TARGET, { method: 'POST', body: BODY });
    const info = answer.headers.get('authentication-info') ?? '';
    expect(info).toMatch(
      profile === 'keyed' ? /^y1="[0-9a-f]{128}", m=[01], a="[0-9a-f]{64}"$/ : /^y1="[0-9a-f]{128}", m=[01]$/,
    );
    const echo = echoOf(await send(await client.signRequest(TARGET, { method: 'POST', body: BODY })));
    expect(upstream(echo, 'x-auth-subject')).toEqual(['alice']);
    expect(upstream(echo, 'x-auth-scheme')).toEqual(['time-scrambled']);
    expect(upstream(echo, 'x-auth-key-id')).toEqual(['a']);
    expect(upstream(echo, 'x-auth-body')).toEqual([profile === 'keyed' ? 'verified' : 'none']);
    const [attributes = ''] = upstream(echo, 'x-auth-attributes');
    expect(JSON.parse(atob(attributes))).toEqual({ auth: { profile }, role: 'admin' });
    expect(upstream(echo, 'authorization')).toEqual([]);
  });

  test('the same bytes again are 401 replayed, with the head and the time', async () => {
    const { caught } = await enrolled('b');
    const request = await caught();
    echoOf(await send(request));
    const answer = await send(request);
    expect(verdictOf(answer)).toBe('401 replayed');
    const line = headerOf(answer, 'www-authenticate') ?? '';
    expect(line).toMatch(/^TimeScrambled realm="countersign", error="replayed", y1="[0-9a-f]{128}", m=[01]/);
    expect(line.includes(', a="')).toBe(profile === 'keyed');
    expect(headerOf(answer, 'auth-server-time')).toMatch(/^[0-9]{13}$/);
  });

  test(`a token on another body or path: ${profile === 'keyed' ? '401 signature_invalid' : 'passes, which is why seed needs TLS'}`, async () => {
    const { caught } = await enrolled('c');
    for (const change of [
      { body: BODY.replace('50', '5000') },
      { target: '/transfers?dry=0' },
      { target: '/transfer?dry=1' },
    ]) {
      const answer = await send(await caught(), change);
      if (profile === 'keyed') expect(verdictOf(answer)).toBe('401 signature_invalid');
      else echoOf(answer);
    }
  });

  test(`a token caught, blocked and sent later, as it is and re-scrambled by the public pad: ${profile === 'keyed' ? 'refused' : 're-scrambled it passes'}`, async () => {
    const { caught, post } = await enrolled('d');
    const request = await caught();
    const madeMs = Date.now();
    await sleep(3 * WINDOW_MS + 500);
    expect(verdictOf(await send(request))).toBe(wrong);
    const { chain: _, ...proof } = parseProof(parseAuthHeader(proofOf(request)).params, 65_536);
    const pad = (ms: number) => sha512(utf8(String(windowOf(ms, WINDOW_MS))));
    const now = Date.now();
    const moved = formatProof({
      ...proof,
      x1: xor(xor(proof.x1, pad(madeMs)), pad(now)),
      parity: windowOf(now, WINDOW_MS) % 2 === 0 ? 0 : 1,
    });
    const answer = await send(request, { proof: moved });
    if (profile === 'keyed') expect(verdictOf(answer)).toBe('401 signature_invalid');
    else echoOf(answer);
    expect(await post()).toBe(200);
  }, 30_000);

  test('four requests at once go on four lanes; a token moved to another lane is refused', async () => {
    const { post, caught } = await enrolled('e', { lanes: 4 });
    expect(await Promise.all(Array.from({ length: 8 }, post))).toEqual(Array<number>(8).fill(200));
    const request = await caught();
    const moved = proofOf(request).replace(/id="e[^"]*"/, 'id="e/3"');
    expect(verdictOf(await send(request, { proof: moved }))).toBe(wrong);
    const nowhere = proofOf(request).replace(/id="e[^"]*"/, 'id="e/9"');
    expect(verdictOf(await send(request, { proof: nowhere }))).toBe(wrong);
  });

  test('an unknown chain is told byte for byte as a wrong proof, but for what is random', async () => {
    const { caught } = await enrolled('f');
    const request = await caught();
    const bend = (proof: string) => bent(proof, 'x1');
    const blank = (text: string) =>
      text
        .replace(/[0-9a-f]{128}[\\\\"]+, m=[01]/, 'head')
        .replace(/check\\":\\"[^"]+"/, 'check')
        .replaceAll(/\b1[0-9]{12}\b/g, '0');
    const told = ({ status, headers, body }: Awaited<ReturnType<typeof send>>) =>
      blank(JSON.stringify([status, headers.filter(([name]) => !/^(date|x-request-id|x-envoy)/.test(name)), body]));
    const known = told(await send(request, { proof: bend(proofOf(request)) }));
    const unknown = told(await send(request, { proof: bend(proofOf(request)).replace('id="f"', 'id="nobody"') }));
    expect(unknown).toBe(known);
  });

  test('goes on after lost answers, and through a renewal whose answers are lost', async () => {
    const { post, storage } = await enrolled('g', { length: 40 }, [2, 8, 9, 11, 12]);
    const outcomes = [];
    for (let request = 0; request < 16; request += 1) outcomes.push(await post().catch(() => 'lost'));
    expect(outcomes.filter((outcome) => outcome !== 200).every((outcome) => outcome === 'lost')).toBe(true);
    expect(await post()).toBe(200);
    const lane = await laneOf(storage);
    expect([lane.renewal, lane.old === null]).toEqual([null, false]);
  });

  test('after more lost requests than are skipped it comes back into step by itself', async () => {
    const { post, caught, storage } = await enrolled('h');
    expect(await post()).toBe(200);
    for (let lost = 0; lost < 12; lost += 1) await caught();
    expect(await post()).toBe(200);
    expect(await post()).toBe(200);
    expect((await laneOf(storage)).renewal).toBeNull();
  });

  test(`a renewal with another anchor: ${profile === 'keyed' ? '401 signature_invalid' : 'the old chain goes on, and the alarm counts'}`, async () => {
    const { post, caught, storage } = await enrolled('i', { length: 40 });
    while ((await laneOf(storage)).chain.next > 32) expect(await post()).toBe(200);
    const request = await caught();
    const answer = await send(request, { proof: bent(proofOf(request), 'x2') });
    if (profile === 'keyed') expect(verdictOf(answer)).toBe('401 signature_invalid');
    else echoOf(answer);
    for (let more = 0; more < 4; more += 1) expect(await post()).toBe(200);
    const dropped = /countersign_time_scrambled_renewals_total\{[^}]*outcome="dropped"[^}]*\} ([0-9]+)/.exec(
      await world.metrics(),
    );
    expect(Number(dropped?.[1] ?? 0)).toBe(profile === 'keyed' ? 0 : 1);
  });

  test('a client restored from a backup comes back into step', async () => {
    const { post, storage } = await enrolled('j');
    const backup = await storage.read();
    for (let request = 0; request < 12; request += 1) expect(await post()).toBe(200);
    const restored = createClient({ baseUrl: world.url, signer: timeScrambled(memoryChains(backup)) });
    expect((await restored.fetch(TARGET, { method: 'POST', body: BODY })).status).toBe(200);
  });

  test('the operator looks a chain up and revokes it', async () => {
    const { post } = await enrolled('k');
    expect(await post()).toBe(200);
    const about = { subject: 'alice', keyId: 'k' };
    const found = await world.admin('POST', 'credentials/time-scrambled/lookup', about);
    expect(found).toMatchObject({ ...about, profile, n: 255 });
    await world.admin('POST', 'credentials/time-scrambled/revoke', about);
    expect(await post().catch((refused: { code: string }) => refused.code)).toBe(wrong.slice(4));
  });
});
