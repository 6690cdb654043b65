/**
 * What time-scrambled keeps in the store.
 *
 * | record | class, parts | value | lifetime | absence means |
 * |---|---|---|---|---|
 * | chain | `h`: `chain`, id with lane | `record.ts` | none | deny, never "first use" |
 * | first-use permit | `o`: `first-use` | `first-use.ts` | as given, at most 1 h | deny |
 *
 * A reader of the store holds used tokens only, so he can forge nothing. Time keys are sealed.
 */
import { Fault } from '../../core/fault.ts';
import type { RingKey } from '../../core/keyring.ts';
import type { Resources } from '../../core/scheme.ts';
import type { Key } from '../../core/store.ts';
import { hmacSha512 } from '../../crypto/mac.ts';
import { isSealedWith, open, seal } from '../../crypto/seal.ts';
import { durable } from '../../crypto/store-key.ts';
import { fakeHeadBytes, TIME_KEY_BYTES, type Profile } from './message.ts';
import { formatRecord, parseRecord, type ChainRecord } from './record.ts';

const PURPOSE = 'time-scrambled chain';
const SALT_BYTES = 16;

/** A chain as it was read, or what stands in for one that is unknown. */
export interface HeldChain {
  readonly key: Key;
  /** What a swap compares with. Null when there is no record at all. */
  readonly text: string | null;
  readonly record: ChainRecord;
  /** No chain of this id and profile: at equal cost, with a head and a time key that nobody can know. */
  readonly isFake: boolean;
}

export interface ChainState {
  read(tenant: string, id: string, profile: Profile): Promise<HeldChain>;
  /** Of a `keyed` chain, 32 bytes. @throws {Fault} `sealed` */
  timeKey(chain: HeldChain): Uint8Array;
  /** @returns the time key as a record holds it. */
  sealTimeKey(key: Key, timeKey: Uint8Array): string;
  /**
   * The head moves on, unless somebody else moved it first: then false. A time key is sealed anew on the occasion, if its wrap key is
   * about to retire.
   *
   * @param isDurable it waits for replicas: a chain's beginning must not get lost.
   */
  advance(chain: HeldChain, next: ChainRecord, isDurable: boolean): Promise<boolean>;
  /**
   * The record as it is once more, which a store that lost its memory refuses.
   *
   * @param isDurable as when it was written: that write may have been refused because replicas lacked it.
   */
  confirm(chain: HeldChain, isDurable: boolean): Promise<boolean>;
  keyOf(tenant: string, id: string): Key;
}

export function createState(
  resources: Pick<Resources, 'store' | 'storeKey' | 'keyring' | 'random' | 'clock'>,
): ChainState {
  const { store, storeKey, keyring, random, clock } = resources;
  const keyOf = (tenant: string, id: string) => storeKey('h', tenant, 'chain', id);

  const sealTimeKey = (key: Key, timeKey: Uint8Array, wrapKey: RingKey = keyring.active('wrap')) =>
    seal({ wrapKey, purpose: PURPOSE, key, plaintext: timeKey, salt: random(SALT_BYTES) });
  const openTimeKey = (key: Key, sealed: string) =>
    open({ wrapKeys: keyring.usable('wrap'), purpose: PURPOSE, key, sealed });

  // An unknown chain's time key is not sealed, so another value is opened in its place, for the time that takes.
  const decoyKey = keyOf('default', '');
  let decoy: { readonly wrapKid: string; readonly sealed: string } | undefined;
  function sealedDecoy(): string {
    const wrapKey = keyring.active('wrap');
    if (decoy?.wrapKid !== wrapKey.kid)
      decoy = { wrapKid: wrapKey.kid, sealed: sealTimeKey(decoyKey, random(TIME_KEY_BYTES), wrapKey) };
    return decoy.sealed;
  }

  function fakeRecord(tenant: string, id: string, profile: Profile): ChainRecord {
    return {
      v: 1,
      id,
      user: '',
      epoch: 0,
      profile,
      head: hmacSha512(keyring.active('pepper').material, fakeHeadBytes(tenant, id)),
      index: 1,
      timeKey: profile === 'keyed' ? sealedDecoy() : null,
      pending: null,
      owner: null,
      proof: null,
      at: clock.nowMs(),
      isFirstUse: false,
    };
  }

  return {
    keyOf,
    async read(tenant, id, profile) {
      const key = keyOf(tenant, id);
      const text = await store.get(key);
      // Made and parsed for known chains too, so that unknown ones take no longer.
      const fakeText = formatRecord(fakeRecord(tenant, id, profile));
      const fake = parseRecord(fakeText);
      const record = parseRecord(text ?? fakeText);
      if (record !== null && text !== null && record.profile === profile) return { key, text, record, isFake: false };
      if (fake === null) throw new Fault('internal', 'a stand-in that can not be read');
      return { key, text: record === null ? null : text, record: fake, isFake: true };
    },
    timeKey({ key, record, isFake }) {
      if (record.timeKey === null) throw new Fault('protocol', 'a chain without its time key');
      const opened = openTimeKey(isFake ? decoyKey : key, record.timeKey);
      return isFake ? record.head.subarray(0, TIME_KEY_BYTES) : opened;
    },
    sealTimeKey,
    advance({ key, text }, next, isDurable) {
      const target = isDurable ? durable(key) : key;
      return store.swap(target, text, formatRecord({ ...next, timeKey: resealed(key, next.timeKey) }), Infinity);
    },
    async confirm({ key, text }, isDurable) {
      return text !== null && store.swap(isDurable ? durable(key) : key, text, text, Infinity);
    },
  };

  function resealed(key: Key, sealed: string | null): string | null {
    if (sealed === null) return null;
    const wrapKey = keyring.active('wrap');
    return isSealedWith(wrapKey, sealed) ? sealed : sealTimeKey(key, openTimeKey(key, sealed), wrapKey);
  }
}
