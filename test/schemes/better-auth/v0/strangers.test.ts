/** What a stranger can learn: nothing from answers, nothing from what they cost (BA-28, W16, W25). */
import { describe, expect, test } from '@jest/globals';
import { wireCode } from '../../../../src/core/decision.ts';
import { textDigest } from '../../../../src/crypto/blake3.ts';
import { denialOf } from '../../../support/refused.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import {
  admin,
  betterAuthWorld,
  challenge,
  completeMessage,
  completePassphraseMessage,
  type Device,
  endMessage,
  envelope,
  issue,
  label,
  loggedIn,
  newKey,
  newPassphraseKey,
  nonce,
  passphraseChallenge,
  refreshMessage,
  registered,
  registeredPassphrase,
  registerKeyMessage,
  registerPassphraseMessage,
  rotateMessage,
  send,
} from './prover.ts';

/** What was asked of the store, and how many signatures were verified, for one message. */
async function costOf(world: SchemeWorld, run: () => Promise<unknown>) {
  world.store.calls.length = 0;
  const before = world.verifications;
  await run();
  return {
    verbs: world.store.calls.map(({ verb, key }) => `${verb} ${key.slice(0, 1)}`),
    verifications: world.verifications - before,
  };
}

async function refusalOf(world: SchemeWorld, path: string, body: string) {
  let told: unknown;
  const cost = await costOf(world, async () => {
    const { code, form, options } = await denialOf(send(world, path, body));
    told = [wireCode(code), form, options];
  });
  return { told, ...cost };
}

async function wrongPassphrase(world: SchemeWorld, accountId: string): Promise<string> {
  const { nonce: given } = await passphraseChallenge(world, accountId);
  return completePassphraseMessage(newPassphraseKey(), given, newKey(), nonce());
}

const deleted = async (world: SchemeWorld): Promise<Device> => {
  const device = await registered(world);
  await admin(world, 'v0/revoke', { subject: device.accountId, account: true });
  return device;
};

/** Refusals that must be alike: something wrong with what is there, and with what is not. */
const ALIKE: Readonly<
  Record<string, (world: SchemeWorld) => Promise<readonly [path: string, bodies: readonly string[]]>>
> = {
  async 'registration of a key'(world) {
    const [mine, other] = [newKey(), newKey()];
    const { token } = await issue(world);
    const forged = (of: string) =>
      envelope(
        {
          registration: { token: of },
          identification: { deviceId: label() },
          authentication: { publicKeys: { current: mine.word } },
        },
        other,
      );
    return ['/register/key', [forged(token), forged(label()), registerKeyMessage(label(), label(), mine, other)]];
  },
  async 'registration of a passphrase'(world) {
    const { token } = await issue(world);
    return [
      '/register/passphrase-key',
      [token, label()].map((one) => registerPassphraseMessage(one, newPassphraseKey())),
    ];
  },
  async rotation(world) {
    const [device, gone] = [await registered(world), await deleted(world)];
    const unknown = { ...device, accountId: label() };
    const otherDevice = { ...device, deviceId: label() };
    return ['/rotate/key', [device, unknown, otherDevice, gone].map((one) => rotateMessage(one, newKey(), newKey()))];
  },
  async 'login of a device'(world) {
    const [device, gone] = [await registered(world), await deleted(world)];
    const at = async (accountId: string, deviceId: string) =>
      completeMessage(deviceId, newKey(), await challenge(world, accountId), newKey(), nonce());
    return [
      '/authenticate/complete',
      [
        await at(device.accountId, device.deviceId),
        await at(device.accountId, label()),
        await at(label(), device.deviceId),
        await at(gone.accountId, gone.deviceId),
        completeMessage(device.deviceId, device.current, nonce(), newKey(), nonce()),
      ],
    ];
  },
  async 'login by passphrase'(world) {
    const [{ accountId }, device, gone] = [
      await registeredPassphrase(world),
      await registered(world),
      await deleted(world),
    ];
    const bodies = [];
    for (const id of [accountId, device.accountId, label(), gone.accountId])
      bodies.push(await wrongPassphrase(world, id));
    bodies.push(completePassphraseMessage(newPassphraseKey(), nonce(), newKey(), nonce()));
    return ['/authenticate-passphrase/complete', bodies];
  },
  async refresh(world) {
    const session = await loggedIn(world, await registered(world));
    const forged = { ...session, refreshKey: newKey() };
    const unknown = { ...forged, sessionId: label() };
    return ['/refresh', [forged, unknown].map((one) => refreshMessage(one, nonce(), nonce(), newKey()))];
  },
  async 'end of a session'(world) {
    const session = await loggedIn(world, await registered(world));
    const forged = { ...session, refreshKey: newKey() };
    return ['/session/end', [forged, { ...forged, sessionId: label() }].map(endMessage)];
  },
  async 'request for a registration'(world) {
    const device = await registered(world);
    const at = async (accountId: string, deviceId: string) =>
      envelope(
        {
          identification: { accountId, deviceId },
          authentication: { nonce: await challenge(world, accountId) },
          registration: { kind: 'key' },
        },
        newKey(),
      );
    return [
      '/register/request',
      [
        await at(device.accountId, device.deviceId),
        await at(label(), device.deviceId),
        await at(device.accountId, label()),
      ],
    ];
  },
};

describe('refused alike, at equal cost', () => {
  test.each(Object.entries(ALIKE))('%s', async (_what, prepare) => {
    const world = betterAuthWorld();
    const [path, bodies] = await prepare(world);
    const [first, ...others] = await inTurn(bodies, (body) => refusalOf(world, path, body));
    expect(first?.told).toEqual(['signature_invalid', expect.anything(), {}]);
    expect(first?.verifications).toBe(1);
    for (const other of others) expect(other).toEqual(first);
  });
});

describe('challenges are handed out alike, at equal cost', () => {
  test.each(['/authenticate/begin', '/authenticate-passphrase/begin'])('%s', async (path) => {
    const world = betterAuthWorld();
    const known = await registered(world);
    const withPassphrase = await registeredPassphrase(world);
    const pending = await issue(world);
    const gone = await deleted(world);
    const ids = [known.accountId, withPassphrase.accountId, pending.subject, gone.accountId, label()];
    const answers = await inTurn(ids, async (accountId) => {
      let reply = '';
      const cost = await costOf(world, async () => {
        reply = await send(world, path, JSON.stringify({ identification: { accountId } }));
      });
      return { ...cost, shape: reply.replaceAll(/"(0A|0I|E)[A-Za-z0-9_-]+"/g, '"$1"') };
    });
    for (const answer of answers) expect(answer).toEqual(answers[0]);
  });
});

test('the store holds no token, nonce, refresh key in a key, and no account id in clear where a key names it (CT-16)', async () => {
  const world = betterAuthWorld();
  const { token } = await issue(world);
  const device = await registered(world);
  const session = await loggedIn(world, device);
  await send(world, '/refresh', refreshMessage(session, session.current, nonce(), newKey()));
  const kept = JSON.stringify(world.store.calls.map(({ key, rest, answer }) => [key, rest, answer]));
  for (const secret of [token, session.current, textDigest(token)]) expect(kept).not.toContain(secret);
  for (const { key } of world.store.calls) expect(key).toMatch(/^[cosrhx]:[A-Za-z0-9_-]{43}$/);
});

async function inTurn<In, Out>(values: readonly In[], run: (value: In) => Promise<Out>): Promise<Out[]> {
  const results: Out[] = [];
  for (const value of values) results.push(await run(value));
  return results;
}
