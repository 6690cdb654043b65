/** Signatures that ECDSA over P-256 can't produce, refused here whatever `node:crypto` would say of them. */
import { fromHex } from '../encoding/bytes.ts';

/** n, the order of P-256 (FIPS 186-5), big-endian. */
const ORDER = fromHex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551') ?? new Uint8Array(0);

/**
 * `r` and `s` both in [1, n - 1]. Both halves of `s` pass, since devices emit them: replay is judged on what was signed, never on
 * signature bytes.
 *
 * @param signature 64 bytes, `r || s`.
 */
export function isScalarPair(signature: Uint8Array): boolean {
  return isScalar(signature, 0) && isScalar(signature, 32);
}

function isScalar(bytes: Uint8Array, start: number): boolean {
  return isBelowOrder(bytes, start) && !isZero(bytes, start);
}

function isBelowOrder(bytes: Uint8Array, start: number): boolean {
  for (const [i, limit] of ORDER.entries()) {
    const byte = bytes[start + i] ?? 0xff;
    if (byte !== limit) return byte < limit;
  }
  return false;
}

function isZero(bytes: Uint8Array, start: number): boolean {
  for (let i = start; i < start + 32; i++) if (bytes[i] !== 0) return false;
  return true;
}
