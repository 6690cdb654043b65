/** Signing with a key of the ring: the private half is read and imported once, and stays here. */
import type { PublicJwk } from '../core/directory.ts';
import type { RingKey } from '../core/keyring.ts';
import { sign, type PrivateJwk } from './signatures.ts';

export interface RingSigner {
  readonly publicJwk: PublicJwk;
  /** 64 bytes: Ed25519 (RFC 8032, pure), or P-256 `r || s` with SHA-256. */
  sign(message: Uint8Array): Uint8Array;
}

/** For as long as the ring holds the key. */
const signers = new WeakMap<RingKey, RingSigner>();

/** @param key of a use that signs. */
export function ringSigner(key: RingKey): RingSigner {
  let signer = signers.get(key);
  if (signer === undefined) {
    const privateJwk = JSON.parse(new TextDecoder().decode(key.material.reveal())) as PrivateJwk;
    const { d: _, ...publicJwk } = privateJwk;
    signer = { publicJwk, sign: (message) => sign(privateJwk, message) };
    signers.set(key, signer);
  }
  return signer;
}
