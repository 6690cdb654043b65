/** Each operation of v0 with a message that succeeds, for tests that are about all of them. */
import { textDigest } from '../../../../src/crypto/blake3.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import {
  challenge,
  envelope,
  issue,
  type Key,
  label,
  loggedIn,
  newKey,
  newPassphraseKey,
  nonce,
  passphraseChallenge,
  registered,
  registeredPassphrase,
} from './prover.ts';

export interface Prepared {
  readonly path: string;
  readonly payload: object;
  /** Absent: nobody signs. */
  readonly key?: Key;
}

export const textOf = ({ payload, key }: Prepared): string =>
  key === undefined ? JSON.stringify(payload) : envelope(payload, key);

const newRefresh = () => ({ publicKey: newKey().word, nonces: { nextDigest: textDigest(nonce()) } });

/** By name; each call prepares an account of its own. */
export const OPERATIONS: Readonly<Record<string, (world: SchemeWorld) => Promise<Prepared>>> = {
  async RegisterAuthenticationKey(world) {
    const key = newKey();
    const publicKeys = { current: key.word, nextDigest: textDigest(newKey().word) };
    const payload = {
      registration: { token: (await issue(world)).token },
      identification: { deviceId: label() },
      authentication: { publicKeys },
    };
    return { path: '/register/key', payload, key };
  },

  async RegisterAuthenticationPassphraseKey(world) {
    const key = newPassphraseKey();
    const { token } = await issue(world, { kind: 'passphrase' });
    return {
      path: '/register/passphrase-key',
      payload: { registration: { token }, passphraseAuthentication: { publicKey: key.word } },
      key,
    };
  },

  async RotateAuthenticationKey(world) {
    const { accountId, deviceId, next: key } = await registered(world);
    const publicKeys = { current: key.word, nextDigest: textDigest(newKey().word) };
    return {
      path: '/rotate/key',
      payload: { identification: { accountId, deviceId }, authentication: { publicKeys } },
      key,
    };
  },

  async BeginAuthentication(world) {
    const { accountId } = await registered(world);
    return { path: '/authenticate/begin', payload: { identification: { accountId } } };
  },

  async CompleteAuthentication(world) {
    const { accountId, deviceId, current: key } = await registered(world);
    const authentication = { nonce: await challenge(world, accountId) };
    return {
      path: '/authenticate/complete',
      payload: { identification: { deviceId }, authentication, refresh: newRefresh() },
      key,
    };
  },

  async BeginPassphraseAuthentication(world) {
    const { accountId } = await registeredPassphrase(world);
    return { path: '/authenticate-passphrase/begin', payload: { identification: { accountId } } };
  },

  async CompletePassphraseAuthentication(world) {
    const { accountId, key } = await registeredPassphrase(world);
    const { nonce: given } = await passphraseChallenge(world, accountId);
    const passphraseAuthentication = { nonce: given, publicKey: key.word };
    return {
      path: '/authenticate-passphrase/complete',
      payload: { passphraseAuthentication, refresh: newRefresh() },
      key,
    };
  },

  async RefreshAccessToken(world) {
    const { sessionId, refreshKey: key, current } = await loggedIn(world, await registered(world));
    const nonces = { current, nextDigest: textDigest(nonce()) };
    return {
      path: '/refresh',
      payload: { refresh: { sessionId, nonces }, access: { publicKey: newKey().word } },
      key,
    };
  },

  async EndSession(world) {
    const { sessionId, refreshKey: key, current } = await loggedIn(world, await registered(world));
    return { path: '/session/end', payload: { refresh: { sessionId, nonces: { current } } }, key };
  },

  async 'RequestRegistration by device'(world) {
    const { accountId, deviceId, current: key } = await registered(world);
    const authentication = { nonce: await challenge(world, accountId) };
    return {
      path: '/register/request',
      payload: { identification: { accountId, deviceId }, authentication, registration: { kind: 'key' } },
      key,
    };
  },

  async 'RequestRegistration by passphrase'(world) {
    const { accountId, key } = await registeredPassphrase(world);
    const { nonce: given } = await passphraseChallenge(world, accountId);
    const passphraseAuthentication = { nonce: given, publicKey: key.word };
    return {
      path: '/register/request',
      payload: { identification: { accountId }, passphraseAuthentication, registration: { kind: 'key' } },
      key,
    };
  },
};
