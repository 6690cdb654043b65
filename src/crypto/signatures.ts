/**
 * Signatures: verified, made, and the keys behind them. One judgement for every scheme, the issuer and the tests: `node:crypto` behind
 * filters of our own, so that the verdict is the same on every release of Node. No second implementation may judge anywhere.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign as nodeSign,
  verify as nodeVerify,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { PublicJwk, SignatureAlg, Signatures } from '../core/directory.ts';
import { decodeBase64url } from '../encoding/base64url.ts';
import { algOf, parsePublicJwk, thumbprintInput } from '../encoding/jwk.ts';
import { sha256 } from './digest.ts';
import { isRefusedPoint } from './ed25519-filter.ts';
import { isScalarPair } from './es256-filter.ts';

export type PrivateJwk = PublicJwk & { readonly d: string };

const SIGNATURE_BYTES = 64;
const DEFAULT_MAX_KEYS = 10_000;

export interface SignatureOptions {
  /** `threadpool` hands the arithmetic of the curve, and nothing else, to libuv's pool: for where cores are free. Same verdicts. */
  readonly mode: 'sync' | 'threadpool';
  /** Imported keys kept; the least recently used goes. */
  readonly maxKeys?: number;
}

export function createSignatures(options: SignatureOptions): Signatures & { cachedKeys(): number } {
  const { mode, maxKeys = DEFAULT_MAX_KEYS } = options;
  const imported = new LRUCache<string, KeyObject>({ max: maxKeys });

  function publicKey(jwk: PublicJwk): KeyObject | undefined {
    // No coordinate holds a dot, and only checked ones get in: the two curves never meet under one name.
    const name = jwk.kty === 'OKP' ? jwk.x : `${jwk.x}.${jwk.y}`;
    const known = imported.get(name);
    if (known !== undefined) return known;
    const key = importPublicKey(jwk);
    if (key !== undefined) imported.set(name, key);
    return key;
  }

  return {
    verify({ alg, jwk }, message, signature) {
      // The algorithm is the stored key's; a record whose two fields disagree verifies nothing.
      if (alg !== algOf(jwk) || signature.length !== SIGNATURE_BYTES) return false;
      if (alg === 'Ed25519' ? isRefusedPoint(signature) : !isScalarPair(signature)) return false;
      const key = publicKey(jwk);
      if (key === undefined) return false;
      return mode === 'sync' ? verifyHere(alg, key, message, signature) : verifyInPool(alg, key, message, signature);
    },
    cachedKeys: () => imported.size,
  };
}

function verifyHere(alg: SignatureAlg, key: KeyObject, message: Uint8Array, signature: Uint8Array): boolean {
  return alg === 'Ed25519'
    ? nodeVerify(null, message, key, signature)
    : nodeVerify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

function verifyInPool(alg: SignatureAlg, key: KeyObject, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, isValid: boolean) => (error === null ? resolve(isValid) : reject(error));
    if (alg === 'Ed25519') nodeVerify(null, message, key, signature, done);
    else nodeVerify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature, done);
  });
}

/** The filter of registration; the same as of verification, so that no key is stored that can't be used. */
export function isAcceptableKey(jwk: PublicJwk): boolean {
  return importPublicKey(jwk) !== undefined;
}

/** Undefined for a wrong shape, a point off the curve (P-256), of small order or not reduced (Ed25519). */
function importPublicKey(jwk: PublicJwk): KeyObject | undefined {
  if (parsePublicJwk(jwk) === undefined) return undefined;
  if (jwk.kty === 'OKP' && isRefusedPoint(decodeBase64url(jwk.x) ?? new Uint8Array(0))) return undefined;
  try {
    return createPublicKey({ key: { ...jwk }, format: 'jwk' });
  } catch {
    return undefined;
  }
}

/** Imported once for as long as the JWK object lives: an issuer signs with few keys, over and over. */
const privateKeys = new WeakMap<PrivateJwk, KeyObject>();

/** 64 bytes: Ed25519 (RFC 8032, pure), or P-256 `r || s` with SHA-256. */
export function sign(privateJwk: PrivateJwk, message: Uint8Array): Uint8Array {
  let key = privateKeys.get(privateJwk);
  if (key === undefined) {
    key = createPrivateKey({ key: { ...privateJwk }, format: 'jwk' });
    privateKeys.set(privateJwk, key);
  }
  return algOf(privateJwk) === 'Ed25519'
    ? nodeSign(null, message, key)
    : nodeSign('sha256', message, { key, dsaEncoding: 'ieee-p1363' });
}

export function generateKeyPair(alg: SignatureAlg): { privateJwk: PrivateJwk; publicJwk: PublicJwk } {
  const { privateKey } =
    alg === 'Ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { d, ...rest } = privateKey.export({ format: 'jwk' });
  const publicJwk = parsePublicJwk(rest);
  if (publicJwk === undefined || d === undefined)
    throw new Error(`node:crypto exported an ${alg} key in an unknown form`);
  return { privateJwk: { ...publicJwk, d }, publicJwk };
}

/** RFC 7638 SHA-256, 32 bytes; as text 43 characters of base64url. */
export function thumbprint(jwk: PublicJwk): Uint8Array {
  return sha256(thumbprintInput(jwk));
}
