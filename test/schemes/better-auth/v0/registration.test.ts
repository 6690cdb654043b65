/** Registration: one token, one method, once (BA-21, and BA-06, BA-29 where they concern it). */
import { describe, expect, test } from '@jest/globals';
import { HttpProblem } from '../../../../src/core/http.ts';
import { textDigest } from '../../../../src/crypto/blake3.ts';
import { StoreFault } from '../../../../src/core/fault.ts';
import { codeOf, faultOf, outcomeOf, rejectionOf } from '../../../support/refused.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import {
  admin,
  betterAuthWorld,
  challenge,
  type Device,
  envelope,
  issue,
  type Issued,
  type Key,
  label,
  loggedIn,
  loggedInByPassphrase,
  newKey,
  newPassphraseKey,
  passphraseChallenge,
  payloadOf,
  registerDevice,
  registered,
  registeredPassphrase,
  registerKeyMessage,
  registerPassphraseMessage,
  rotated,
  send,
} from './prover.ts';

const DAY_MS = 86_400_000;

const problemOf = async (promise: Promise<unknown>): Promise<string> => {
  const thrown = await rejectionOf(promise);
  return thrown instanceof HttpProblem ? thrown.code : String(thrown);
};

const register = (world: SchemeWorld, token: string, key = newKey()) =>
  send(world, '/register/key', registerKeyMessage(token, label(), key, newKey()));

const lookup = (world: SchemeWorld, subject: string) => admin(world, 'v0/lookup', { subject });

async function requestedByDevice(
  world: SchemeWorld,
  device: Device,
  kind: string,
  key = device.current,
): Promise<Issued> {
  const { accountId, deviceId } = device;
  const authentication = { nonce: await challenge(world, accountId) };
  const message = envelope({ identification: { accountId, deviceId }, authentication, registration: { kind } }, key);
  const payload = payloadOf(await send(world, '/register/request', message));
  return { subject: accountId, token: payload.registration.token, payload };
}

/** @returns a token for a device. */
async function requestedByPassphrase(world: SchemeWorld, accountId: string, key: Key): Promise<string> {
  const { nonce } = await passphraseChallenge(world, accountId);
  const passphraseAuthentication = { nonce, publicKey: key.word };
  const message = envelope(
    { identification: { accountId }, passphraseAuthentication, registration: { kind: 'key' } },
    key,
  );
  return payloadOf(await send(world, '/register/request', message)).registration.token;
}

describe('a token', () => {
  test('makes an account, once', async () => {
    const world = betterAuthWorld();
    const { token, subject } = await issue(world);
    expect(await lookup(world, subject)).toMatchObject({ state: 'pending', devices: [] });
    const device = await registerDevice(world, token);
    expect(device.accountId).toBe(subject);
    expect(await lookup(world, subject)).toMatchObject({
      state: 'active',
      devices: [{ device: device.deviceId, canRotate: true }],
    });
    expect(await codeOf(register(world, token))).toBe('unknown_credential');
  });

  test('of 50 uses at once makes one device', async () => {
    const world = betterAuthWorld();
    const { token, subject } = await issue(world);
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => outcomeOf(register(world, token))));
    expect(outcomes.filter((outcome) => outcome === 'allow')).toHaveLength(1);
    expect(new Set(outcomes)).toEqual(new Set(['allow', 'unknown_credential']));
    expect((await lookup(world, subject))['devices']).toHaveLength(1);
  });

  test('of the other kind, unknown, or of another account is unknown_credential', async () => {
    const world = betterAuthWorld();
    const { token } = await issue(world);
    const { token: forPassphrase } = await issue(world, { kind: 'passphrase' });
    expect(await codeOf(register(world, forPassphrase))).toBe('unknown_credential');
    expect(await codeOf(register(world, label()))).toBe('unknown_credential');
    const wrongKind = registerPassphraseMessage(token, newPassphraseKey());
    expect(await codeOf(send(world, '/register/passphrase-key', wrongKind))).toBe('unknown_credential');
    // Neither was burnt.
    await register(world, token);
    await send(world, '/register/passphrase-key', registerPassphraseMessage(forPassphrase, newPassphraseKey()));
  });

  test('works in its last millisecond and not one later; a pending account is gone with it', async () => {
    const world = betterAuthWorld();
    const { token, subject } = await issue(world, { kind: 'key', lifetime: '1d' });
    world.clock.advance(DAY_MS - 1);
    expect(await lookup(world, subject)).toMatchObject({ state: 'pending' });
    await register(world, token);
    const late = await issue(world, { kind: 'key', lifetime: '1d' });
    world.clock.advance(DAY_MS + 1);
    expect(await codeOf(register(world, late.token))).toBe('unknown_credential');
    expect(await problemOf(lookup(world, late.subject))).toBe('not_found');
  });

  test('lives three days by default, whoever asks', async () => {
    const world = betterAuthWorld();
    const { expiresAtMs } = await admin(world, 'v0/registrations', { kind: 'key' });
    expect(expiresAtMs).toBe(world.clock.nowMs() + 3 * DAY_MS);
    const device = await registered(world);
    const { token } = await requestedByDevice(world, device, 'key');
    world.clock.advance(3 * DAY_MS + 1);
    expect(await codeOf(register(world, token))).toBe('unknown_credential');
  });

  test('that is spent is told so, also when its index can not be removed', async () => {
    const world = betterAuthWorld();
    const { token } = await issue(world);
    world.store.before = (verb) => {
      if (verb === 'delete') throw new StoreFault('timeout', 'no answer');
    };
    const device = await registerDevice(world, token);
    await loggedIn(world, device);
    expect(await codeOf(register(world, token))).toBe('unknown_credential');
  });

  test('is not burnt by a message that a stranger signed', async () => {
    const world = betterAuthWorld();
    const { token } = await issue(world);
    const [mine, other] = [newKey(), newKey()];
    const forged = envelope(
      {
        registration: { token },
        identification: { deviceId: label() },
        authentication: { publicKeys: { current: mine.word } },
      },
      other,
    );
    expect(await codeOf(send(world, '/register/key', forged))).toBe('signature_invalid');
    await register(world, token);
  });
});

