/**
 * Points of P-256 between the two forms in use: compressed (CESR words, 33 bytes) and JWK. Browser-safe, in arithmetic of its own,
 * since browsers import no compressed point. It is for public keys: nothing here takes the same time for every input.
 */
import type { PublicJwk } from '../core/directory.ts';
import { decodeBase64url, encodeBase64url } from './base64url.ts';
import { fromHex, toHex } from './bytes.ts';

type P256Jwk = Extract<PublicJwk, { kty: 'EC' }>;

/** Field prime and coefficient of the curve y^2 = x^3 - 3x + b (FIPS 186-5, SP 800-186 section 3.2.1.3). */
const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

/** @returns 33 bytes: `02` or `03` by the parity of y, then x. */
export function compressPoint({ x, y }: P256Jwk): Uint8Array {
  const point = new Uint8Array(33);
  point[0] = 2 + ((decodeBase64url(y)?.at(-1) ?? 0) & 1);
  point.set(decodeBase64url(x) ?? new Uint8Array(32), 1);
  return point;
}

/** Undefined for another form, for x not below p, and for x that no point has. */
export function decompressPoint(point: Uint8Array): P256Jwk | undefined {
  const [form] = point;
  if (point.length !== 33 || (form !== 2 && form !== 3)) return undefined;
  const x = BigInt(`0x${toHex(point.subarray(1))}`);
  if (x >= P) return undefined;
  const square = (x * x * x - 3n * x + B) % P;
  // p is 3 mod 4, so this is a root if there is one.
  const root = power(square < 0n ? square + P : square, (P + 1n) / 4n);
  if ((root * root - square) % P !== 0n) return undefined;
  const y = Number(root & 1n) === form - 2 ? root : P - root;
  return { kty: 'EC', crv: 'P-256', x: encodeBase64url(point.subarray(1)), y: encodeBase64url(bytesOf(y)) };
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = base;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}

function bytesOf(n: bigint): Uint8Array {
  return fromHex(n.toString(16).padStart(64, '0')) ?? new Uint8Array(0);
}
