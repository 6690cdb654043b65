/**
 * Clients of v0 for the client library: a device, whose key is followed by one that it committed to, and a passphrase. Keys and state
 * are kept before a message that relies on them is sent. Messages are `client-issuer.ts`, sessions `client-session.ts`. Browser-safe.
 */
import { CountersignError } from '../../../core/client-error.ts';
import { within } from '../../../core/clock.ts';
import type { ClientState } from '../../../core/signer.ts';
import { newNonce } from '../../../encoding/cesr.ts';
import { clientSession, type ClientSession, type KeptSession, messageKey, randomBytes } from './client-session.ts';
import { type Deriving, type MessageKey, passphraseKey } from './client-passphrase.ts';
import { members, text, type BetterAuthAccess } from '../client-reply.ts';
import { v0Issuer, type V0Issuer } from './client-issuer.ts';

export interface V0Device extends Omit<ClientSession, 'drop'> {
  /** Undefined before it is registered. */
  account(): Promise<{ readonly accountId: string; readonly deviceId: string } | undefined>;
  /** @param material as the administrator, or another method of the account, handed it out. @throws {CountersignError} */
  register(material: string): Promise<{ readonly accountId: string; readonly deviceId: string }>;
  /** Replaces the device's key, as after a theft: all of its sessions end. Call it again when it throws. @throws {CountersignError} */
  rotate(): Promise<void>;
  /** Material for one more device of the account, or for its passphrase. @throws {CountersignError} */
  requestRegistration(kind: 'key' | 'passphrase'): Promise<string>;
}

interface DeviceText {
  readonly accountId: string;
  readonly deviceId: string;
  /** Keys are named by number; the next one is committed to. */
  readonly key: number;
  /** A rotation to the next one was sent and not answered. */
  readonly isRotating: boolean;
  readonly session?: KeptSession | undefined;
}

/** @param state the device's own: what is lost here is lost for good. */
export function v0Device({ state, ...access }: BetterAuthAccess & { readonly state: ClientState }): V0Device {
  const issuer = v0Issuer(access);

  async function read(): Promise<DeviceText | undefined> {
    const kept = await state.read();
    return kept === undefined ? undefined : (JSON.parse(kept) as DeviceText);
  }
  const write = (device: DeviceText): Promise<void> => state.write(JSON.stringify(device));
  const registered = async (): Promise<DeviceText> =>
    (await read()) ?? unusable('the device is not registered: register it with material');
  const keyOf = async (number: number): Promise<MessageKey> => messageKey(await state.key(`device-${number}`));

  const session = clientSession(
    issuer,
    {
      load: async () => (await read())?.session,
      save: async (kept) => write({ ...(await registered()), session: kept }),
      ...keysOf(state),
    },
    login,
  );

  async function login(): Promise<void> {
    const device = await registered();
    if (!device.isRotating) return loginWith(device, device.key);
    // Whether the rotation was applied, only the issuer knows: if it was, the next key works.
    try {
      await loginWith(device, device.key + 1);
    } catch (thrown) {
      if (!isRefusal(thrown)) throw thrown;
      await sendRotation(device);
      await loginWith(await registered(), device.key + 1);
    }
  }

  async function loginWith(device: DeviceText, key: number): Promise<void> {
    const { accountId, deviceId } = device;
    const opened = await openSession(issuer, state, async (refresh) => {
      const payload = { identification: { deviceId }, authentication: await challenge(accountId), refresh };
      return issuer.call('/authenticate/complete', payload, await keyOf(key));
    });
    await write({ ...device, key, isRotating: false, session: opened });
    if (key !== device.key) await state.forget(`device-${device.key}`);
    if (device.session !== undefined) await state.forget(device.session.key);
  }

  async function challenge(accountId: string): Promise<{ nonce: string }> {
    const { payload } = await issuer.call('/authenticate/begin', { identification: { accountId } });
    return { nonce: text(members(payload['authentication'])['nonce']) };
  }

  async function sendRotation(device: DeviceText): Promise<void> {
    const { accountId, deviceId, key } = device;
    const [current, next] = [await keyOf(key + 1), await keyOf(key + 2)];
    const publicKeys = { current: current.word, nextDigest: await issuer.hash(next.word) };
    await write({ ...device, isRotating: true });
    await issuer.call(
      '/rotate/key',
      { identification: { accountId, deviceId }, authentication: { publicKeys } },
      current,
    );
    await write({ ...device, key: key + 1, isRotating: false });
    await state.forget(`device-${key}`);
  }

  return {
    signer: session.signer,
    accessMessage: (request) => session.accessMessage(request),
    end: () => session.end(),

    async account() {
      const device = await read();
      return device && { accountId: device.accountId, deviceId: device.deviceId };
    },

    register: (material) =>
      state.exclusive(async () => {
        if ((await read()) !== undefined) unusable('the device is registered already: use another state');
        const { registration } = await issuer.readMaterial(material);
        const { token = null } = members(registration);
        // Of an attempt without an answer: if it came through, its token is spent, and its device nobody's.
        for (const number of [0, 1]) await state.forget(`device-${number}`);
        const [current, next] = [await keyOf(0), await keyOf(1)];
        const nextDigest = await issuer.hash(next.word);
        const deviceId = await issuer.hash(current.word + nextDigest);
        const payload = {
          registration: { token },
          identification: { deviceId },
          authentication: { publicKeys: { current: current.word, nextDigest } },
        };
        const { identification } = (await issuer.call('/register/key', payload, current)).payload;
        const accountId = text(members(identification)['accountId']);
        await write({ accountId, deviceId, key: 0, isRotating: false });
        return { accountId, deviceId };
      }),

    rotate: () =>
      state.exclusive(async () => {
        const device = await registered();
        if (device.isRotating) await login();
        else await sendRotation(device);
        await session.drop();
      }),

    requestRegistration: (kind) =>
      state.exclusive(async () => {
        const { isRotating } = await registered();
        if (isRotating) await login();
        const { accountId, deviceId, key } = await registered();
        const authentication = await challenge(accountId);
        const payload = { identification: { accountId, deviceId }, authentication, registration: { kind } };
        return (await issuer.call('/register/request', payload, await keyOf(key))).text;
      }),
  };
}

