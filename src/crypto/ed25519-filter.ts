/**
 * Points that no honest Ed25519 signer makes, refused before `crypto.verify` sees them: it judges some of them differently from one
 * release line of Node to the next. The verdict is then libsodium's. Works on bytes, since it runs on each Check.
 */
import { fromHex } from '../encoding/bytes.ts';

/** y of the points of order 1, 2 and 8 below the topmost ones; little-endian, sign bit clear. Order 4 is y = 0. */
const SMALL_ORDER: readonly Uint8Array[] = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
].map((hex) => fromHex(hex) ?? new Uint8Array(32));

/**
 * True for an encoding of a point of small order, with either sign, and for `y >= p`, p = 2^255 - 19.
 *
 * @param bytes the first 32 are looked at: a public key, or a signature, whose first half is R.
 */
export function isRefusedPoint(bytes: Uint8Array): boolean {
  return isFromMinusOneUp(bytes) || SMALL_ORDER.some((point) => hasY(bytes, point));
}

/** y >= p - 1: minus one itself, which has order 2, and all that is not reduced. p - 1 is `ec ff .. ff 7f`. */
function isFromMinusOneUp(bytes: Uint8Array): boolean {
  if ((bytes[31] ?? 0) < 0x7f || ((bytes[31] ?? 0) & 0x7f) !== 0x7f) return false;
  for (let i = 1; i < 31; i++) if (bytes[i] !== 0xff) return false;
  return (bytes[0] ?? 0) >= 0xec;
}

function hasY(bytes: Uint8Array, y: Uint8Array): boolean {
  if (((bytes[31] ?? 0) & 0x7f) !== y[31]) return false;
  for (let i = 0; i < 31; i++) if (bytes[i] !== y[i]) return false;
  return true;
}
