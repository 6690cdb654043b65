/** The library's clients of v0 against the real operations, over a wire that loses messages (BA-35, BA-22, BA-24). */
import { describe, expect, jest, test } from '@jest/globals';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ClientState,
  loginV0Passphrase,
  memoryState,
  registerV0Passphrase,
  requestV0Registration,
  type V0Device,
  v0Device,
  v0PassphraseSession,
} from '../../../../src/client/index.ts';
import { folderState } from '../../../../src/client/node.ts';
import { complete, type RequestParts } from '../../../support/auth-request.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import { outcomeOf } from '../../../support/refused.ts';
import { channelTo, signedBy, type TestChannel } from './channel.ts';
import { admin, betterAuthWorld } from './prover.ts';
import { altered } from '../../../support/bytes.ts';

const REQUEST: RequestParts = {
  method: 'POST',
  scheme: 'https',
  authority: 'api.example.com',
  target: '/transfer?dry=0',
  headers: [['content-type', 'application/json']],
  body: complete('{"amount":50}'),
};

/** Cheap, for tests. */
const SETTINGS = { v0: { passphraseParameters: '$argon2id$v=19$m=19456,t=2,p=1$' } };

interface Setup {
  readonly world: SchemeWorld;
  readonly channel: TestChannel;
  readonly state: ClientState;
  readonly device: V0Device;
}

async function material(world: SchemeWorld, order: object = { kind: 'key' }): Promise<string> {
  return String((await admin(world, 'v0/registrations', order))['material']);
}

async function setup({ isRegistered = true } = {}): Promise<Setup> {
  const world = betterAuthWorld({ settings: SETTINGS });
  const channel = channelTo(world);
  const state = memoryState();
  const device = v0Device({ channel, state });
  if (isRegistered) await device.register(await material(world));
  return { world, channel, state, device };
}

const passes = async ({ world, device }: Pick<Setup, 'world' | 'device'>) =>
  outcomeOf(world.judge(await signedBy(world, device.signer, REQUEST)));

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'answered',
    (thrown: { code?: string; message: string }) => thrown.code ?? thrown.message,
  );

