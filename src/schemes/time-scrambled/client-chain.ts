/**
 * A hash chain as its owner has it: from the secret, with checkpoints every so many links, so that no token costs more than the
 * square root of the chain's length in hashes. Whatever is in here is as secret as the secret.
 */
import { concat } from '../../encoding/bytes.ts';
import type { Sha512 } from '../../encoding/sha512.ts';
import { TOKEN_BYTES } from './message.ts';

export interface Chain {
  /** Index of the anchor. */
  readonly length: number;
  /** Index of the token to be shown next; those above have been. */
  readonly next: number;
  /** Tokens 0 (the secret), d, 2d, ... below the anchor, one behind the other; d is `spacingOf(length)`. */
  readonly checkpoints: Uint8Array;
}

/** @returns the chain with nothing shown yet, and its anchor. @param secret 64 random bytes, nobody else's and never used before. */
export function makeChain(secret: Uint8Array, length: number, sha512: Sha512): { chain: Chain; anchor: Uint8Array } {
  const spacing = spacingOf(length);
  const checkpoints: Uint8Array[] = [];
  let token = secret;
  for (let index = 0; index < length; index += 1) {
    if (index % spacing === 0) checkpoints.push(token);
    token = sha512(token);
  }
  return { chain: { length, next: length - 1, checkpoints: concat(checkpoints) }, anchor: token };
}

/** @param index 1 to the chain's length; 0 would give the secret away. At most `spacingOf(length)` hashes. */
export function tokenOf({ length, checkpoints }: Chain, index: number, sha512: Sha512): Uint8Array {
  if (!Number.isInteger(index) || index < 1 || index > length) throw new RangeError('chain: no such token');
  const spacing = spacingOf(length);
  // The anchor may lie one checkpoint beyond the last.
  const at = Math.floor(Math.min(index, length - 1) / spacing);
  let token: Uint8Array = checkpoints.slice(at * TOKEN_BYTES, (at + 1) * TOKEN_BYTES);
  for (let links = index - at * spacing; links > 0; links -= 1) token = sha512(token);
  return token;
}

/** The index at which one of the heads lies on the chain, 1 to its length. Takes up to `length` hashes. */
export function indexOf(
  { length, checkpoints }: Chain,
  heads: readonly Uint8Array[],
  sha512: Sha512,
): number | undefined {
  let token: Uint8Array = checkpoints.slice(0, TOKEN_BYTES);
  for (let index = 1; index <= length; index += 1) {
    token = sha512(token);
    if (heads.some((head) => isEqual(head, token))) return index;
  }
  return undefined;
}

/** Of values that are public once they are compared. */
export function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

export function spacingOf(length: number): number {
  return Math.ceil(Math.sqrt(length));
}
