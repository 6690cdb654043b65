/** Passphrase keys on the server: what is stored, what strangers are told, how often one may guess (BA-23, BA-28). */
import { describe, expect, test } from '@jest/globals';
import { textDigest } from '../../../../src/crypto/blake3.ts';
import { preparePassphrase } from '../../../../src/schemes/better-auth/v0/client-passphrase.ts';
import { StoreFault } from '../../../../src/core/fault.ts';
import { codeOf, denialOf, faultOf } from '../../../support/refused.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import {
  admin,
  betterAuthWorld,
  completePassphraseMessage,
  type Key,
  label,
  loggedInByPassphrase,
  newKey,
  newPassphraseKey,
  nonce,
  type PassphraseAccount,
  passphraseChallenge,
  refreshed,
  registered,
  registeredPassphrase,
  send,
} from './prover.ts';

const DEFAULT = '$argon2id$v=19$m=262144,t=3,p=4$';

async function guess(world: SchemeWorld, accountId: string, key: Key, source = '203.0.113.9'): Promise<string> {
  const { nonce: given } = await passphraseChallenge(world, accountId, { source });
  return send(world, '/authenticate-passphrase/complete', completePassphraseMessage(key, given, newKey(), nonce()), {
    source,
  });
}

const told = (world: SchemeWorld, accountId: string) => passphraseChallenge(world, accountId);

test('the store holds a peppered digest: no passphrase key, nor its plain digest', async () => {
  const world = betterAuthWorld();
  const { accountId, key } = await registeredPassphrase(world);
  await loggedInByPassphrase(world, { accountId, key });
  const kept = JSON.stringify(world.store.calls.map(({ rest, answer }) => [rest, answer]));
  for (const secret of [key.word, key.word.slice(1), textDigest(key.word), textDigest(key.word).slice(1)])
    expect(kept).not.toContain(secret);
});

describe('a salt', () => {
  test("is the account's own from registration on; a new passphrase has a new one", async () => {
    const world = betterAuthWorld();
    const { accountId } = await registeredPassphrase(world);
    const first = await told(world, accountId);
    expect(first.parameters).toBe(DEFAULT);
    expect((await told(world, accountId)).salt).toBe(first.salt);
    await registeredPassphrase(world, { kind: 'passphrase', subject: accountId });
    expect((await told(world, accountId)).salt).not.toBe(first.salt);
  });

  test('is made up for an account without a passphrase, or none at all: always the same, each another', async () => {
    const world = betterAuthWorld();
    const { accountId } = await registered(world);
    const stranger = label();
    const salts = [];
    for (const id of [accountId, stranger, accountId, stranger]) salts.push((await told(world, id)).salt);
    expect(salts[0]).toBe(salts[2]);
    expect(salts[1]).toBe(salts[3]);
    expect(salts[0]).not.toBe(salts[1]);
    for (const salt of salts) expect(salt).toMatch(/^0A[A-D][A-Za-z0-9_-]{21}$/);
  });

  test('stays with its parameters when the settings change', async () => {
    const world = betterAuthWorld();
    const { accountId } = await registeredPassphrase(world);
    const before = await told(world, accountId);
    const later = betterAuthWorld({
      store: world.store,
      clock: world.clock,
      ring: world.ring,
      settings: { v0: { passphraseParameters: '$argon2id$v=19$m=65536,t=3,p=1$' } },
    });
    expect(await told(later, accountId)).toMatchObject({ parameters: DEFAULT, salt: before.salt });
    expect(await told(later, label())).toMatchObject({ parameters: '$argon2id$v=19$m=65536,t=3,p=1$' });
  });
});

