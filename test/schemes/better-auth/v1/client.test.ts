/** The library's device: it believes no answer without a signature and its nonce, and loses nothing when answers are lost (BA-35). */
import { Buffer } from 'node:buffer';
import { describe, expect, test } from '@jest/globals';
import { memoryState } from '../../../../src/client/state.ts';
import { generateKeyPair, signingKey } from '../../../../src/client/keys.ts';
import { CountersignError } from '../../../../src/core/client-error.ts';
import type { ClientState, MessageChannel, SigningKey } from '../../../../src/core/signer.ts';
import { sha256 } from '../../../../src/crypto/digest.ts';
import { encodeBase64url } from '../../../../src/encoding/base64url.ts';
import { v1Device, v1RecoveryHash } from '../../../../src/schemes/better-auth/v1/client.ts';
import { complete, type RequestParts } from '../../../support/auth-request.ts';
import { outcomeOf } from '../../../support/refused.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import { writesOf } from '../../../support/watched-store.ts';
import { admin, betterAuthWorld, call, newKey, vectorKey } from '../world.ts';
import { accessRequest } from './actor.ts';

type Interfere = (path: string, ask: () => Promise<string>) => Promise<string>;

/** The issuer as the library reaches it, with somebody in between. */
function channelTo(world: SchemeWorld, between: { interfere: Interfere }): MessageChannel & { sent: string[] } {
  const sent: string[] = [];
  return {
    sent,
    async post(_under, path, text, headers) {
      sent.push(`${path} ${text}`);
      return between.interfere(path, async () => {
        const reply = await call(world, path, text, { headers: headers ?? {} });
        if (reply.status === 200) return reply.text;
        throw new CountersignError('answer_invalid', `the issuer answered ${reply.status}`, {
          status: reply.status,
          response: new Response(reply.text, { status: reply.status }),
        });
      });
    },
    get: async (path) => (await call(world, path, '', { method: 'GET' })).text,
    nowMs: () => world.clock.nowMs(),
  };
}

const honest: Interfere = (_path, ask) => ask();
const lost: Interfere = async (_path, ask) => {
  await ask();
  throw new TypeError('fetch failed');
};
const unsent: Interfere = async () => {
  throw new TypeError('fetch failed');
};

const newSigningKey = async (): Promise<SigningKey> => signingKey(await generateKeyPair('ES256'));

async function enter({ settings = {}, responseKeys }: { settings?: object; responseKeys?: string[] } = {}) {
  const world = betterAuthWorld({ settings });
  const between = { interfere: honest };
  const channel = channelTo(world, between);
  const open = (state: ClientState = memoryState()) =>
    v1Device({ state, channel, ...(responseKeys && { responseKeys }) });
  const recoveryKey = await newSigningKey();
  const recoveryHash = await v1RecoveryHash(recoveryKey);
  const visit = async (device: ReturnType<typeof open>) =>
    outcomeOf(world.judge(accessRequest(await device.accessMessage({ hello: 'world' }))));
  return { world, between, channel, open, recoveryKey, recoveryHash, visit };
}

const REQUEST: RequestParts = {
  method: 'POST',
  scheme: 'https',
  authority: 'api.example.com',
  target: '/transfer?dry=0',
  headers: [],
  body: complete('{"amount":50}'),
};