describe('a device', () => {
  test('registers, logs in by itself, and signs requests and access messages', async () => {
    const setup0 = await setup();
    expect(await passes(setup0)).toBe('allow');
    const { world, device } = setup0;
    const { accountId, deviceId } = (await device.account()) ?? {};
    expect(await world.judge(await signedBy(world, device.signer, REQUEST))).toMatchObject({
      subject: accountId,
      keyId: deviceId,
    });
    const body = complete(await device.accessMessage({ foo: 'bar', list: [1, null, 'é'] }));
    expect(await world.judge({ ...REQUEST, target: '/x', body })).toMatchObject({ subject: accountId });
  });

  test('many requests at once cost one login and one refresh', async () => {
    const { world, channel, device } = await setup();
    const signed = await Promise.all(Array.from({ length: 20 }, () => signedBy(world, device.signer, REQUEST)));
    const outcomes = await Promise.all(signed.map((parts) => outcomeOf(world.judge(parts))));
    expect(new Set(outcomes)).toEqual(new Set(['allow']));
    expect(channel.sent.map((line) => line.split(' ')[0])).toEqual([
      '/register/key',
      '/authenticate/begin',
      '/authenticate/complete',
      '/refresh',
    ]);
  });

  test('keeps its token to shortly before its end, refreshes then, and logs in again when the session is over', async () => {
    const { world, channel, device } = await setup();
    const count = (path: string) => channel.sent.filter((line) => line.startsWith(`${path} `)).length;
    await passes({ world, device });
    world.clock.advance(14 * 60_000);
    expect(await passes({ world, device })).toBe('allow');
    expect(count('/refresh')).toBe(1);
    world.clock.advance(60_000);
    expect(await passes({ world, device })).toBe('allow');
    expect(count('/refresh')).toBe(2);
    world.clock.advance(12 * 3_600_000);
    expect(await passes({ world, device })).toBe('allow');
    expect(count('/authenticate/complete')).toBe(2);
  });

  test.each(['request', 'reply'] as const)(
    'survives a lost %s of a refresh without a theft, again and again',
    async (what) => {
      const { world, channel, device } = await setup();
      for (let round = 0; round < 5; round += 1) {
        world.clock.advance(15 * 60_000);
        channel.lose = { path: '/refresh', what };
        expect(await codeOf(signedBy(world, device.signer, REQUEST))).toBe('fetch failed');
        if (round % 2 === 1) {
          channel.lose = { path: '/refresh', what: what === 'request' ? 'reply' : 'request' };
          expect(await codeOf(signedBy(world, device.signer, REQUEST))).toBe('fetch failed');
        }
        expect(await passes({ world, device })).toBe('allow');
      }
      expect(channel.sent.filter((line) => line.startsWith('/authenticate/complete'))).toHaveLength(1);
    },
  );

  test('outlasts an issuer that is away, however often it asks, by one and the same message', async () => {
    const { world, channel, device } = await setup();
    await passes({ world, device });
    world.clock.advance(15 * 60_000);
    for (let round = 0; round < 30; round += 1) {
      channel.lose = { path: '/refresh', what: round % 2 === 0 ? 'request' : 'reply' };
      await codeOf(signedBy(world, device.signer, REQUEST));
    }
    expect(await passes({ world, device })).toBe('allow');
    expect(channel.sent.filter((line) => line.startsWith('/authenticate/complete'))).toHaveLength(1);
  });

  test('in pages that come and go a session outlasts seven lost messages, after eight it logs in again', async () => {
    const { world, channel, device, state } = await setup();
    await passes({ world, device });
    for (const [lost, logins] of [
      [7, 1],
      [8, 2],
    ] as const) {
      for (let round = 0; round < lost; round += 1) {
        channel.lose = { path: '/refresh', what: 'request' };
        await codeOf(signedBy(world, v0Device({ channel, state }).signer, REQUEST));
      }
      expect(await passes({ world, device: v0Device({ channel, state }) })).toBe('allow');
      expect(channel.sent.filter((line) => line.startsWith('/authenticate/complete'))).toHaveLength(logins);
    }
  });

  test("with a clock that is wrong it keeps its token all the same, and its access messages have the server's time", async () => {
    const { world, channel, device } = await setup();
    channel.nowMs = () => world.clock.nowMs() + 3_600_000;
    for (let round = 0; round < 3; round += 1) {
      const body = complete(await device.accessMessage({ round }));
      expect(await outcomeOf(world.judge({ ...REQUEST, target: '/x', body }))).toBe('allow');
    }
    expect(channel.sent.filter((line) => line.startsWith('/refresh'))).toHaveLength(1);
  });

  test('rotates: its next key signs, its sessions end, and the old key is gone', async () => {
    const { world, device } = await setup();
    const before = await signedBy(world, device.signer, REQUEST);
    await device.rotate();
    expect(await outcomeOf(world.judge(before))).toBe('revoked');
    expect(await passes({ world, device })).toBe('allow');
    for (let round = 0; round < 3; round += 1) await device.rotate();
    expect(await passes({ world, device })).toBe('allow');
  });

  test.each(['request', 'reply'] as const)('after a lost %s of a rotation it finds out, and goes on', async (what) => {
    const { world, channel, device } = await setup();
    await passes({ world, device });
    channel.lose = { path: '/rotate/key', what };
    expect(await codeOf(device.rotate())).toBe('fetch failed');
    await device.rotate();
    expect(await passes({ world, device })).toBe('allow');
    channel.lose = { path: '/rotate/key', what };
    expect(await codeOf(device.rotate())).toBe('fetch failed');
    // Not asked to rotate again: the next login finds out.
    world.clock.advance(13 * 3_600_000);
    expect(await passes({ world, device })).toBe('allow');
    await device.rotate();
    expect(await passes({ world, device })).toBe('allow');
  });

  test('a lost login or challenge is asked for again', async () => {
    const { world, channel, device } = await setup();
    for (const path of ['/authenticate/begin', '/authenticate/complete']) {
      for (const what of ['request', 'reply'] as const) {
        channel.lose = { path, what };
        expect(await codeOf(signedBy(world, device.signer, REQUEST))).toBe('fetch failed');
      }
    }
    expect(await passes({ world, device })).toBe('allow');
  });

  test('a registration whose reply was lost is told so; with new material for the account it succeeds', async () => {
    const { world, channel, device } = await setup({ isRegistered: false });
    const { subject, material: first } = await admin(world, 'v0/registrations', { kind: 'key' });
    channel.lose = { path: '/register/key', what: 'reply' };
    expect(await codeOf(device.register(String(first)))).toBe('fetch failed');
    expect(await codeOf(device.register(String(first)))).toBe('signature_invalid');
    await device.register(await material(world, { kind: 'key', subject }));
    expect(await passes({ world, device })).toBe('allow');
  });

  test('a registration whose request was lost succeeds with the same material', async () => {
    const { world, channel, device } = await setup({ isRegistered: false });
    const first = await material(world);
    channel.lose = { path: '/register/key', what: 'request' };
    expect(await codeOf(device.register(first))).toBe('fetch failed');
    await device.register(first);
    expect(await passes({ world, device })).toBe('allow');
    expect(await codeOf(device.register(first))).toBe('key_unusable');
  });

  test('asks for material for a second device, and for a passphrase', async () => {
    const { world, channel, device } = await setup();
    const second = v0Device({ channel, state: memoryState() });
    await second.register(await device.requestRegistration('key'));
    expect((await second.account())?.accountId).toBe((await device.account())?.accountId);
    expect(await passes({ world, device: second })).toBe('allow');
    const { accountId } = await registerV0Passphrase(
      { channel },
      await device.requestRegistration('passphrase'),
      'open sesame',
    );
    expect(accountId).toBe((await device.account())?.accountId);
  });

  test('ends its session at the issuer, and the token with it', async () => {
    const { world, device } = await setup();
    const signed = await signedBy(world, device.signer, REQUEST);
    await device.end();
    expect(await outcomeOf(world.judge(signed))).toBe('revoked');
    await device.end();
    expect(await passes({ world, device })).toBe('allow');
  });

  test('two signers of one state take turns, so that neither looks like a thief', async () => {
    const { world, channel, state, device } = await setup();
    const other = v0Device({ channel, state });
    for (let round = 0; round < 3; round += 1) {
      world.clock.advance(15 * 60_000);
      const both = await Promise.all([device, other].map((one) => signedBy(world, one.signer, REQUEST)));
      for (const parts of both) expect(await outcomeOf(world.judge(parts))).toBe('allow');
    }
    expect(channel.sent.filter((line) => line.startsWith('/authenticate/complete'))).toHaveLength(1);
  });

  test('a refused request is worth another proof after stale and replayed, not after signature_invalid or revoked', async () => {
    const { device } = await setup();
    const codes = ['stale', 'not_yet_valid', 'replayed', 'signature_invalid', 'revoked', 'malformed'];
    const worth = codes.filter((code) => device.signer.refused({ code, parameters: new Map() }, []) === true);
    expect(worth).toEqual(['stale', 'not_yet_valid', 'replayed']);
  });
});

