/** Each cap at its value and one above (BA-29). */
import { describe, expect, test } from '@jest/globals';
import { betterAuthWorld, call } from '../world.ts';
import {
  chainMessage,
  challenge,
  created,
  createMessage,
  linked,
  linkMessage,
  newActor,
  requestSessionMessage,
  rotate,
  send,
  unlinkMessage,
} from './actor.ts';
import { admin } from '../world.ts';
import { textDigest } from '../../../../src/crypto/blake3.ts';

describe('devices', () => {
  test.each([1, 3, 12])('of an account, at most %i', async (maxDevices) => {
    const world = betterAuthWorld({ settings: { v1: { maxDevices } } });
    const actor = await created(world);
    for (let count = 1; count < maxDevices; count += 1) await linked(world, actor);
    const refused = await call(world, '/device/link', linkMessage(actor, newActor(actor.identity)));
    expect([refused.status, refused.error]).toEqual([400, 'BA104']);
    await rotate(world, actor);
  });

  test('lists of the record keep the newest: it never outgrows its 16 KiB', async () => {
    const world = betterAuthWorld({ settings: { v1: { maxDevices: 12 } } });
    const actor = await created(world);
    const full = { attributes: { text: 'x'.repeat(4000) }, subject: actor.identity };
    expect((await admin(world, 'better-auth/v1/attributes', full)).status).toBe(200);
    for (let count = 1; count < 12; count += 1) {
      const other = await linked(world, actor);
      for (let turn = 0; turn < 17; turn += 1) await rotate(world, other);
    }
    const key = world.resources.storeKey('r', 'default', 'v1-identity', actor.identity);
    const text = (await world.store.get(key)) ?? '';
    expect(text.length).toBeGreaterThan(10_000);
    expect(text.length).toBeLessThanOrEqual(16_384);
    const record = JSON.parse(text) as { devices: Record<string, { past: string[] }> };
    for (const { past } of Object.values(record.devices)) expect(past.length).toBeLessThanOrEqual(16);
    await rotate(world, actor);
  });

  test('what would outgrow the record is malformed and changes nothing', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    const key = world.resources.storeKey('r', 'default', 'v1-identity', actor.identity);
    const held = (await world.store.get(key)) ?? '';
    const padded = held.replace('"attributes":{}', `"attributes":{"text":"${'x'.repeat(16_384 - held.length - 12)}"}`);
    expect(padded.length).toBeLessThanOrEqual(16_384);
    await world.store.swap(key, held, padded, Infinity);
    const reply = await call(world, '/device/link', linkMessage(actor, newActor(actor.identity)));
    expect([reply.status, reply.code]).toEqual([400, 'malformed']);
    expect(await world.store.get(key)).toBe(padded);
  });

  test('32 revoked devices are remembered', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    const gone = [];
    for (let count = 0; count < 10; count += 1) {
      const other = await linked(world, actor);
      gone.push(other);
      await send(world, '/device/unlink', unlinkMessage(actor, other.device));
      actor.at += 1;
    }
    for (const other of gone)
      expect((await call(world, '/device/link', linkMessage(actor, other))).error).toBe('BA104');
  });
});

describe('buckets', () => {
  test('60 accounts in one burst from one address, the next waits; another address does not', async () => {
    const world = betterAuthWorld();
    for (let count = 0; count < 60; count += 1) await created(world);
    const refused = await call(world, '/account/create', createMessage(newActor()));
    expect([refused.status, refused.error, refused.code]).toEqual([429, 'CS429', 'rate_limited']);
    const elsewhere = await call(world, '/account/create', createMessage(newActor()), { source: '198.51.100.7' });
    expect(elsewhere.status).toBe(200);
    world.clock.advance(500);
    await created(world);
  });

  test('a message that makes no account costs none', async () => {
    const world = betterAuthWorld({ settings: { limits: { createPerPeer: { rate: '1/h', burst: 1 } } } });
    const wrong = createMessage(newActor(), { authentication: { identity: textDigest('x') } });
    for (let count = 0; count < 5; count += 1) expect((await call(world, '/account/create', wrong)).status).toBe(400);
    await created(world);
    expect((await call(world, '/account/create', createMessage(newActor()))).status).toBe(429);
  });

  test('10 challenges at once per account and address: a stranger elsewhere does not empty it', async () => {
    const world = betterAuthWorld();
    const actor = await created(world);
    for (let count = 0; count < 10; count += 1) await challenge(world, actor.identity);
    const text = requestSessionMessage(actor.identity);
    expect((await call(world, '/session/request', text)).error).toBe('CS429');
    expect((await call(world, '/session/request', requestSessionMessage(textDigest('x')))).status).toBe(200);
    expect((await call(world, '/session/request', text, { source: '198.51.100.7' })).status).toBe(200);
    world.clock.advance(1_000);
    await challenge(world, actor.identity);
  });

  test('400 messages at once per address, whatever they are, then 200 a second', async () => {
    const world = betterAuthWorld();
    for (let count = 0; count < 400; count += 1) expect((await call(world, '/device/rotate', 'x')).status).toBe(400);
    const actor = newActor();
    for (const [path, text] of [
      ['/device/rotate', chainMessage(actor)],
      ['/account/create', createMessage(actor)],
      ['/session/request', requestSessionMessage(actor.identity)],
      ['/session/request', 'x'],
      ['/key/response', ''],
    ] as const)
      expect([path, (await call(world, path, text)).status]).toEqual([path, 429]);
    expect((await call(world, '/better-auth/keys', '', { method: 'GET' })).status).toBe(429);
    world.clock.advance(5);
    expect((await call(world, '/account/create', createMessage(actor))).status).toBe(200);
  });
});
