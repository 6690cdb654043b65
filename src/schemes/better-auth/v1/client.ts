/**
 * A device of a v1 account for the client library: each message shows the key that the one before committed to. Keys and state are kept
 * before a message that relies on them is sent, and what was sent and not answered is sent again, for the same effect, before anything
 * else: a message left behind would stay good for whoever holds it. Messages are `client-issuer.ts`, sessions `client-session.ts`.
 * Browser-safe.
 */
import { CountersignError } from '../../../core/client-error.ts';
import type { ClientState, SigningKey } from '../../../core/signer.ts';
import { loadBlake3 } from '../../../encoding/blake3.ts';
import { hashText } from '../../../encoding/cesr.ts';
import { members, text, type BetterAuthAccess } from '../client-reply.ts';
import { isRefusal, v1Issuer } from './client-issuer.ts';
import { clientSession, type ClientSession, type KeptSession } from './client-session.ts';
import { envelope, keyWord, type Operation, signatureWord } from './message.ts';

export interface V1Account {
  readonly identity: string;
  readonly device: string;
}

export interface V1Device extends ClientSession {
  /** Undefined before the device has one. */
  account(): Promise<V1Account | undefined>;
  /**
   * Makes an account with this device as its first. Call it again when it throws.
   *
   * @param order.recoveryHash of a key that is kept apart, by `v1RecoveryHash`. @param order.invitation where registration needs one.
   * @throws {CountersignError}
   */
  create(order: { readonly recoveryHash: string; readonly invitation?: string }): Promise<V1Account>;
  /**
   * Takes an account over with its recovery key: every other device ends. Call it again when it throws.
   *
   * @param order.recoveryHash of the recovery key that takes its place.
   * @throws {CountersignError}
   */
  recover(order: {
    readonly identity: string;
    readonly recoveryKey: SigningKey;
    readonly recoveryHash: string;
  }): Promise<V1Account>;
  /** Text that a device of the account gives to its own `link`; from then on this device belongs to it. @throws {CountersignError} */
  linkContainer(identity: string): Promise<string>;
  /** Each of these shows the next key. Call it again when it throws. @throws {CountersignError} */
  rotate(): Promise<void>;
  link(container: string): Promise<void>;
  unlink(device: string): Promise<void>;
  changeRecovery(recoveryHash: string): Promise<void>;
  deleteAccount(): Promise<void>;
}

/** H of a recovery key: all that the deployment is told of it until it is used. */
export async function v1RecoveryHash(recoveryKey: Pick<SigningKey, 'publicJwk'>): Promise<string> {
  return hashText(await loadBlake3(), keyWord(recoveryKey));
}

interface DeviceText extends V1Account {
  /** Keys are named `device-<number>`; the next one is committed to. */
  readonly key: number;
  /** Whether the deployment knows the device. */
  readonly isKnown: boolean;
  /** Sent, for the same next key, and not answered: as a rule one at most. */
  readonly pending: readonly Pending[];
  readonly session?: KeptSession | undefined;
}

interface Pending {
  readonly operation: Operation;
  /** What is asked for besides the keys, as text: two that are equal ask for the same. */
  readonly wish: string;
  readonly request: object;
  /** Key that the device has once it is answered. */
  readonly key: number;
  /** The device has no account once it is answered. */
  readonly isLast?: boolean;
}

/** What an operation asks for besides the next key. */
interface Wanted {
  readonly authentication?: object;
  readonly more?: object;
  /** Whether it takes the account from the device that asks. */
  isLast?(own: string): boolean;
}

/** More wishes than that, each refused, are no lost replies. */
const MAX_PENDING = 8;