describe('a registration that too few replicas of the store have', () => {
  /** The write is there; the store says so this many times. */
  function unreplicated(world: SchemeWorld, times: number): void {
    let left = times;
    const { swap } = world.store;
    world.store.swap = async (...args) => {
      const isSwapped = await swap(...args);
      left -= 1;
      if (left < 0) return isSwapped;
      throw new StoreFault('not_replicated', 'no replica');
    };
  }

  test('is written again up to three times, and is then there', async () => {
    const world = betterAuthWorld();
    const { token, subject } = await issue(world);
    unreplicated(world, 3);
    await register(world, token);
    expect((await lookup(world, subject))['devices']).toHaveLength(1);
  });

  test('is a fault after that; new material for the account helps', async () => {
    const world = betterAuthWorld();
    const { token, subject } = await issue(world);
    unreplicated(world, 4);
    expect((await faultOf(register(world, token))).reason).toBe('not_replicated');
    expect(await codeOf(register(world, token))).toBe('unknown_credential');
    await register(world, (await issue(world, { kind: 'key', subject })).token);
  });
});

describe('methods of one account', () => {
  test('the administrator, a device and the passphrase each add one more', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    const { accountId } = device;
    await registerDevice(world, (await issue(world, { kind: 'key', subject: accountId })).token);
    await registerDevice(world, (await requestedByDevice(world, device, 'key')).token);
    const { token } = await requestedByDevice(world, device, 'passphrase');
    const key = newPassphraseKey();
    await send(world, '/register/passphrase-key', registerPassphraseMessage(token, key));
    await registerDevice(world, await requestedByPassphrase(world, accountId, key));
    expect(await lookup(world, accountId)).toMatchObject({ passphrase: true });
    expect((await lookup(world, accountId))['devices']).toHaveLength(4);
  });

  test('a new passphrase takes the place of the old one, and ends its sessions', async () => {
    const world = betterAuthWorld();
    const account = await registeredPassphrase(world);
    await loggedInByPassphrase(world, account);
    const { token } = await issue(world, { kind: 'passphrase', subject: account.accountId });
    const key = newPassphraseKey();
    await send(world, '/register/passphrase-key', registerPassphraseMessage(token, key));
    expect(await codeOf(loggedInByPassphrase(world, account))).toBe('unknown_credential');
    await loggedInByPassphrase(world, { ...account, key });
  });

  test('the eighth device is the last: malformed, and the token is good once another one is gone', async () => {
    const world = betterAuthWorld();
    const { accountId, deviceId } = await registered(world);
    const add = async () => registerDevice(world, (await issue(world, { kind: 'key', subject: accountId })).token);
    for (let count = 1; count < 8; count += 1) await add();
    const { token } = await issue(world, { kind: 'key', subject: accountId });
    expect(await codeOf(registerDevice(world, token))).toBe('malformed');
    await admin(world, 'v0/revoke', { subject: accountId, device: deviceId });
    await registerDevice(world, token);
  });

  test('a device id or key that the account has is malformed', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    const { token } = await issue(world, { kind: 'key', subject: device.accountId });
    const sameId = registerKeyMessage(token, device.deviceId, newKey(), newKey());
    expect(await codeOf(send(world, '/register/key', sameId))).toBe('malformed');
    const former = device.current;
    await rotated(world, device);
    for (const key of [former, device.current]) {
      expect(await codeOf(register(world, token, key))).toBe('malformed');
    }
    await register(world, token);
  });

  test('without a next digest it never rotates, and where that is not allowed it is malformed', async () => {
    const world = betterAuthWorld();
    const { token, subject } = await issue(world);
    await send(world, '/register/key', registerKeyMessage(token, label(), newKey()));
    expect(await lookup(world, subject)).toMatchObject({ devices: [{ canRotate: false }] });
    const strict = betterAuthWorld({ settings: { v0: { allowWithoutRotation: false } } });
    const other = await issue(strict);
    expect(await codeOf(send(strict, '/register/key', registerKeyMessage(other.token, label(), newKey())))).toBe(
      'malformed',
    );
  });

  test('a commitment to the key that is shown is malformed', async () => {
    const world = betterAuthWorld();
    const { token } = await issue(world);
    const key = newKey();
    const message = envelope(
      {
        registration: { token },
        identification: { deviceId: label() },
        authentication: { publicKeys: { current: key.word, nextDigest: textDigest(key.word) } },
      },
      key,
    );
    world.store.calls.length = 0;
    expect(await codeOf(send(world, '/register/key', message))).toBe('malformed');
    expect(world.store.calls).toEqual([]);
  });
});

