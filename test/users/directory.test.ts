/** User records, key index and cache: concurrent writers, tombstones, index repair, races of removal (CT-22). */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { StoreFault } from '../../src/core/fault.ts';
import { generateKeyPair, thumbprint } from '../../src/crypto/signatures.ts';
import { encodeBase64url } from '../../src/encoding/base64url.ts';
import { CACHE_MS, usersWorld } from './users-world.ts';

const newKey = (kid = 'k1', scheme = 'challenge-signature') => ({
  kid,
  scheme,
  jwk: generateKeyPair('Ed25519').publicJwk,
  expiresAt: null,
  replace: false,
});
const T = 'default';

describe('writers', () => {
  test('5 concurrent changes of one user are all kept, each with a version of its own', async () => {
    const { records } = usersWorld();
    const empty = { epoch: 0, disabled: false, deleted: false, attributes: {}, keys: [] };
    await records.update(T, 'alice', () => empty);
    const names = ['a', 'b', 'c', 'd', 'e'];
    const changes = names.map((name) =>
      records.update(T, 'alice', (before) => ({ ...empty, attributes: { ...before?.attributes, [name]: true } })),
    );
    await Promise.all(changes);
    const alice = await records.user(T, 'alice');
    expect(Object.keys(alice?.attributes ?? {}).toSorted()).toEqual(names);
    expect(alice?.v).toBe(6);
  });

  test('one that loses five races is told conflict, and writes nothing', async () => {
    const { records, store } = usersWorld();
    store.swap = async () => false;
    await expect(
      records.update(T, 'alice', () => ({ epoch: 0, disabled: false, deleted: false, attributes: {}, keys: [] })),
    ).rejects.toMatchObject({ code: 'conflict' });
    expect(store.calls.filter(({ verb }) => verb === 'get')).toHaveLength(5);
  });

  test('two replicas that register different keys at once keep both', async () => {
    const { replica, records } = usersWorld();
    await Promise.all([replica().keys.add(T, 'alice', newKey('k1')), replica().keys.add(T, 'alice', newKey('k2'))]);
    expect((await records.user(T, 'alice'))?.keys.map(({ kid }) => kid).toSorted()).toEqual(['k1', 'k2']);
  });
});

