import { describe, expect, test } from '@jest/globals';
import type { UserRecord } from '../../src/core/directory.ts';
import { StoreFault } from '../../src/core/fault.ts';
import { generateKeyPair, thumbprint } from '../../src/crypto/signatures.ts';
import { encodeBase64url } from '../../src/encoding/base64url.ts';
import { algOf } from '../../src/encoding/jwk.ts';
import { CACHE_MS, usersWorld } from './users-world.ts';

const T = 'default';

function newKey(kid = 'k1') {
  const jwk = generateKeyPair('Ed25519').publicJwk;
  return { kid, jwk, scheme: 'challenge-signature', replace: false };
}

describe('a write', () => {
  test('is seen at once in its own process, though a read that began before it ends after it', async () => {
    const { keys, records, store } = usersWorld();
    await keys.add(T, 'alice', newKey());
    const get = store.get.bind(store);
    const gate = Promise.withResolvers<void>();
    store.get = async (key) => {
      const read = await get(key);
      await gate.promise;
      return read;
    };
    const early = records.user(T, 'alice');
    store.get = get;
    await keys.raiseEpoch(T, 'alice');
    gate.resolve();
    expect((await early)?.epoch).toBe(0);
    expect((await records.user(T, 'alice'))?.epoch).toBe(1);
  });

  test('whose answer was lost drops the entry too, since it may have run', async () => {
    const { keys, records, store } = usersWorld();
    await keys.add(T, 'alice', newKey());
    await records.user(T, 'alice');
    const swap = store.swap.bind(store);
    store.swap = async (...call) => {
      await swap(...call);
      throw new StoreFault('timeout', 'no answer in time');
    };
    await expect(keys.raiseEpoch(T, 'alice')).rejects.toMatchObject({ reason: 'timeout' });
    store.swap = swap;
    expect((await records.user(T, 'alice'))?.epoch).toBe(1);
  });

  test('of a key ends the miss that was cached for it', async () => {
    const { keys, records } = usersWorld();
    const key = newKey();
    const name = encodeBase64url(thumbprint(key.jwk));
    expect(await records.byThumbprint(T, name)).toBeNull();
    await keys.add(T, 'alice', key);
    expect(await records.byThumbprint(T, name)).toEqual({ user: 'alice', kid: 'k1' });
    await keys.withdraw(T, 'alice', 'challenge-signature', 'k1');
    expect(await records.byThumbprint(T, name)).toBeNull();
  });
});

test('a miss never serves while the store is down: an account that names itself would pass by it', async () => {
  const { records, store, clock } = usersWorld();
  expect(await records.user(T, 'nobody', { storeFree: true })).toBeNull();
  store.before = () => {
    throw new StoreFault('down', 'gone');
  };
  clock.advance(CACHE_MS);
  await expect(records.user(T, 'nobody', { storeFree: true })).rejects.toMatchObject({ reason: 'down' });
});

describe('a user of the file', () => {
  const key = newKey();
  const name = encodeBase64url(thumbprint(key.jwk));
  const alice: UserRecord = {
    v: 0,
    user: 'alice',
    epoch: 0,
    disabled: false,
    deleted: false,
    attributes: {},
    keys: [
      { kid: 'k1', alg: algOf(key.jwk), jwk: key.jwk, uses: ['challenge-signature'], addedAt: 0, expiresAt: null },
    ],
    updatedAt: 0,
  };
  const fixed = new Map([['alice', alice]]);

  test('is found by key, in its own tenant alone', async () => {
    const { records } = usersWorld(fixed);
    expect(await records.byThumbprint(T, name)).toEqual({ user: 'alice', kid: 'k1' });
    expect(await records.byThumbprint('acme', name)).toBeNull();
  });

  test('costs the same first look as a stranger: time does not tell who is in the file', async () => {
    const { records, store } = usersWorld(fixed);
    const stranger = encodeBase64url(thumbprint(newKey().jwk));
    const looks = async (look: () => Promise<unknown>) => {
      store.calls.length = 0;
      await look();
      return store.calls.map(({ verb }) => verb);
    };
    expect(await looks(() => records.user(T, 'alice'))).toEqual(await looks(() => records.user(T, 'nobody')));
    expect(await looks(() => records.user(T, 'alice'))).toEqual([]);
    expect(await looks(() => records.byThumbprint(T, name))).toEqual(
      await looks(() => records.byThumbprint(T, stranger)),
    );
    expect(await looks(() => records.current(T, 'alice'))).toEqual(await looks(() => records.current(T, 'nobody')));
  });

  test('wins over a record of its name', async () => {
    const { records, replica, store } = usersWorld(fixed);
    const get = store.get.bind(store);
    store.get = async () => JSON.stringify({ ...alice, disabled: true, v: 7 });
    expect((await records.user(T, 'alice'))?.disabled).toBe(false);
    expect((await replica().records.user(T, 'bob'))?.disabled).toBe(true);
    store.get = get;
  });

  test('serves a route that needs no store as long as a record would', async () => {
    const { records, store, clock } = usersWorld(fixed);
    await records.user(T, 'alice');
    store.before = () => {
      throw new StoreFault('down', 'gone');
    };
    clock.advance(CACHE_MS);
    expect(await records.user(T, 'alice', { storeFree: true })).toEqual(alice);
    await expect(records.user(T, 'alice')).rejects.toMatchObject({ reason: 'down' });
  });

  test('is shown to the administrator and keeps its key: another who registers it gets conflict', async () => {
    const { keys, call, records } = usersWorld(fixed);
    expect(await call('POST', '/admin/v1/users/lookup', { subject: 'alice' })).toMatchObject({ status: 200 });
    await expect(keys.add(T, 'mallory', key)).rejects.toMatchObject({ code: 'conflict' });
    expect(await records.user(T, 'mallory')).toBeNull();
    expect(await keys.ensure(T, 'alice')).toEqual(alice);
  });
});