/** Sets the passphrase of an account. @param material of kind `passphrase`. @throws {CountersignError} */
export async function registerV0Passphrase(
  access: BetterAuthAccess,
  material: string,
  passphrase: string,
  deriving: Deriving = {},
): Promise<{ readonly accountId: string }> {
  const issuer = v0Issuer(access);
  const { registration, passphraseAuthentication } = await issuer.readMaterial(material);
  const { token = null } = members(registration);
  const key = await passphraseKey(passphrase, stretching(members(passphraseAuthentication)), deriving);
  const payload = { registration: { token }, passphraseAuthentication: { publicKey: key.word } };
  const { identification } = (await issuer.call('/register/passphrase-key', payload, key)).payload;
  return { accountId: text(members(identification)['accountId']) };
}

export interface V0Passphrase {
  readonly accountId: string;
  readonly passphrase: string;
}

/**
 * Logs in with a passphrase. The session goes on by itself until it ends; then whoever knows the passphrase logs in anew.
 *
 * @param access.state of this session: refresh key and nonces, never the passphrase.
 * @throws {CountersignError} `signature_invalid` for another passphrase, or no such account.
 */
export async function loginV0Passphrase(
  { state, ...access }: BetterAuthAccess & { readonly state: ClientState },
  credential: V0Passphrase,
  deriving: Deriving = {},
): Promise<ClientSession> {
  const issuer = v0Issuer(access);
  const session = v0PassphraseSession({ state, ...access });
  await state.exclusive(async () => {
    const opened = await openSession(issuer, state, async (refresh) => {
      const { proof, key } = await prove(issuer, credential, deriving);
      return issuer.call('/authenticate-passphrase/complete', { passphraseAuthentication: proof, refresh }, key);
    });
    await session.drop();
    await state.write(JSON.stringify(opened));
  });
  return session;
}

/** The session that a page or process before this one has opened: no passphrase needed. */
export function v0PassphraseSession({
  state,
  ...access
}: BetterAuthAccess & { readonly state: ClientState }): ClientSession {
  return clientSession(
    v0Issuer(access),
    {
      async load() {
        const kept = await state.read();
        return kept === undefined || kept === '' ? undefined : (JSON.parse(kept) as KeptSession);
      },
      save: (kept) => state.write(kept === undefined ? '' : JSON.stringify(kept)),
      ...keysOf(state),
    },
    async () => {
      throw new CountersignError('revoked', 'the session has ended: log in with the passphrase');
    },
  );
}

/** Material for a device of the account, or for another passphrase. @throws {CountersignError} */
export async function requestV0Registration(
  access: BetterAuthAccess,
  credential: V0Passphrase,
  kind: 'key' | 'passphrase',
  deriving: Deriving = {},
): Promise<string> {
  const issuer = v0Issuer(access);
  const { accountId } = credential;
  const { proof, key } = await prove(issuer, credential, deriving);
  const payload = { identification: { accountId }, passphraseAuthentication: proof, registration: { kind } };
  return (await issuer.call('/register/request', payload, key)).text;
}

/** The challenge is asked for twice when stretching took so long that the first one may have ended. */
async function prove(issuer: V0Issuer, { accountId, passphrase }: V0Passphrase, deriving: Deriving) {
  const begin = async () => {
    const { payload } = await issuer.call('/authenticate-passphrase/begin', { identification: { accountId } });
    return members(payload['passphraseAuthentication']);
  };
  const first = await begin();
  const startMs = performance.now();
  const key = await passphraseKey(passphrase, stretching(first), deriving);
  const { nonce } = within(0, Math.ceil(performance.now() - startMs), PATIENCE_MS) ? first : await begin();
  return { key, proof: { nonce: text(nonce), publicKey: key.word } };
}

/** Well within the shortest life of a challenge. */
const PATIENCE_MS = 4000;

async function openSession(
  issuer: V0Issuer,
  state: ClientState,
  complete: (refresh: object) => ReturnType<V0Issuer['call']>,
): Promise<KeptSession> {
  const nonce = newNonce(randomBytes);
  const key = `session-${newNonce(randomBytes)}`;
  const { word } = messageKey(await state.key(key));
  const { refresh } = (await complete({ publicKey: word, nonces: { nextDigest: await issuer.hash(nonce) } })).payload;
  return { id: text(members(refresh)['sessionId']), key, nonces: [nonce] };
}

function stretching({ parameters, salt }: ReturnType<typeof members>) {
  return { parameters: text(parameters), salt: text(salt) };
}

function isRefusal(thrown: unknown): boolean {
  return thrown instanceof CountersignError && thrown.code === 'signature_invalid';
}

function unusable(why: string): never {
  throw new CountersignError('key_unusable', why);
}

function keysOf({ key, forget, exclusive }: ClientState) {
  return { key, forget, exclusive };
}
