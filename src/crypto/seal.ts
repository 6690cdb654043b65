/**
 * Seals secrets that lie in the store (MAC keys of sessions, login states, time keys) with a `wrap` key of the ring: who reads the
 * store can't use them, who writes it can't move one to another record or purpose.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { Fault } from '../core/fault.ts';
import type { RingKey } from '../core/keyring.ts';
import type { Key } from '../core/store.ts';
import { decodeBase64url, encodeBase64url } from '../encoding/base64url.ts';
import { concat, lpConcat } from '../encoding/bytes.ts';
import { hkdfSha256, sha256 } from './digest.ts';
import { constantTimeEqual } from './equal.ts';

const VERSION = 1;
const KEY_ID_BYTES = 4;
const SALT_BYTES = 16;
const TAG_BYTES = 16;
const AES_KEY_BYTES = 32;
const IV_BYTES = 12;
const BODY_AT = 1 + KEY_ID_BYTES + SALT_BYTES;

export interface SealRequest {
  /** The active wrap key. */
  readonly wrapKey: RingKey;
  /** Says what the value is; no two kinds of record share one. */
  readonly purpose: string;
  /** Where the value will lie. */
  readonly key: Key;
  readonly plaintext: Uint8Array;
  /** 16 random bytes, never used twice with one wrap key. */
  readonly salt: Uint8Array;
}

/**
 * Base64url of `version || key id || salt || AES-256-GCM || tag`. Key and IV both come from the salt, so each value has its own.
 *
 * @throws {RangeError} for a salt of another length.
 */
export function seal({ wrapKey, purpose, key, plaintext, salt }: SealRequest): string {
  if (salt.length !== SALT_BYTES) throw new RangeError('seal: a salt of 16 bytes');
  const { aesKey, iv } = derive(wrapKey, purpose, salt);
  const cipher = createCipheriv('aes-256-gcm', aesKey, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(boundTo(purpose, key));
  const body = concat([cipher.update(plaintext), cipher.final()]);
  return encodeBase64url(concat([Uint8Array.of(VERSION), keyId(wrapKey), salt, body, cipher.getAuthTag()]));
}

export interface OpenRequest {
  /** All usable wrap keys: values sealed before a rotation still open. */
  readonly wrapKeys: readonly RingKey[];
  readonly purpose: string;
  readonly key: Key;
  readonly sealed: string;
}

/** @throws {Fault} `sealed` when the value was altered or moved, or its key is gone: never "absent", which some records read as consent. */
export function open({ wrapKeys, purpose, key, sealed }: OpenRequest): Uint8Array {
  const bytes = decodeBase64url(sealed);
  if (bytes === undefined || bytes.length < BODY_AT + TAG_BYTES || bytes[0] !== VERSION)
    throw new Fault('sealed', 'not a sealed value');
  const id = bytes.subarray(1, 1 + KEY_ID_BYTES);
  const candidates = wrapKeys.filter((wrapKey) => constantTimeEqual(keyId(wrapKey), id));
  for (const wrapKey of candidates) {
    const plaintext = tryOpen(wrapKey, purpose, key, bytes);
    if (plaintext !== undefined) return plaintext;
  }
  throw new Fault(
    'sealed',
    candidates.length === 0 ? 'sealed with a key that is not in the ring' : 'sealed value altered or moved',
  );
}

/** Whether this is the key that sealed the value, as the value says: one that is due to be sealed anew is told by its active key. */
export function isSealedWith(wrapKey: RingKey, sealed: string): boolean {
  const id = decodeBase64url(sealed.slice(0, 8))?.subarray(1, 1 + KEY_ID_BYTES);
  return id !== undefined && constantTimeEqual(keyId(wrapKey), id);
}

function tryOpen(wrapKey: RingKey, purpose: string, key: Key, bytes: Uint8Array): Uint8Array | undefined {
  const { aesKey, iv } = derive(wrapKey, purpose, bytes.subarray(1 + KEY_ID_BYTES, BODY_AT));
  const decipher = createDecipheriv('aes-256-gcm', aesKey, iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(boundTo(purpose, key));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  const head = decipher.update(bytes.subarray(BODY_AT, -TAG_BYTES));
  try {
    return concat([head, decipher.final()]);
  } catch {
    return undefined;
  }
}

function derive(wrapKey: RingKey, purpose: string, salt: Uint8Array): { aesKey: Uint8Array; iv: Uint8Array } {
  const okm = hkdfSha256(wrapKey.material.reveal(), `countersign/seal/1 ${purpose}`, AES_KEY_BYTES + IV_BYTES, salt);
  return { aesKey: okm.subarray(0, AES_KEY_BYTES), iv: okm.subarray(AES_KEY_BYTES) };
}

function boundTo(purpose: string, key: Key): Uint8Array {
  return lpConcat(purpose, key.text);
}

function keyId(wrapKey: RingKey): Uint8Array {
  return sha256(wrapKey.material.reveal()).subarray(0, KEY_ID_BYTES);
}
