/**
 * Tries every key of a ring before it is used: a pair whose halves don't fit would sign what nobody can verify, and the first to
 * notice would be the clients.
 */
import { SIGNING_ALGS, RingError, privateJwk, type StoredKey } from './ring.ts';
import { hmacSha256 } from '../crypto/mac.ts';
import { open, seal } from '../crypto/seal.ts';
import { createSignatures, sign } from '../crypto/signatures.ts';
import { storeKey } from '../crypto/store-key.ts';
import { utf8 } from '../encoding/bytes.ts';
import { constantTimeEqual } from '../crypto/equal.ts';

const MESSAGE = utf8('countersign key self-test');

/** @throws {RingError} naming the kid. */
export async function selfTest(ring: readonly StoredKey[]): Promise<void> {
  for (const key of ring) {
    if (!(await works(key))) throw new RingError(`key ring: kid ${key.kid} (${key.use}) failed its self-test`);
  }
}

async function works(key: StoredKey): Promise<boolean> {
  try {
    if (SIGNING_ALGS[key.use] !== undefined) return await signsForItsPublicHalf(key);
    if (key.use === 'wrap') return opensWhatItSealed(key);
    return hmacSha256(key.material, MESSAGE).length === 32 && key.material.reveal().some((byte) => byte !== 0);
  } catch {
    return false;
  }
}

async function signsForItsPublicHalf(key: StoredKey): Promise<boolean> {
  const jwk = privateJwk(key);
  const { d: _, ...publicJwk } = jwk;
  if (key.alg === null) return false;
  const signature = sign(jwk, MESSAGE);
  return createSignatures({ mode: 'sync', maxKeys: 1 }).verify({ alg: key.alg, jwk: publicJwk }, MESSAGE, signature);
}

function opensWhatItSealed(wrapKey: StoredKey): boolean {
  const place = { purpose: 'self-test', key: storeKey('o', 'keys', 'self-test') };
  // The salt may repeat here: the sealed value never leaves this function.
  const sealed = seal({ ...place, wrapKey, plaintext: MESSAGE, salt: new Uint8Array(16) });
  return constantTimeEqual(open({ ...place, wrapKeys: [wrapKey], sealed }), MESSAGE);
}