describe('replies', () => {
  test.each<[string, (reply: string) => string]>([
    ['a signature altered', (reply) => altered(reply, reply.length - 20)],
    ['a payload altered', (reply) => reply.replace(/"nonce":"0A..../, (start) => altered(start, start.length - 1))],
    ['an error body under status 200', () => '{"error":{"code":"CS401"}}'],
    ['no JSON', () => '<html>'],
    ['no signature', (reply) => reply.replace(/,"signature":"[^"]*"/, '')],
    ['nothing', () => ''],
    ['a member twice', (reply) => reply.replace('{"payload"', '{"payload":{},"payload"')],
  ])('with %s do not count: answer_invalid, and nothing has changed', async (_what, alter) => {
    const { world, channel, device, state } = await setup();
    channel.alter = alter;
    const before = await state.read();
    expect(await codeOf(signedBy(world, device.signer, REQUEST))).toBe('answer_invalid');
    expect(await state.read()).toBe(before);
    channel.alter = (reply) => reply;
    expect(await passes({ world, device })).toBe('allow');
  });

  test('to another request do not count, signed or not (BA-22)', async () => {
    const { channel, device } = await setup();
    let rotation = '';
    channel.alter = (reply) => (rotation = reply);
    await device.rotate();
    channel.alter = () => rotation;
    expect(await codeOf(device.rotate())).toBe('answer_invalid');
    channel.alter = (reply) => reply;
    await device.rotate();
  });

  test('that are not bound do not count (BA-22)', async () => {
    const { channel, device } = await setup();
    const bound = channel.post.bind(channel);
    channel.post = (under, path, text) => bound(under, path, text);
    expect(await codeOf(device.rotate())).toBe('answer_invalid');
  });

  test('by a key that is not pinned do not count', async () => {
    const world = betterAuthWorld();
    const { publicKey } = JSON.parse(await channelTo(betterAuthWorld()).get('/better-auth/keys')).response[0];
    const device = v0Device({ channel: channelTo(world), state: memoryState(), responseKeys: [publicKey] });
    expect(await codeOf(device.register(await material(world)))).toBe('answer_invalid');
  });

  test('by a new key count once the deployment publishes it', async () => {
    const { world, channel, device } = await setup();
    await passes({ world, device });
    const other = betterAuthWorld();
    world.ring = other.ring.map((key) =>
      key.use === 'response-signing' ? key : (world.ring.find(({ use }) => use === key.use) ?? key),
    );
    const get = jest.spyOn(channel, 'get');
    await device.rotate();
    await device.rotate();
    expect(get).toHaveBeenCalledTimes(1);
  });
});

describe('a passphrase', () => {
  async function account() {
    const { world, channel } = await setup({ isRegistered: false });
    const { accountId } = await registerV0Passphrase(
      { channel },
      await material(world, { kind: 'passphrase' }),
      'open sesame',
    );
    return { world, channel, accountId };
  }

  test('logs in, signs requests, and the session goes on in another page without it', async () => {
    const { world, channel, accountId } = await account();
    const state = memoryState();
    const session = await loginV0Passphrase({ channel, state }, { accountId, passphrase: 'open sesame' });
    expect(await world.judge(await signedBy(world, session.signer, REQUEST))).toMatchObject({
      subject: accountId,
      keyId: 'passphrase',
      attributes: { auth: { device: null, version: 'v0' } },
    });
    world.clock.advance(15 * 60_000);
    const resumed = v0PassphraseSession({ channel, state });
    expect(await outcomeOf(world.judge(await signedBy(world, resumed.signer, REQUEST)))).toBe('allow');
    await resumed.end();
    expect(await codeOf(signedBy(world, v0PassphraseSession({ channel, state }).signer, REQUEST))).toBe('revoked');
  });

  test('another one is signature_invalid, an empty one key_unusable; neither ends the session there was', async () => {
    const { world, channel, accountId } = await account();
    const state = memoryState();
    const session = await loginV0Passphrase({ channel, state }, { accountId, passphrase: 'open sesame' });
    const wrong = (passphrase: string) => codeOf(loginV0Passphrase({ channel, state }, { accountId, passphrase }));
    expect(await wrong('open says me')).toBe('signature_invalid');
    expect(await wrong('')).toBe('key_unusable');
    expect(await wrong('line\nfeed')).toBe('key_unusable');
    expect(await outcomeOf(world.judge(await signedBy(world, session.signer, REQUEST)))).toBe('allow');
  });

  test('asks for material for a device', async () => {
    const { world, channel, accountId } = await account();
    const device = v0Device({ channel, state: memoryState() });
    await device.register(await requestV0Registration({ channel }, { accountId, passphrase: 'open sesame' }, 'key'));
    expect(await passes({ world, device })).toBe('allow');
    expect((await device.account())?.accountId).toBe(accountId);
  });

  test('tells how long stretching will take before it begins, and may run it elsewhere', async () => {
    const { channel, accountId } = await account();
    const told: string[] = [];
    const session = loginV0Passphrase(
      { channel, state: memoryState() },
      { accountId, passphrase: 'open sesame' },
      {
        onProgress: ({ state, expectedMs }) => told.push(`${state} ${expectedMs > 0}`),
        derive: async (_password, _salt, cost) => {
          told.push(JSON.stringify(cost));
          return new Uint8Array(32);
        },
      },
    );
    expect(await codeOf(session)).toBe('signature_invalid');
    expect(told).toEqual(['deriving true', '{"memoryKib":19456,"passes":2,"lanes":1}', 'done true']);
  });

  test.each([
    '$argon2id$v=19$m=19455,t=2,p=1$',
    '$argon2id$v=19$m=19456,t=1,p=1$',
    '$argon2id$v=19$m=19456,t=2,p=0$',
    '$argon2id$v=19$m=1048577,t=2,p=1$',
    '$argon2id$v=19$m=19456,t=11,p=1$',
    '$argon2id$v=19$m=19456,t=2,p=17$',
    '$argon2i$v=19$m=19456,t=2,p=1$',
    '$argon2id$v=16$m=19456,t=2,p=1$',
    '$argon2id$v=19$m=19456,t=2,p=1$abc',
    '$argon2id$v=19$m=19456,t=2,p=1',
  ])('refuses the parameters %s (BA-23)', async (parameters) => {
    const { passphraseKey } = await import('../../../../src/schemes/better-auth/v0/client-passphrase.ts');
    expect(await codeOf(passphraseKey('x', { parameters, salt: '0AD3GqvYVIEThjV6MgLKE7r9' }))).toBe('answer_invalid');
  });
});

test('a folder keeps keys and state readable by their owner only, over processes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cs-v0-'));
  try {
    const { world, channel } = await setup({ isRegistered: false });
    const place = join(folder, 'alice');
    const device = v0Device({ channel, state: folderState(place) });
    await device.register(await material(world));
    expect(await passes({ world, device })).toBe('allow');
    const again = v0Device({ channel, state: folderState(place) });
    await again.rotate();
    expect(await passes({ world, device: again })).toBe('allow');
    for (const name of await readdir(place)) expect((await stat(join(place, name))).mode & 0o777).toBe(0o600);
    expect((await readdir(place)).filter((name) => name.startsWith('device-')).toSorted()).toEqual([
      'device-1.jwk',
      'device-2.jwk',
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
