/** The profile `seed`: the document's own client comes in unchanged, and what else its server would have taken does not. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { jwtVerify } from 'jose';
import { sign } from '../../../src/crypto/signatures.ts';
import { toHex, utf8 } from '../../../src/encoding/bytes.ts';
import { clientChallenge } from '../../../src/schemes/client-challenge/index.ts';
import { createSeedMessageReader } from '../../../src/schemes/client-challenge/message.ts';
import * as v from 'valibot';
import { b64 } from '../../support/bytes.ts';
import { codeOf, faultOf, outcomeOf } from '../../support/refused.ts';
import { createSchemeWorld, START_MS, type SchemeWorld, type WorldOptions } from '../../support/scheme-world.ts';
import { writesOf } from '../../support/watched-store.ts';
import {
  AUDIENCE,
  carrying,
  claimsOf,
  GET,
  type KeyPair,
  newKey,
  registered,
  seedLogin,
  seedMessage,
  SETTINGS,
  thumbprintText,
} from './prover.ts';

const WINDOW_MS = 300_000;
const OPEN = { profiles: ['seed'], accounts: 'open' };

let world: SchemeWorld;
let key: KeyPair;
function open(settings: object = OPEN, options: WorldOptions = {}): void {
  world = createSchemeWorld(clientChallenge, { settings: { ...SETTINGS, ...settings }, ...options });
  key = newKey();
}
beforeEach(() => open());

const login = (body: object, path = '/auth') => world.post(path, body);
const outcome = (body: object) => outcomeOf(login(body));
const publicKeyOf = ({ publicJwk }: KeyPair) => `0x${toHex(b64(publicJwk.x))}`;
const at = (ms: number) => seedLogin(key, ms);

describe.each(['/auth', '/api/v1/auth'])('%s', (path) => {
  test('answers a login with a token and nothing else; the token names the key', async () => {
    const answer = await login(at(START_MS), path);
    expect(Object.keys(answer)).toEqual(['token']);
    const token = String(answer['token']);
    expect(claimsOf(token)).toMatchObject({
      aud: AUDIENCE,
      sub: thumbprintText(key),
      iat: START_MS / 1000,
      exp: START_MS / 1000 + 86_400,
      public_key: publicKeyOf(key),
    });
    expect(await world.judge(carrying(GET, token))).toMatchObject({
      subject: thumbprintText(key),
      attributes: { auth: { public_key: publicKeyOf(key) } },
    });
  });
});

test('one login at both addresses is one login: replayed', async () => {
  await login(at(START_MS), '/auth');
  expect(await codeOf(login(at(START_MS), '/api/v1/auth'))).toBe('replayed');
});

test('two logins of one key in a second are one, in the next second another', async () => {
  expect(await outcome(at(START_MS))).toBe('allow');
  expect(await outcome(at(START_MS + 999))).toBe('replayed');
  expect(await outcome(at(START_MS + 1000))).toBe('allow');
});

test('a user of the directory is that user, with attributes of its own beside the key', async () => {
  await registered(world, 'alice', key);
  const { token } = await login(at(START_MS));
  expect(await world.judge(carrying(GET, String(token)))).toMatchObject({
    subject: 'alice',
    attributes: { role: 'admin', auth: { public_key: publicKeyOf(key) } },
  });
});

test('where accounts are listed a stranger is unknown_credential', async () => {
  open({ profiles: ['seed'] });
  expect(await outcome(at(START_MS))).toBe('unknown_credential');
  expect(writesOf(world.store)).toEqual([]);
});

test.each([
  [-WINDOW_MS - 1000, 'not_yet_valid'],
  [-WINDOW_MS, 'allow'],
  [WINDOW_MS, 'allow'],
  [WINDOW_MS + 1000, 'stale'],
])('a login judged %i ms after it was dated: %s (CT-05)', async (ageMs, wanted) => {
  expect(await outcome(at(START_MS - ageMs))).toBe(wanted);
});

test('after a loss of the store it waits for the whole window: recovering, then a new one passes', async () => {
  world.store.horizon = START_MS + 1;
  const fault = await faultOf(login(at(START_MS)));
  expect([fault.reason, fault.retryAfterSeconds]).toEqual(['recovering', 301]);
  world.clock.advance(301_000);
  expect(await outcome(at(world.clock.nowMs()))).toBe('allow');
});

describe('messages', () => {
  const good = () => `ConnectOnion-Auth-${publicKeyOf(key)}-1700000000`;
  test.each<[string, (message: string) => string]>([
    ['another label', (message) => message.replace('ConnectOnion', 'Onion')],
    ['the label of somebody else before ours', (message) => `evil-${message}`],
    ['a field more', (message) => message.replace(/-([0-9]+)$/, '-extra-$1')],
    ['a field less', (message) => message.replace('-Auth', '')],
    ['text that only ends in a fresh number', () => 'I owe Bob 5 euros-1700000000'],
    ['text behind the number', (message) => `${message}x`],
    ['a newline behind the number', (message) => `${message}\n`],
    ['a newline before it', (message) => `\n${message}`],
    ['a sign', (message) => message.replace('-1700000000', '-+1700000000')],
    ['a fraction', (message) => `${message}.5`],
    ['an exponent', (message) => message.replace('1700000000', '17e8')],
    ['a leading zero', (message) => message.replace('1700000000', '0170000000')],
    ['nine digits', (message) => message.slice(0, -1)],
    ['eleven digits', (message) => `${message}0`],
    ['full-width digits', (message) => message.replace('1700000000', '１７００００００００')],
    ['Arabic-Indic digits', (message) => message.replace('1700000000', '١٧٠٠٠٠٠٠٠٠')],
    ['milliseconds', (message) => message.replace('1700000000', '1700000000000')],
    [
      'the key in upper case',
      (message) => message.toUpperCase().replace('CONNECTONION-AUTH-0X', 'ConnectOnion-Auth-0x'),
    ],
    ['another key', (message) => message.replace(publicKeyOf(key), publicKeyOf(newKey()))],
    ['no key', (message) => message.replace(`-${publicKeyOf(key)}`, '')],
  ])('refused with malformed though signed: %s', async (_what, change) => {
    expect(change(good())).not.toBe(good());
    expect(await outcome(seedMessage(key, change(good())))).toBe('malformed');
    expect(world.store.calls).toEqual([]);
    expect(await outcome(seedMessage(key, good()))).toBe('allow');
  });

  test('the label is the setting, taken literally', async () => {
    open({ ...OPEN, seedLabel: 'My_App-Login' });
    expect(await outcome(seedLogin(key, START_MS))).toBe('malformed');
    expect(await outcome(seedLogin(key, START_MS, 'My_App-Login'))).toBe('allow');
  });

  test('property: whatever the message, it is read whole or not at all', () => {
    const read = createSeedMessageReader('ConnectOnion-Auth');
    const pieces = fc.constantFrom('ConnectOnion', 'Auth', '-', publicKeyOf(newKey()), '1700000000', '\n', 'x', '0');
    const messages = fc.oneof(
      fc.string(),
      fc.array(pieces, { maxLength: 8 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(messages, (message) => {
        const result = read(message);
        if (result !== undefined) expect(message).toBe(`ConnectOnion-Auth-${result.publicKey}-${result.tMs / 1000}`);
      }),
    );
  });
});

describe('forms', () => {
  const isTaken = (body: object) => v.safeParse(world.scheme.endpoints[0]?.body ?? v.never(), body).success;
  test.each([
    ['a member more', { tenant: 'other' }],
    ['a key without 0x', { public_key: 'ab'.repeat(32) }],
    ['a key in upper case', { public_key: `0x${'AB'.repeat(32)}` }],
    ['a key of 33 bytes', { public_key: `0x${'ab'.repeat(33)}` }],
    ['a signature in upper case', { signature: 'AB'.repeat(64) }],
    ['a signature with 0x', { signature: `0x${'ab'.repeat(64)}` }],
    ['a signature too short', { signature: 'ab'.repeat(63) }],
    ['a message of 301 characters', { message: 'x'.repeat(301) }],
  ])('the front refuses with malformed: %s', (_what, changes) => {
    expect(isTaken(at(START_MS))).toBe(true);
    expect(isTaken({ ...at(START_MS), ...changes })).toBe(false);
  });

  test('a key of small order is malformed: the document’s library would take any signature of it', async () => {
    const publicKey = `0x01${'00'.repeat(31)}`;
    const body = {
      public_key: publicKey,
      message: `ConnectOnion-Auth-${publicKey}-1700000000`,
      signature: '01'.padEnd(128, '0'),
    };
    expect(await outcome(body)).toBe('malformed');
  });

  test('a signature over another message is signature_invalid and spends nothing', async () => {
    const signature = toHex(sign(key.privateJwk, utf8('something else')));
    expect(await outcome({ ...at(START_MS), signature })).toBe('signature_invalid');
    expect(writesOf(world.store)).toEqual([]);
    expect(await outcome(at(START_MS))).toBe('allow');
  });
});

describe('HS256 on request', () => {
  const SECRET = 'a secret that other services of ours have too';
  const shared = { ...OPEN, seedHs256: { secretFile: '/secret', kid: 'seed-1' } };

  test('tokens are made by the secret, which other services verify with, and pass here', async () => {
    open(shared, { secrets: { '/secret': SECRET }, ring: [] });
    const { token } = await login(at(START_MS));
    const { payload, protectedHeader } = await jwtVerify(String(token), utf8(SECRET), {
      currentDate: new Date(START_MS),
      algorithms: ['HS256'],
    });
    expect(protectedHeader).toEqual({ alg: 'HS256', kid: 'seed-1', typ: 'JWT' });
    expect(payload['public_key']).toBe(publicKeyOf(key));
    expect(await outcomeOf(world.judge(carrying(GET, String(token))))).toBe('allow');
  });

  test('a secret under 32 bytes is refused at start, and not shown', () => {
    const create = () => open(shared, { secrets: { '/secret': 'x'.repeat(31) } });
    expect(create).toThrow('schemes.client-challenge.seedHs256.secretFile: expected at least 32 bytes');
    open(shared, { secrets: { '/secret': 'x'.repeat(32) } });
  });

  test('logins of the profile strict are signed by the ring nonetheless', () => {
    open({ ...shared, profiles: ['seed', 'strict'] }, { secrets: { '/secret': SECRET } });
    const { keyUses } = clientChallenge;
    expect(keyUses(world.settings)).toEqual(['token-signing']);
    open(shared, { secrets: { '/secret': SECRET }, ring: [] });
    expect(keyUses(world.settings)).toEqual([]);
  });
});
