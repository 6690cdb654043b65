/**
 * Makes the keys of the store. Raw user text never enters one: a reader of the store can confirm a guessed id and learns no other.
 */
import type { Key, KeyClass } from '../core/store.ts';
import { decodeBase64url } from '../encoding/base64url.ts';
import { lpConcat } from '../encoding/bytes.ts';
import { sha256Base64url } from './digest.ts';

export type KeyPart = string | Uint8Array;

/**
 * `<class>:base64url(SHA-256(LP(part1) || LP(part2) || ...))`. The first part is the owning component.
 * Writes of registered credentials and revocation marks (`r`, `x`) wait for replicas; see `durable`.
 */
export function storeKey(keyClass: KeyClass, ...parts: readonly KeyPart[]): Key {
  const digest = sha256Base64url(lpConcat(...parts));
  return {
    class: keyClass,
    text: `${keyClass}:${digest}`,
    firstByte: decodeBase64url(digest.slice(0, 4))?.[0] ?? 0,
    durable: keyClass === 'r' || keyClass === 'x',
  };
}

/**
 * Store keys of one component, tenants apart: any tenant but `default` is an additional second part, so that what exists in one
 * does not exist in another.
 */
export function scopedStoreKey(
  component: string,
): (keyClass: KeyClass, tenant: string, ...parts: readonly KeyPart[]) => Key {
  return (keyClass, tenant, ...parts) =>
    tenant === 'default' ? storeKey(keyClass, component, ...parts) : storeKey(keyClass, component, tenant, ...parts);
}

/** For enrolment and renewal of a chain head (class `h`), whose other writes need not wait for replicas. */
export function durable(key: Key): Key {
  return { ...key, durable: true };
}