describe('RequestRegistration', () => {
  test('takes a challenge once, of its own account, signed by the current key', async () => {
    const world = betterAuthWorld();
    const [mine, other] = [await registered(world), await registered(world)];
    const nonce = await challenge(world, mine.accountId);
    const message = (device: Device, key = device.current) =>
      envelope(
        {
          identification: { accountId: device.accountId, deviceId: device.deviceId },
          authentication: { nonce },
          registration: { kind: 'key' },
        },
        key,
      );
    expect(await codeOf(send(world, '/register/request', message(mine, other.current)))).toBe('signature_invalid');
    expect(await codeOf(send(world, '/register/request', message(other)))).toBe('unknown_credential');
    // The account it names is not that of the challenge.
    expect(await codeOf(send(world, '/register/request', message({ ...mine, accountId: other.accountId })))).toBe(
      'signature_invalid',
    );
    await send(world, '/register/request', message(mine));
    expect(await codeOf(send(world, '/register/request', message(mine)))).toBe('unknown_credential');
  });

  test('a fifth waiting registration is malformed, for the administrator a conflict; expired ones do not count', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    for (let count = 0; count < 4; count += 1) await requestedByDevice(world, device, 'key');
    expect(await codeOf(requestedByDevice(world, device, 'key'))).toBe('malformed');
    expect(await problemOf(issue(world, { kind: 'key', subject: device.accountId }))).toBe('conflict');
    world.clock.advance(3 * DAY_MS + 1);
    await requestedByDevice(world, device, 'key');
    expect((await lookup(world, device.accountId))['registrations']).toHaveLength(1);
  });

  test.each(['rotation', 'removal'] as const)(
    'what a stolen key asked for ends with its %s; what others asked for does not',
    async (how) => {
      const world = betterAuthWorld();
      const device = await registered(world);
      const stolen = await requestedByDevice(world, device, 'key');
      const ordered = await issue(world, { kind: 'key', subject: device.accountId });
      if (how === 'rotation') await rotated(world, device);
      else await admin(world, 'v0/revoke', { subject: device.accountId, device: device.deviceId });
      expect(await codeOf(register(world, stolen.token))).toBe('unknown_credential');
      await register(world, ordered.token);
    },
  );

  test('by a method that is taken back while the message is judged is unknown_credential, and leaves nothing waiting', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    const { accountId, key } = await registeredPassphrase(world);
    const { take } = world.store;
    const revokedMeanwhile = (order: object) => {
      world.store.take = async (challengeKey) => {
        const text = await take(challengeKey);
        await admin(world, 'v0/revoke', order);
        return text;
      };
    };

    revokedMeanwhile({ subject: device.accountId, device: device.deviceId });
    expect(await codeOf(requestedByDevice(world, device, 'key'))).toBe('unknown_credential');
    expect((await lookup(world, device.accountId))['registrations']).toEqual([]);
    revokedMeanwhile({ subject: accountId, passphrase: true });
    expect(await codeOf(requestedByPassphrase(world, accountId, key))).toBe('unknown_credential');
    expect((await lookup(world, accountId))['registrations']).toEqual([]);
  });

  test('of kind passphrase is malformed where passphrases are off, and their endpoints are not there', async () => {
    const world = betterAuthWorld({ settings: { v0: { passphrase: false } } });
    const device = await registered(world);
    expect(await codeOf(requestedByDevice(world, device, 'passphrase'))).toBe('malformed');
    expect(await codeOf(issue(world, { kind: 'passphrase' }))).toBe('malformed');
    expect(world.scheme.endpoints.map(({ path }) => path).filter((path) => path.includes('passphrase'))).toEqual([]);
  });
});

