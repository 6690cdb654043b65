/**
 * Registration records: what a client left of its password. Public keys and an envelope, worthless for guessing without the server
 * setup, which is in the key ring. A record names its setup, so that older ones serve on.
 */
import { Fault } from '../../core/fault.ts';
import type { Resources } from '../../core/scheme.ts';
import { REMOVED, removeIfSame } from '../../core/store.ts';
import { sha256Base64url } from '../../crypto/digest.ts';
import { encodeBase64url } from '../../encoding/base64url.ts';
import { utf8 } from '../../encoding/bytes.ts';
import { parseRecordJson } from '../../encoding/record-json.ts';
import { decodeExactly, OPAQUE_BYTES } from './message.ts';

export interface Registration {
  /** 192 bytes. */
  readonly record: Uint8Array;
  /** `kid` of the setup that it was made with. */
  readonly setup: string;
  readonly createdAtMs: number;
}

export interface FoundRegistration extends Registration {
  /** Tells this registration from any earlier or later one of the user. */
  readonly digest: string;
  /** As it stands in the store, for `replace`. */
  readonly text: string;
}

export interface Registrations {
  find(tenant: string, user: string): Promise<FoundRegistration | null>;
  /** @returns false when the user has one. */
  create(tenant: string, user: string, registration: Registration): Promise<boolean>;
  /** @returns false when it is no longer the one that was found. */
  replace(tenant: string, user: string, found: FoundRegistration, registration: Registration): Promise<boolean>;
  remove(tenant: string, user: string): Promise<void>;
  /** Removes it unless another has taken its place. */
  withdraw(tenant: string, user: string, registration: Registration): Promise<void>;
}

const WHAT = 'a registration record';
/** Read where there is none, so that looking for a stranger takes as long. */
const NOBODYS = write({ record: new Uint8Array(OPAQUE_BYTES.record), setup: 'A'.repeat(22), createdAtMs: 0 });
const FOR_EVER = Number.POSITIVE_INFINITY;

export function createRegistrations({ store, storeKey }: Pick<Resources, 'store' | 'storeKey'>): Registrations {
  const keyOf = (tenant: string, user: string) => storeKey('r', tenant, 'record', user);
  return {
    async find(tenant, user) {
      const text = await store.get(keyOf(tenant, user));
      const isAbsent = text === null || text === REMOVED;
      const found = read(isAbsent ? NOBODYS : text);
      return isAbsent ? null : found;
    },
    create: (tenant, user, registration) => store.swap(keyOf(tenant, user), null, write(registration), FOR_EVER),
    replace: (tenant, user, { text }, registration) =>
      store.swap(keyOf(tenant, user), text, write(registration), FOR_EVER),
    remove: (tenant, user) => store.delete(keyOf(tenant, user)),
    async withdraw(tenant, user, registration) {
      await removeIfSame(store, keyOf(tenant, user), write(registration));
    },
  };
}

function write({ record, setup, createdAtMs }: Registration): string {
  return JSON.stringify({ v: 1, record: encodeBase64url(record), setup, createdAt: createdAtMs });
}

/** @throws {Fault} `protocol`: records are ours alone, so one that can't be read is damage, never an absent user. */
function read(text: string): FoundRegistration {
  const { record: recordText, setup, createdAt } = parseRecordJson(text, WHAT);
  const record = decodeExactly(recordText, OPAQUE_BYTES.record);
  if (record === undefined || typeof setup !== 'string' || !Number.isSafeInteger(createdAt))
    throw new Fault('protocol', `${WHAT} that is none of ours`);
  return { record, setup, createdAtMs: createdAt as number, digest: sha256Base64url(utf8(text)), text };
}
