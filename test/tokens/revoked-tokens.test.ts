/** The end of a single token: how long its mark lives, and what the administrator is told. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { StoreFault } from '../../src/core/fault.ts';
import { storeKey } from '../../src/crypto/store-key.ts';
import { clientChallenge } from '../../src/schemes/client-challenge/index.ts';
import {
  carrying,
  claimsOf,
  GET,
  type KeyPair,
  newKey,
  registered,
  SETTINGS,
  tokenOf,
} from '../schemes/client-challenge/prover.ts';
import { codeOf, faultOf, outcomeOf } from '../support/refused.ts';
import { createSchemeWorld, SKEW_MS, START_MS, type SchemeWorld } from '../support/scheme-world.ts';

let world: SchemeWorld;
let key: KeyPair;
beforeEach(async () => {
  world = createSchemeWorld(clientChallenge, { settings: { ...SETTINGS, revokedTokens: true } });
  key = newKey();
  await registered(world, 'alice', key);
});

const endpoint = () =>
  world.scheme.endpoints.find(({ path, listener }) => path === 'revoke-token' && listener === 'admin');
async function revoke(body: object): Promise<object> {
  const { body: schema, handle } = endpoint() ?? {};
  const call = {
    raw: new Uint8Array(0),
    header: () => undefined,
    source: '',
    owner: 'o',
    receivedAtMs: world.clock.nowMs(),
    signal: new AbortController().signal,
  };
  const answer = await handle?.({ ...call, body: v.parse(schema ?? v.never(), body) });
  return { status: answer?.status, body: answer?.body };
}
const expiryOf = (token: string) => Number(claimsOf(token)['exp']) * 1000;

test('ends this token and no other of the user, at once', async () => {
  const [token, other] = [await tokenOf(world, key), await tokenOf(world, key)];
  const jti = String(claimsOf(token)['jti']);
  expect(await outcomeOf(world.judge(carrying(GET, token)))).toBe('allow');
  expect(await revoke({ jti, expiresAtMs: expiryOf(token) })).toEqual({
    status: 200,
    body: { jti, expiresAtMs: expiryOf(token) },
  });
  expect(await outcomeOf(world.judge(carrying(GET, token)))).toBe('revoked');
  expect(await outcomeOf(world.judge(carrying(GET, other)))).toBe('allow');
});

test('the mark outlives the token on every clock: to its last instant on one that is behind, stale from then on', async () => {
  const token = await tokenOf(world, key);
  const jti = String(claimsOf(token)['jti']);
  await revoke({ jti, expiresAtMs: expiryOf(token) });
  const [put] = world.store.calls.filter(({ verb }) => verb === 'put');
  const mark = storeKey('x', 'client-challenge', 'revoked', jti);
  // Until exp + skew - 1 a replica accepts it; a skew for the writer's clock and one for the reader's.
  expect([put?.key, ...(put?.rest ?? [])]).toEqual([mark.text, '1', 600_000 + SKEW_MS - 1 + 2 * SKEW_MS + 1]);
  expect(mark.durable).toBe(true);
  world.clock.advance(600_000 + SKEW_MS - 1);
  expect(await outcomeOf(world.judge(carrying(GET, token)))).toBe('revoked');
  world.clock.advance(1);
  expect(await outcomeOf(world.judge(carrying(GET, token)))).toBe('stale');
});

test('of another tenant is another token', async () => {
  await registered(world, 'alice', key, { tenant: 'other' });
  const token = await tokenOf(world, key, 'other');
  const named = { jti: String(claimsOf(token)['jti']), expiresAtMs: expiryOf(token) };
  await revoke(named);
  const judge = () => outcomeOf(world.judge(carrying(GET, token), { policy: { tenant: 'other' } }));
  expect(await judge()).toBe('allow');
  await revoke({ ...named, tenant: 'other' });
  expect(await judge()).toBe('revoked');
});

test('a time that has passed on every clock, or was told in seconds, is malformed: nothing was revoked', async () => {
  const jti = 'EBESExQVFhcYGRobHB0eHw';
  expect(await codeOf(revoke({ jti, expiresAtMs: START_MS / 1000 }))).toBe('malformed');
  expect(await codeOf(revoke({ jti, expiresAtMs: START_MS - 3 * SKEW_MS }))).toBe('malformed');
  expect(await revoke({ jti, expiresAtMs: START_MS - 3 * SKEW_MS + 1 })).toMatchObject({ status: 200 });
});

describe('form', () => {
  const given = { jti: 'EBESExQVFhcYGRobHB0eHw', expiresAtMs: START_MS + 1 };
  test.each([
    [{ ...given, jti: 'short' }],
    [{ ...given, jti: 'EBESExQVFhcYGRobHB0eHx' }],
    [{ ...given, expiresAtMs: '1' }],
    [{ ...given, expiresAtMs: 1.5 }],
    [{ ...given, expiresAtMs: -1 }],
    [{ ...given, subject: 'alice' }],
    [{ jti: given.jti }],
    [{ expiresAtMs: 1 }],
  ])('refuses %j', (body) => {
    expect(v.safeParse(endpoint()?.body ?? v.any(), given).success).toBe(true);
    expect(v.safeParse(endpoint()?.body ?? v.any(), body).success).toBe(false);
  });
});

test('with the store down the administrator gets a fault, and so does a token', async () => {
  const token = await tokenOf(world, key);
  await world.judge(carrying(GET, token));
  world.store.before = () => {
    throw new StoreFault('down', 'no connection');
  };
  expect((await faultOf(revoke({ jti: String(claimsOf(token)['jti']), expiresAtMs: expiryOf(token) }))).reason).toBe(
    'down',
  );
  expect((await faultOf(world.judge(carrying(GET, token)))).reason).toBe('down');
});

test('where it would have no effect the call is not there', () => {
  const without = createSchemeWorld(clientChallenge, { settings: SETTINGS });
  expect(without.scheme.endpoints.map(({ path }) => path)).toEqual(['token']);
});
