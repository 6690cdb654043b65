/**
 * The part of CESR that better-auth needs: keys, signatures, digests and nonces as one ASCII word each, a code that names the kind and
 * then the value in base64url. Stricter than general CESR tools: one raw value has exactly one text, so texts may be compared in place
 * of values. Whether a key may be used is `p256.ts` and the verifier; Blake3 is passed in, so that browsers load it only when they hash.
 */
import { deny } from '../core/decision.ts';
import { decodeBase64url, encodeBase64url } from './base64url.ts';
import { concat, utf8 } from './bytes.ts';

/** Raw bytes by code. Closed: another code is refused, never guessed from a length. */
const RAW_BYTES = {
  /** Ed25519 seed. */
  A: 32,
  /** Ed25519 public key, non-transferable. */
  B: 32,
  /** The same, transferable. */
  D: 32,
  /** Blake3-256 digest. */
  E: 32,
  /** Blake2b-256, Blake2s-256, SHA3-256, SHA2-256 digests. */
  F: 32,
  G: 32,
  H: 32,
  I: 32,
  /** secp256k1 seed. */
  J: 32,
  /** P-256 seed. */
  Q: 32,
  /** 128 random bits: nonce, salt. */
  '0A': 16,
  /** Ed25519 signature. */
  '0B': 64,
  /** secp256k1 signature. */
  '0C': 64,
  /** P-256 signature, `r || s`. */
  '0I': 64,
  /** secp256k1 public key, compressed: non-transferable, transferable. */
  '1AAA': 33,
  '1AAB': 33,
  /** P-256 public key, compressed: non-transferable, transferable. */
  '1AAI': 33,
  '1AAJ': 33,
} as const;

export type Code = keyof typeof RAW_BYTES;

export interface Word {
  readonly code: Code;
  readonly raw: Uint8Array;
}

const MAX_CHARS = 88;
const ALPHABET = /^[A-Za-z0-9_-]+$/;
const NONCE = /^0A[A-Za-z0-9_-]{22}$/;
const NONCE_BYTES = 16;

/** @throws {RangeError} for a raw value of another length than the code's: a programmer's mistake. */
export function encode(code: Code, raw: Uint8Array): string {
  if (raw.length !== RAW_BYTES[code]) throw new RangeError(`CESR: ${code} has ${RAW_BYTES[code]} bytes`);
  const pad = padBytes(code);
  return code + encodeBase64url(concat([new Uint8Array(pad), raw])).slice(pad);
}

/**
 * @param role named in the refusal's detail: the place in a message, never the value.
 * @throws {Denial} `malformed`
 */
export function decode(text: unknown, allowed: readonly Code[], role = 'word'): Word {
  if (typeof text !== 'string' || text.length > MAX_CHARS || !ALPHABET.test(text))
    return deny('malformed', `${role}: no CESR word`);
  const code = allowed.find((one) => one === codeOf(text));
  if (code === undefined) return deny('malformed', `${role}: expected code ${allowed.join(' or ')}`);
  const pad = padBytes(code);
  // The pad takes the place of the code's characters.
  const bytes = decodeBase64url('A'.repeat(pad) + text.slice(code.length));
  if (bytes?.length !== pad + RAW_BYTES[code]) return deny('malformed', `${role}: another length than ${code} has`);
  for (let i = 0; i < pad; i++) if (bytes[i] !== 0) deny('malformed', `${role}: a pad that is not zero`);
  return { code, raw: bytes.subarray(pad) };
}

/** A nonce is text: its pad is not looked at, since public implementations set it, and it is compared and hashed as received. */
export function isNonce(text: unknown): text is string {
  return typeof text === 'string' && NONCE.test(text);
}

/** Canonical, unlike some that are accepted. */
export function newNonce(random: (bytes: number) => Uint8Array): string {
  return encode('0A', random(NONCE_BYTES));
}

/** The only `0A` value of which bytes are needed. @param text a nonce by its grammar. */
export function saltBytes(text: string): Uint8Array {
  const bytes = isNonce(text) ? decodeBase64url(`AA${text.slice(2)}`) : undefined;
  if (bytes === undefined) return deny('malformed', 'salt: no 0A word');
  return bytes.subarray(2);
}

/**
 * The hash H: over the texts one behind the other, without a separator, so only words of fixed length may be joined.
 *
 * @param blake3 32 bytes out.
 */
export function hashText(blake3: (bytes: Uint8Array) => Uint8Array, ...texts: readonly string[]): string {
  return encode('E', blake3(utf8(texts.join(''))));
}

/** The first character tells the length of the code. */
function codeOf(text: string): string {
  const [first = ''] = text;
  if (first === '0') return text.slice(0, 2);
  return first === '1' ? text.slice(0, 4) : first;
}

function padBytes(code: Code): number {
  return code.length % 4;
}
