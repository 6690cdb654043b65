/** Pads and MACs of one lane on WebCrypto, for browsers and Node: the client's half of `scrambling.ts`. */
import { utf8 } from '../../encoding/bytes.ts';
import type { Sha512 } from '../../encoding/sha512.ts';
import { BIND_KEY_BYTES, bindKeyInfo, PAD_KEY_BYTES, padKeyInfo, padMessage, type Purpose } from './message.ts';

export interface ClientScrambling {
  /** 64 bytes. */
  pad(purpose: Purpose, window: number): Promise<Uint8Array>;
  /** 32 bytes; null in `seed`. */
  mac: ((message: Uint8Array) => Promise<Uint8Array>) | null;
}

export function seedScrambling(sha512: Sha512): ClientScrambling {
  return { pad: async (purpose, window) => sha512(utf8(padMessage('seed', purpose, window))), mac: null };
}

/** @param id with its lane. */
export async function keyedScrambling(timeKey: Uint8Array, id: string): Promise<ClientScrambling> {
  const padKey = await hkdfSha512(timeKey, padKeyInfo(id), PAD_KEY_BYTES);
  const bindKey = await hkdfSha512(timeKey, bindKeyInfo(id), BIND_KEY_BYTES);
  return {
    pad: (purpose, window) => hmac('SHA-512', padKey, utf8(padMessage('keyed', purpose, window))),
    mac: (message) => hmac('SHA-256', bindKey, message),
  };
}

export function hmacSha512(key: Uint8Array, message: Uint8Array): Promise<Uint8Array> {
  return hmac('SHA-512', key, message);
}

export async function hkdfSha512(ikm: Uint8Array, info: string, lengthBytes: number): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey('raw', new Uint8Array(ikm), 'HKDF', false, ['deriveBits']);
  const how = { name: 'HKDF', hash: 'SHA-512', salt: new Uint8Array(0), info: new Uint8Array(utf8(info)) };
  return new Uint8Array(await crypto.subtle.deriveBits(how, key, 8 * lengthBytes));
}

async function hmac(hash: string, key: Uint8Array, message: Uint8Array): Promise<Uint8Array> {
  const algorithm = { name: 'HMAC', hash };
  const imported = await crypto.subtle.importKey('raw', new Uint8Array(key), algorithm, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, new Uint8Array(message)));
}