describe('keys', () => {
  test('one public key belongs to one user: another one is told conflict', async () => {
    const { replica } = usersWorld();
    const key = newKey();
    await replica().keys.add(T, 'alice', key);
    await expect(replica().keys.add(T, 'bob', key)).rejects.toMatchObject({ code: 'conflict' });
  });

  test('property: two users never hold one key, however their registrations interleave', async () => {
    const pauses = fc.array(fc.nat({ max: 6 }), { minLength: 40, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(pauses, async (given) => {
        const { replica, records, store } = usersWorld();
        const waits = [...given];
        for (const verb of ['get', 'swap'] as const) {
          const run = store[verb].bind(store) as (...args: unknown[]) => Promise<never>;
          store[verb] = async (...args: unknown[]) => {
            for (let turn = waits.pop() ?? 0; turn > 0; turn -= 1) await Promise.resolve();
            return run(...args);
          };
        }
        const key = newKey();
        await Promise.allSettled([replica().keys.add(T, 'alice', key), replica().keys.add(T, 'bob', key)]);
        const held = await Promise.all(
          ['alice', 'bob'].map(async (user) => (await records.user(T, user))?.keys.length ?? 0),
        );
        expect(held.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('another key under one id is conflict; the same key again adds a scheme and keeps its expiry', async () => {
    const { keys, records } = usersWorld();
    const key = { ...newKey(), expiresAt: 1_800_000_000_000 };
    expect(await keys.add(T, 'alice', key)).toEqual({ isNewKey: true, isNewUse: true });
    await expect(keys.add(T, 'alice', newKey('k1'))).rejects.toMatchObject({ code: 'conflict' });
    const { expiresAt: _, ...again } = { ...key, scheme: 'client-challenge' };
    expect(await keys.add(T, 'alice', again)).toEqual({ isNewKey: false, isNewUse: true });
    expect(await keys.add(T, 'alice', again)).toEqual({ isNewKey: false, isNewUse: false });
    expect((await records.user(T, 'alice'))?.keys).toMatchObject([
      { uses: ['challenge-signature', 'client-challenge'], expiresAt: key.expiresAt },
    ]);
  });

  test('the same key under another id of its user is conflict', async () => {
    const { keys } = usersWorld();
    const key = newKey();
    await keys.add(T, 'alice', key);
    await expect(keys.add(T, 'alice', { ...key, kid: 'k2' })).rejects.toMatchObject({ code: 'conflict' });
  });

  test('a user has at most 16', async () => {
    const { keys } = usersWorld();
    for (let n = 0; n < 16; n += 1) await keys.add(T, 'alice', newKey(`k${n}`));
    await expect(keys.add(T, 'alice', newKey('k16'))).rejects.toMatchObject({ code: 'conflict' });
  });

  test('a key refused leaves no index entry behind', async () => {
    const { keys, records } = usersWorld();
    await keys.add(T, 'alice', newKey());
    const other = newKey();
    await expect(keys.add(T, 'alice', other)).rejects.toMatchObject({ code: 'conflict' });
    expect((await records.ownerOf(T, thumbprint(other.jwk))).text).toBeNull();
  });

  test('replace removes the old key from the index, so that another user may have it', async () => {
    const { keys } = usersWorld();
    const old = newKey();
    await keys.add(T, 'alice', old);
    await keys.add(T, 'alice', { ...newKey(), replace: true });
    expect(await keys.add(T, 'bob', old)).toEqual({ isNewKey: true, isNewUse: true });
  });

  test('an index entry that names no user, or one who lacks the key, is overwritten', async () => {
    const { keys, records } = usersWorld();
    const key = newKey();
    await records.setOwner(T, thumbprint(key.jwk), null, { user: 'nobody', kid: 'k1' });
    await keys.add(T, 'alice', key);
    expect((await records.ownerOf(T, thumbprint(key.jwk))).owner).toEqual({ user: 'alice', kid: 'k1' });
  });

  test('withdrawing the last use removes the key and its index entry; of several uses only the one', async () => {
    const { keys, records } = usersWorld();
    const key = newKey();
    await keys.add(T, 'alice', key);
    await keys.add(T, 'alice', { ...key, scheme: 'client-challenge' });
    expect(await keys.withdraw(T, 'alice', 'challenge-signature', 'k1')).toBe(true);
    expect((await records.user(T, 'alice'))?.keys[0]?.uses).toEqual(['client-challenge']);
    expect(await keys.withdraw(T, 'alice', 'client-challenge', 'k1')).toBe(true);
    expect((await records.user(T, 'alice'))?.keys).toEqual([]);
    expect(await records.byThumbprint(T, encodeBase64url(thumbprint(key.jwk)))).toBeNull();
    expect(await keys.withdraw(T, 'alice', 'client-challenge', 'k1')).toBe(false);
  });

  test('removing a key races its registration by another user: that one keeps it', async () => {
    const { keys, records } = usersWorld();
    const key = newKey();
    await keys.add(T, 'alice', key);
    const digest = thumbprint(key.jwk);
    // The record is gone, the index entry not yet: bob registers in between.
    await records.update(T, 'alice', (before) => ({ ...before!, keys: [] }));
    await keys.add(T, 'bob', key);
    await records.removeOwner(T, digest, { user: 'alice', kid: 'k1' });
    expect((await records.ownerOf(T, digest)).owner).toEqual({ user: 'bob', kid: 'k1' });
  });
});

describe('tombstones', () => {
  test('a deleted user is unknown, keeps a raised epoch, and comes back with it', async () => {
    const { keys, records } = usersWorld();
    const key = newKey();
    await keys.add(T, 'alice', key);
    await keys.raiseEpoch(T, 'alice');
    expect(await keys.deleteUser(T, 'alice')).toBe(true);
    expect(await records.user(T, 'alice')).toBeNull();
    expect(await records.record(T, 'alice')).toMatchObject({ deleted: true, epoch: 2, keys: [], attributes: {} });
    expect(await keys.deleteUser(T, 'alice')).toBe(false);
    expect(await keys.raiseEpoch(T, 'alice')).toBeNull();
    await keys.add(T, 'bob', key); // Its key is free again.
    await keys.add(T, 'alice', newKey());
    expect(await records.user(T, 'alice')).toMatchObject({ deleted: false, epoch: 2, disabled: false });
  });

  test('ensure makes a user, leaves one as it is, and revives a tombstone', async () => {
    const { keys } = usersWorld();
    expect(await keys.ensure(T, 'alice')).toMatchObject({ v: 1, epoch: 0 });
    expect(await keys.ensure(T, 'alice')).toMatchObject({ v: 1 });
    await keys.deleteUser(T, 'alice');
    expect(await keys.ensure(T, 'alice')).toMatchObject({ deleted: false, epoch: 1 });
  });
});

describe('cache', () => {
  test('a revocation on another replica arrives after cacheTtl at the latest, an own one at once', async () => {
    const { keys, records, replica, clock } = usersWorld();
    await keys.add(T, 'alice', newKey());
    const other = replica();
    await other.records.user(T, 'alice');
    await keys.deleteUser(T, 'alice');
    expect(await records.user(T, 'alice')).toBeNull();
    clock.advance(CACHE_MS - 1);
    expect(await other.records.user(T, 'alice')).not.toBeNull();
    clock.advance(1);
    expect(await other.records.user(T, 'alice')).toBeNull();
  });

  test('records and misses cost one read of the store', async () => {
    const { records, store } = usersWorld();
    for (let n = 0; n < 3; n += 1) await records.user(T, 'nobody');
    expect(store.calls.map(({ verb }) => verb)).toEqual(['get']);
  });

  test('with the store down an old record serves only routes that allow it, and not for ever', async () => {
    const { keys, records, store, clock } = usersWorld();
    await keys.add(T, 'alice', newKey());
    await records.user(T, 'alice');
    store.before = () => {
      throw new StoreFault('down', 'gone');
    };
    clock.advance(CACHE_MS);
    await expect(records.user(T, 'alice')).rejects.toMatchObject({ reason: 'down' });
    expect(await records.user(T, 'alice', { storeFree: true })).not.toBeNull();
    clock.advance(60_000);
    await expect(records.user(T, 'alice', { storeFree: true })).rejects.toMatchObject({ reason: 'down' });
  });

  test('a record that is none is a fault, never an absent user', async () => {
    const { records, store, keys } = usersWorld();
    await keys.ensure(T, 'alice');
    const get = store.get.bind(store);
    for (const text of [
      '',
      'null',
      '[]',
      '{}',
      '{"v":1}',
      '{"v":1,"user":"alice","epoch":"0","disabled":false,"deleted":false,"attributes":{},"keys":[]}',
    ]) {
      store.get = async (key) => ((await get(key)) === null ? null : text);
      await expect(records.update(T, 'alice', () => null)).rejects.toMatchObject({ reason: 'protocol' });
    }
  });
});

test('tenants: users and keys of one do not exist in another (CT-26)', async () => {
  const { keys, records } = usersWorld();
  const key = newKey();
  await keys.add('acme', 'alice', key);
  expect(await records.user(T, 'alice')).toBeNull();
  expect(await records.byThumbprint(T, encodeBase64url(thumbprint(key.jwk)))).toBeNull();
  expect(await keys.add(T, 'bob', key)).toEqual({ isNewKey: true, isNewUse: true });
  expect(await records.byThumbprint('acme', encodeBase64url(thumbprint(key.jwk)))).toEqual({
    user: 'alice',
    kid: 'k1',
  });
});

test('users of the file win and can not be changed', async () => {
  const alice = {
    v: 0,
    user: 'alice',
    epoch: 0,
    disabled: true,
    deleted: false,
    attributes: {},
    keys: [],
    updatedAt: 0,
  };
  const { keys, records } = usersWorld(new Map([['alice', alice]]));
  expect(await records.user(T, 'alice')).toEqual(alice);
  await expect(keys.add(T, 'alice', newKey())).rejects.toMatchObject({ code: 'conflict' });
  expect(await records.user('acme', 'alice')).toBeNull();
});

test('current looks past the cache: another replica ended the sessions, or deleted the user', async () => {
  const world = usersWorld();
  const other = world.replica();
  await world.keys.ensure(T, 'alice');
  await world.records.user(T, 'alice');
  await other.keys.raiseEpoch(T, 'alice');
  expect((await world.records.user(T, 'alice'))?.epoch).toBe(0);
  expect((await world.keys.current(T, 'alice'))?.epoch).toBe(1);
  await other.keys.deleteUser(T, 'alice');
  expect(await world.keys.current(T, 'alice')).toBeNull();
  expect(await world.keys.current(T, 'nobody')).toBeNull();
});