describe('guessing', () => {
  test('five wrong ones from an address empty its bucket for the account: rate_limited, also for the right one', async () => {
    const world = betterAuthWorld();
    const { accountId, key } = await registeredPassphrase(world);
    for (let count = 0; count < 5; count += 1)
      expect(await codeOf(guess(world, accountId, newPassphraseKey()))).toBe('unknown_credential');
    const denial = await denialOf(guess(world, accountId, key));
    expect([denial.code, denial.options.retryAfterSeconds]).toEqual(['rate_limited', 180]);
    // Its owner elsewhere is not kept out, and other accounts are not charged.
    await guess(world, accountId, key, '198.51.100.7');
    await loggedInByPassphrase(world, await registeredPassphrase(world));
    world.clock.advance(180_000);
    await guess(world, accountId, key);
  });

  test('at once makes no more of them than one by one', async () => {
    const world = betterAuthWorld({
      settings: { limits: { challengePerAccountAndPeer: { rate: '1000/s', burst: 1000 } } },
    });
    const { accountId } = await registeredPassphrase(world);
    const codes = await Promise.all(
      Array.from({ length: 40 }, () => codeOf(guess(world, accountId, newPassphraseKey()))),
    );
    expect(codes.filter((code) => code === 'unknown_credential')).toHaveLength(5);
    expect(codes.filter((code) => code === 'rate_limited')).toHaveLength(35);
  });

  test('from a hundred addresses is bounded by the account, unknown ones alike', async () => {
    const world = betterAuthWorld();
    const { accountId, key } = await registeredPassphrase(world);
    for (const id of [accountId, label()]) {
      const codes = [];
      for (let count = 0; count < 60; count += 1)
        codes.push(await codeOf(guess(world, id, newPassphraseKey(), `198.51.100.${count}`)));
      expect(codes.filter((code) => code === 'unknown_credential')).toHaveLength(50);
      expect(codes.slice(50).every((code) => code === 'rate_limited')).toBe(true);
    }
    expect(await codeOf(guess(world, accountId, key, '192.0.2.1'))).toBe('rate_limited');
    world.clock.advance(72_000);
    await guess(world, accountId, key, '192.0.2.1');
  });

  test('right ones cost nothing, however many', async () => {
    const world = betterAuthWorld({
      settings: { limits: { challengePerAccountAndPeer: { rate: '1000/s', burst: 1000 } } },
    });
    const account = await registeredPassphrase(world);
    for (let count = 0; count < 60; count += 1) await loggedInByPassphrase(world, account);
  });

  test('with the store down nothing is judged, and nothing charged', async () => {
    const world = betterAuthWorld();
    const { accountId, key } = await registeredPassphrase(world);
    const { nonce: given } = await passphraseChallenge(world, accountId);
    const message = completePassphraseMessage(key, given, newKey(), nonce());
    for (let count = 0; count < 8; count += 1) {
      let gets = 0;
      world.store.before = () => {
        gets += 1;
        if (gets === 2) throw new StoreFault('down', 'no connection');
      };
      expect((await faultOf(send(world, '/authenticate-passphrase/complete', message))).reason).toBe('down');
    }
    world.store.before = () => {};
    await send(world, '/authenticate-passphrase/complete', message);
  });

  test('a challenge asked for by strangers keeps nobody out: the bucket holds their address', async () => {
    const world = betterAuthWorld();
    const { accountId, key } = await registeredPassphrase(world);
    for (let count = 0; count < 10; count += 1) await passphraseChallenge(world, accountId, { source: '198.51.100.7' });
    expect(await codeOf(passphraseChallenge(world, accountId, { source: '198.51.100.7' }))).toBe('rate_limited');
    await guess(world, accountId, key);
  });
});

describe('a passphrase that is taken back', () => {
  test('opens no session, ends those there are, and one set anew does not bring them back', async () => {
    const world = betterAuthWorld();
    const account: PassphraseAccount = await registeredPassphrase(world);
    const session = await loggedInByPassphrase(world, account);
    await refreshed(world, session);
    await admin(world, 'v0/revoke', { subject: account.accountId, passphrase: true });
    expect(await codeOf(refreshed(world, session))).toBe('revoked');
    expect(await codeOf(loggedInByPassphrase(world, account))).toBe('unknown_credential');
    const anew = await registeredPassphrase(world, { kind: 'passphrase', subject: account.accountId });
    expect(await codeOf(refreshed(world, session))).toBe('revoked');
    await loggedInByPassphrase(world, anew);
  });

  test('sessions made with one end where passphrases are switched off', async () => {
    const world = betterAuthWorld();
    const session = await loggedInByPassphrase(world, await registeredPassphrase(world));
    const strict = betterAuthWorld({
      store: world.store,
      clock: world.clock,
      ring: world.ring,
      settings: { v0: { passphrase: false } },
    });
    expect(await codeOf(refreshed(strict, session))).toBe('revoked');
  });
});

describe('text', () => {
  test.each([
    ['spaces of all kinds', 'a\u00a0b\u2003c\u3000d', 'a b c d'],
    ['two forms of one letter', 'Pa\u0308ss', 'P\u00e4ss'],
    ['a surrogate pair', '\ud83d\udd11', '\ud83d\udd11'],
    ['letter case, kept', 'PassWord', 'PassWord'],
    ['width, kept', '\uff21', '\uff21'],
  ])('%s', (_what, given, prepared) => {
    expect(new TextDecoder().decode(preparePassphrase(given))).toBe(prepared);
  });

  test.each(['', 'a\tb', 'a\nb', 'a\u007fb', 'a\u0085b', 'a\ud800b'])('refuses %j', (given) => {
    expect(() => preparePassphrase(given)).toThrow('key_unusable');
  });
});