describe('the administrator', () => {
  test('gives a new account attributes, and changes them', async () => {
    const world = betterAuthWorld();
    const device = await registered(world, { kind: 'key', attributes: { role: 'admin' } });
    expect(await lookup(world, device.accountId)).toMatchObject({ attributes: { role: 'admin' } });
    await admin(world, 'v0/attributes', { subject: device.accountId, attributes: { role: 'user' } });
    expect(await lookup(world, device.accountId)).toMatchObject({ attributes: { role: 'user' } });
  });

  test('attributes that no token has room for, beside the audience, are malformed', async () => {
    const world = betterAuthWorld({ settings: { audience: 'https://api.example.com' } });
    const device = await registered(world);
    const note = (length: number) => ({ note: 'x'.repeat(length) });
    const full = 4096 - JSON.stringify({ aud: 'https://api.example.com', note: '' }).length;
    await admin(world, 'v0/attributes', { subject: device.accountId, attributes: note(full) });
    const set = { subject: device.accountId, attributes: note(full + 1) };
    expect(await codeOf(admin(world, 'v0/attributes', set))).toBe('malformed');
    expect(await codeOf(issue(world, { kind: 'key', attributes: note(full + 1) }))).toBe('malformed');
  });

  test('looks up states and times: no key, no digest, no salt, no token', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    const { token, payload } = await requestedByDevice(world, device, 'passphrase');
    const told = JSON.stringify(await lookup(world, device.accountId));
    const { salt } = payload.passphraseAuthentication;
    for (const secret of [device.current.word, textDigest(device.next.word), token, salt])
      expect(told).not.toContain(secret);
  });

  test('an account that is not there is not_found, by every call', async () => {
    const world = betterAuthWorld();
    const subject = label();
    const calls: [string, object][] = [
      ['v0/lookup', { subject }],
      ['v0/attributes', { subject, attributes: {} }],
      ['v0/registrations', { kind: 'key', subject }],
      ['v0/revoke', { subject, account: true }],
      ['v0/revoke', { subject, device: label() }],
    ];
    for (const [path, body] of calls) expect(await problemOf(admin(world, path, body))).toBe('not_found');
    const device = await registered(world);
    for (const what of [{ device: label() }, { passphrase: true }])
      expect(await problemOf(admin(world, 'v0/revoke', { subject: device.accountId, ...what }))).toBe('not_found');
  });

  test('a deleted account stays deleted: no registration, no login, and its lookup says since when', async () => {
    const world = betterAuthWorld();
    const device = await registered(world);
    const { token } = await issue(world, { kind: 'key', subject: device.accountId });
    await admin(world, 'v0/revoke', { subject: device.accountId, account: true });
    expect(await lookup(world, device.accountId)).toEqual({
      subject: device.accountId,
      state: 'deleted',
      deletedAtMs: world.clock.nowMs(),
    });
    expect(await codeOf(register(world, token))).toBe('unknown_credential');
    expect(await codeOf(loggedIn(world, device))).toBe('unknown_credential');
    expect(await problemOf(issue(world, { kind: 'key', subject: device.accountId }))).toBe('not_found');
    expect(await problemOf(admin(world, 'v0/revoke', { subject: device.accountId, account: true }))).toBe('not_found');
  });
});