describe('a device', () => {
  test('creates, visits in both forms, rotates, links, unlinks, changes recovery, recovers, deletes', async () => {
    const { world, open, recoveryKey, recoveryHash, visit, channel } = await enter();
    const first = open();
    const { identity } = await first.create({ recoveryHash });
    expect(await first.account()).toMatchObject({ identity });
    expect(await visit(first)).toBe('allow');

    const body = new TextEncoder().encode('{"amount":50}');
    const outgoing = { ...REQUEST, body, bodyDigest: sha256(body) };
    const headers = await first.signer.sign(outgoing, { nowMs: () => world.clock.nowMs() } as never);
    expect(await outcomeOf(world.judge({ ...REQUEST, headers }))).toBe('allow');

    await first.rotate();
    await first.rotate();
    const second = open();
    await first.link(await second.linkContainer(identity));
    expect(await visit(second)).toBe('allow');
    await second.rotate();
    const { device = '' } = (await second.account()) ?? {};
    await first.unlink(device);
    expect(await visit(second)).toBe('revoked');

    const nextRecovery = await newSigningKey();
    await first.changeRecovery(await v1RecoveryHash(nextRecovery));
    const third = open();
    const wrong = third.recover({ identity, recoveryKey, recoveryHash: await v1RecoveryHash(await newSigningKey()) });
    await expect(wrong).rejects.toMatchObject({ code: 'signature_invalid' });
    const order = { identity, recoveryKey: nextRecovery, recoveryHash: await v1RecoveryHash(await newSigningKey()) };
    await third.recover(order);
    expect(await visit(first)).toBe('revoked');
    expect(await visit(third)).toBe('allow');

    await third.deleteAccount();
    expect(await third.account()).toBeUndefined();
    await expect(third.rotate()).rejects.toMatchObject({ code: 'key_unusable' });
    expect(channel.sent.length).toBeGreaterThan(10);
  });

  test('refreshes before its token ends, and opens another session when this one has', async () => {
    const { world, open, recoveryHash, visit, channel } = await enter();
    const device = open();
    await device.create({ recoveryHash });
    for (let hour = 0; hour < 14; hour += 1) {
      expect(await visit(device)).toBe('allow');
      expect(await visit(device)).toBe('allow');
      world.clock.advance(3_600_000);
    }
    const asked = (path: string) => channel.sent.filter((sent) => sent.startsWith(path)).length;
    expect(asked('/session/create')).toBe(2);
    // One of them for a session that had ended.
    expect(asked('/session/refresh')).toBe(13);
  });

  test('goes on after a restart, with the token it had', async () => {
    const { open, recoveryHash, visit, channel } = await enter();
    const state = memoryState();
    await open(state).create({ recoveryHash });
    expect(await visit(open(state))).toBe('allow');
    const before = channel.sent.length;
    expect(await visit(open(state))).toBe('allow');
    expect(channel.sent).toHaveLength(before);
    await open(state).rotate();
    expect(await visit(open(state))).toBe('allow');
  });

  test('takes another token when its own is refused, after a restart too', async () => {
    const { world, open, recoveryHash, visit } = await enter();
    const state = memoryState();
    const { identity } = await open(state).create({ recoveryHash });
    expect(await visit(open(state))).toBe('allow');
    await admin(world, 'better-auth/v1/revoke', { subject: identity, sessions: true });
    world.clock.advance(6_000);
    const device = open(state);
    expect(await visit(device)).toBe('revoked');
    expect(await device.signer.refused({ code: 'revoked', parameters: new Map() }, [])).toBe(true);
    expect(await visit(device)).toBe('allow');
    expect(await visit(open(state))).toBe('allow');
    expect(await device.signer.refused({ code: 'signature_invalid', parameters: new Map() }, [])).toBe(false);
  });

  test('of many requests at once one asks for the token', async () => {
    const { world, open, recoveryHash, channel } = await enter();
    const device = open();
    await device.create({ recoveryHash });
    const bodies = await Promise.all(Array.from({ length: 20 }, (_, n) => device.accessMessage({ n })));
    expect(channel.sent.filter((sent) => sent.startsWith('/session/create'))).toHaveLength(1);
    for (const body of bodies) expect(await outcomeOf(world.judge(accessRequest(body)))).toBe('allow');
  });

  test('leaves by unlinking itself, committing to no key', async () => {
    const { open, recoveryHash, visit } = await enter();
    const [first, second] = [open(), open()];
    const { identity } = await first.create({ recoveryHash });
    await first.link(await second.linkContainer(identity));
    const { device = '' } = (await second.account()) ?? {};
    await second.unlink(device);
    expect(await second.account()).toBeUndefined();
    await expect(visit(second)).rejects.toMatchObject({ code: 'key_unusable' });
    expect(await visit(first)).toBe('allow');
  });

  test('with registration: token needs its invitation', async () => {
    const { world, open, recoveryHash } = await enter({ settings: { v1: { registration: 'token' } } });
    const order = { scheme: 'better-auth', user: null, replace: false, ttlMs: 60_000 };
    const { token: invitation } = await world.resources.invitations.issue('default', order);
    await expect(open().create({ recoveryHash })).rejects.toMatchObject({ code: 'signature_invalid' });
    await open().create({ recoveryHash, invitation });
  });

  test('tells a refusal by its code', async () => {
    const { open, recoveryHash, between } = await enter({ settings: { v1: { registration: 'closed' } } });
    await expect(open().create({ recoveryHash })).rejects.toMatchObject({ code: 'not_offered', status: 403 });
    for (const [status, code] of [
      [400, 'malformed'],
      [413, 'too_large'],
      [429, 'rate_limited'],
      [503, 'unavailable'],
      [500, 'answer_invalid'],
    ] as const) {
      between.interfere = async () => {
        throw new CountersignError('answer_invalid', '', { status, response: new Response('{}', { status }) });
      };
      await expect(open().create({ recoveryHash })).rejects.toMatchObject({ code, status });
    }
  });
});