/** @param state the device's own: what is lost here is lost for good, but for the recovery key. */
export function v1Device({ state, ...access }: BetterAuthAccess & { readonly state: ClientState }): V1Device {
  const issuer = v1Issuer(access);

  async function read(): Promise<DeviceText | undefined> {
    const kept = await state.read();
    return kept === undefined ? undefined : (JSON.parse(kept) as DeviceText);
  }
  const write = (device: DeviceText): Promise<void> => state.write(JSON.stringify(device));
  const known = async (): Promise<DeviceText> => {
    const device = await read();
    if (device?.isKnown === true) return device;
    return unusable('the device has no account yet: create, link or recover one');
  };
  const keyOf = (number: number): Promise<SigningKey> => state.key(`device-${number}`);

  /** Shows this key and commits to the next; both are kept. */
  async function shown(number: number): Promise<{ publicKey: string; rotationHash: string }> {
    const [current, next] = [await keyOf(number), await keyOf(number + 1)];
    return { publicKey: keyWord(current), rotationHash: await issuer.hash(keyWord(next)) };
  }

  async function send(
    device: DeviceText,
    pending: Pending,
    signer?: SigningKey,
    headers?: Readonly<Record<string, string>>,
  ): Promise<void> {
    const others = device.pending.filter(
      ({ operation, wish }) => operation !== pending.operation || wish !== pending.wish,
    );
    await write({ ...device, pending: [...others, pending].slice(-MAX_PENDING) });
    await issuer.call(pending.operation, pending.request, signer ?? (await keyOf(pending.key)), headers);
    const { isLast = false, key } = pending;
    await write({ ...device, key, isKnown: !isLast, pending: [], session: isLast ? undefined : device.session });
    if (key !== device.key) await state.forget(`device-${device.key}`);
    if (isLast) for (const number of [key, key + 1]) await state.forget(`device-${number}`);
  }

  /** @returns the device, with nothing on its way that the deployment takes, and what it took. */
  async function settled(): Promise<{ device: DeviceText; done: Pending | undefined }> {
    const device = await known();
    for (const pending of device.pending) {
      try {
        await send(device, pending);
        return { device: (await read()) ?? device, done: pending };
      } catch (thrown) {
        // A refusal proves nothing: it stays in the list, and is asked for again should the next message be refused too.
        if (!isRefusal(thrown)) throw thrown;
      }
    }
    return { device: await known(), done: undefined };
  }

  function chain(operation: Operation, wanted: Wanted = {}): Promise<void> {
    const { authentication = {}, more = {}, isLast = () => false } = wanted;
    const wish = JSON.stringify([authentication, more]);
    return state.exclusive(async () => {
      const { device, done } = await settled();
      if (done?.operation === operation && done.wish === wish) return;
      if (!device.isKnown) unusable('the device has no account any more');
      const { identity, device: id } = device;
      const key = device.key + 1;
      const keys = await shown(key);
      // Of a device that leaves: its next key is never shown, so it is not committed to either.
      const rotationHash = isLast(id) ? await issuer.hash(keys.rotationHash) : keys.rotationHash;
      const all = { device: id, identity, ...keys, rotationHash, ...authentication };
      const request = { authentication: sortedMembers(all), ...more };
      await send(device, { operation, wish, request, key, isLast: isLast(id) });
    });
  }

  /** The first message of a device; its name is a hash of the keys in it. */
  async function firstOf(identityOf: (keys: { publicKey: string; rotationHash: string }) => Promise<string>) {
    const keys = await shown(0);
    const device = await issuer.hash(keys.publicKey, keys.rotationHash);
    return { ...keys, device, identity: await identityOf(keys) };
  }

  async function begin(
    operation: Operation,
    first: V1Account & object,
    more: object,
    signer?: SigningKey,
    headers?: Readonly<Record<string, string>>,
  ): Promise<V1Account> {
    const { identity, device } = first;
    if ((await read())?.isKnown === true) unusable('the device has an account already: use another state');
    const request = { authentication: sortedMembers({ ...first, ...more }) };
    const fresh: DeviceText = { identity, device, key: 0, isKnown: false, pending: [] };
    await send(fresh, { operation, wish: '', request, key: 0 }, signer, headers);
    return { identity, device };
  }

  const session = clientSession(issuer, {
    state,
    load: async () => (await known()).session,
    save: async (kept) => write({ ...(await known()), session: kept }),
    async open(asked) {
      const { device } = await settled();
      const { identity, device: id, key } = device;
      const { authentication } = await issuer.call('session/request', { authentication: { identity } });
      const nonce = text(members(authentication)['nonce']);
      const request = { access: asked, authentication: { device: id, nonce } };
      const response = await issuer.call('session/create', request, await keyOf(key));
      return text(members(response['access'])['token']);
    },
  });

  return {
    ...session,

    async account() {
      const device = await read();
      return device?.isKnown === true ? { identity: device.identity, device: device.device } : undefined;
    },

    create: ({ recoveryHash, invitation }) =>
      state.exclusive(async () => {
        const first = await firstOf(({ publicKey, rotationHash }) =>
          issuer.hash(publicKey, rotationHash, recoveryHash),
        );
        const headers = invitation === undefined ? undefined : { 'countersign-registration': invitation };
        return begin('account/create', first, { recoveryHash }, undefined, headers);
      }),

    recover: ({ identity, recoveryKey, recoveryHash }) =>
      state.exclusive(async () => {
        const first = await firstOf(async () => identity);
        const more = { recoveryHash, recoveryKey: keyWord(recoveryKey) };
        return begin('account/recover', first, more, recoveryKey);
      }),

    linkContainer: (identity) =>
      state.exclusive(async () => {
        if ((await read())?.isKnown === true) unusable('the device has an account already: use another state');
        const first = await firstOf(async () => identity);
        const payload = JSON.stringify({ authentication: sortedMembers(first) });
        await write({ identity, device: first.device, key: 0, isKnown: true, pending: [] });
        return envelope(payload, await signatureWord(await keyOf(0), payload));
      }),

    rotate: () => chain('device/rotate'),
    link: (container) => chain('device/link', { more: { link: JSON.parse(container) as object } }),
    unlink: (device) => chain('device/unlink', { more: { link: { device } }, isLast: (own) => own === device }),
    changeRecovery: (recoveryHash) => chain('recovery/change', { authentication: { recoveryHash } }),
    deleteAccount: () => chain('account/delete', { isLast: () => true }),
  };
}

/** As public clients write them. */
function sortedMembers(object: object): object {
  return Object.fromEntries(Object.entries(object).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function unusable(why: string): never {
  throw new CountersignError('key_unusable', why);
}
