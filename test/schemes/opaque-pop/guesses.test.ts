/** What bounds guessing: a message evaluated with a user's OPRF key tests one password, whatever call it was sent by. */
import { describe, expect, test } from '@jest/globals';
import { client, ready } from '@serenity-kit/opaque';
import { toHex } from '../../../src/encoding/bytes.ts';
import { b64 } from '../../support/bytes.ts';
import { outcomeOf } from '../../support/refused.ts';
import { popWorld, type PopWorld } from './pop-world.ts';

await ready;

const OPEN = { profiles: ['strict', 'seed'], seedOpenRegistration: true };
const KE1 = b64(client.startLogin({ password: 'guess' }).startLoginRequest);
/** The same blinded element as a registration request. */
const BLINDED = KE1.subarray(0, 32);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');

/** The evaluated element: first in both answers. */
const evaluated = (answer: Record<string, unknown>, member = 'response') =>
  toHex(b64(String(answer[member])).subarray(0, 32));

const startLogin = (world: PopWorld, user: string, tenant = 'default') =>
  world.post('login/start', { user, request: text(KE1), tenant });
const openRegistration = (world: PopWorld, username: string, source?: string) =>
  world.post('/register/start', { username, reg_request_hex: toHex(BLINDED) }, source);
async function invitedRegistration(world: PopWorld, user: string, tenant = 'default') {
  const invitation = await world.invite(user, false, tenant);
  return world.post('register/start', { user, invitation, request: text(BLINDED), tenant });
}

test('a registration evaluates with the key of the logins, so it is as good for guessing', async () => {
  const world = await popWorld({ settings: OPEN });
  const atLogin = evaluated(await startLogin(world, 'alice'));
  expect(String((await openRegistration(world, 'alice'))['reg_response_hex']).slice(0, 64)).toBe(atLogin);
  expect(evaluated(await invitedRegistration(world, 'alice'))).toBe(atLogin);
});

describe('rate_limited after ten in a minute for one user from one address', () => {
  test.each([
    ['open registrations', (world: PopWorld) => openRegistration(world, 'alice')],
    ['registrations by invitation', (world: PopWorld) => invitedRegistration(world, 'alice')],
  ])('%s, and logins have none left', async (_title, evaluate) => {
    const world = await popWorld({ settings: OPEN });
    const outcomes = [];
    for (let count = 0; count < 11; count += 1) outcomes.push(await outcomeOf(evaluate(world)));
    expect(outcomes).toEqual([...Array<string>(10).fill('allow'), 'rate_limited']);
    expect(await outcomeOf(startLogin(world, 'alice'))).toBe('rate_limited');
    expect(await outcomeOf(startLogin(world, 'bob'))).toBe('allow');
  });
});

test('open registrations from many addresses meet the bound of the user', async () => {
  const world = await popWorld({ settings: OPEN });
  const outcomes = [];
  for (let count = 0; count < 61; count += 1)
    outcomes.push(await outcomeOf(openRegistration(world, 'alice', `198.51.100.${count}`)));
  expect(outcomes.filter((outcome) => outcome === 'allow')).toHaveLength(60);
});

test('a name in another tenant has another key: what is asked there, uncounted here, tells nothing', async () => {
  const world = await popWorld();
  const here = evaluated(await startLogin(world, 'alice'));
  expect(evaluated(await startLogin(world, 'alice', 'acme'))).not.toBe(here);
  expect(evaluated(await invitedRegistration(world, 'alice', 'acme'))).not.toBe(here);
  expect(evaluated(await startLogin(world, 'alice', 'acme'))).toBe(
    evaluated(await invitedRegistration(world, 'alice', 'acme')),
  );
});