describe('a reply', () => {
  const forged: readonly (readonly [string, (text: string) => string])[] = [
    ['with an error body under status 200', () => '{"error":{"code":"BA104","message":"x","context":{}}}'],
    ['of nothing', () => ''],
    ['that is no JSON', () => '<html>'],
    [
      'with another nonce, rightly signed',
      (text) => resigned(text, (payload) => payload.replace(/"nonce":"0A.{22}"/, `"nonce":"0A${'A'.repeat(22)}"`)),
    ],
    ['signed by another key that it names', (text) => byAnother(text)],
    ['with another signature', (text) => text.replace(/"signature":"0I[^"]*"/, `"signature":"${newKey().sign('x')}"`)],
    ['with an altered payload', (text) => text.replace('"response":{', '"response":{"x":1,')],
    ['without a signature', (text) => text.replace(/,"signature":"[^"]*"/, '')],
  ];

  test.each(forged)('%s changes nothing, and the same effect is asked for again', async (_title, forge) => {
    const { world, open, recoveryHash, between, visit } = await enter();
    const device = open();
    await device.create({ recoveryHash });
    between.interfere = async (_path, ask) => forge(await ask());
    await expect(device.rotate()).rejects.toMatchObject({ code: 'answer_invalid' });
    between.interfere = honest;
    world.store.calls.length = 0;
    await device.rotate();
    // It had been applied: only asked for again.
    expect(writesOf(world.store)).toEqual([]);
    expect(await visit(device)).toBe('allow');
    await device.rotate();
  });

  test('by a key that is not pinned is refused', async () => {
    const { open, recoveryHash } = await enter({ responseKeys: [newKey().word] });
    await expect(open().create({ recoveryHash })).rejects.toMatchObject({ code: 'answer_invalid' });
    const right = await enter({ responseKeys: [vectorKey('response-server').word] });
    await right.open().create({ recoveryHash });
  });
});

describe('a lost answer', () => {
  test.each([
    ['after it was applied', lost],
    ['before it was sent', unsent],
  ])('of any operation, %s: the same call again succeeds, and was applied once', async (_title, loss) => {
    const { world, open, recoveryKey, recoveryHash, between, visit } = await enter();
    const again = async <T>(run: () => Promise<T>): Promise<T> => {
      between.interfere = loss;
      await expect(run()).rejects.toThrow('fetch failed');
      between.interfere = honest;
      return run();
    };
    const first = open();
    const { identity } = await again(() => first.create({ recoveryHash }));
    await again(() => first.rotate());
    const second = open();
    const container = await second.linkContainer(identity);
    await again(() => first.link(container));
    expect(await visit(second)).toBe('allow');
    const { device = '' } = (await second.account()) ?? {};
    await again(() => first.unlink(device));
    const nextRecovery = await newSigningKey();
    const nextHash = await v1RecoveryHash(nextRecovery);
    await again(() => first.changeRecovery(nextHash));
    const third = open();
    const order = { identity, recoveryKey: nextRecovery, recoveryHash: await v1RecoveryHash(recoveryKey) };
    // The first recovery key was used before.
    await expect(third.recover(order)).rejects.toMatchObject({ code: 'malformed' });
    const fresh = { ...order, recoveryHash: await v1RecoveryHash(await newSigningKey()) };
    await again(() => third.recover(fresh));
    expect(await visit(third)).toBe('allow');
    await third.rotate();
    const key = world.resources.storeKey('r', 'default', 'v1-identity', identity);
    const record = JSON.parse((await world.store.get(key)) ?? '{}') as { devices: object };
    expect(Object.keys(record.devices)).toHaveLength(1);
  });

  test('of one operation is made good by the next one, whatever that is', async () => {
    const { open, recoveryHash, between, visit } = await enter();
    const state = memoryState();
    const device = open(state);
    await device.create({ recoveryHash });
    between.interfere = lost;
    await expect(device.rotate()).rejects.toThrow('fetch failed');
    between.interfere = honest;
    // Another process, that only reads the state.
    const later = open(state);
    expect(await visit(later)).toBe('allow');
    await later.changeRecovery(await v1RecoveryHash(await newSigningKey()));
    await later.rotate();
    expect(await visit(later)).toBe('allow');
  });

  test('a refusal that somebody made up does not part the device from its account', async () => {
    const { open, recoveryHash, between, visit } = await enter();
    const device = open();
    await device.create({ recoveryHash });
    const refused: Interfere = async (_path, ask) => {
      await ask();
      throw new CountersignError('answer_invalid', '', { status: 401, response: new Response('{}', { status: 401 }) });
    };
    for (let count = 0; count < 3; count += 1) {
      between.interfere = refused;
      await expect(device.rotate()).rejects.toMatchObject({ code: 'signature_invalid' });
      await expect(device.changeRecovery(await v1RecoveryHash(await newSigningKey()))).rejects.toMatchObject({
        status: 401,
      });
      between.interfere = honest;
      await device.rotate();
      expect(await visit(device)).toBe('allow');
    }
  });

  test('a refused wish is given up for another one', async () => {
    const { open, recoveryHash } = await enter();
    const device = open();
    const { device: own } = await device.create({ recoveryHash });
    const nobody = encodeBase64url(Buffer.alloc(32));
    await expect(device.unlink(`E${nobody}`)).rejects.toMatchObject({ code: 'malformed' });
    await device.rotate();
    await device.rotate();
    expect((await device.account())?.device).toBe(own);
  });

  test('of a refresh costs a session at most', async () => {
    const { world, open, recoveryHash, between, visit } = await enter();
    const device = open();
    await device.create({ recoveryHash });
    expect(await visit(device)).toBe('allow');
    world.clock.advance(900_000);
    between.interfere = lost;
    await expect(visit(device)).rejects.toThrow('fetch failed');
    between.interfere = honest;
    expect(await visit(device)).toBe('allow');
  });
});

/** As somebody in between could who has the response key of the deployment. */
function resigned(text: string, change: (payload: string) => string): string {
  const [, payload = ''] = /^\{"payload":(.*),"signature":"0I[^"]*"\}$/.exec(text) ?? [];
  const changed = change(payload);
  return `{"payload":${changed},"signature":"${vectorKey('response-server').sign(changed)}"}`;
}

function byAnother(text: string): string {
  const { word, sign } = newKey();
  const [, payload = ''] = /^\{"payload":(.*),"signature":"0I[^"]*"\}$/.exec(text) ?? [];
  const changed = payload.replace(/1AAI.{44}/, word);
  return `{"payload":${changed},"signature":"${sign(changed)}"}`;
}
