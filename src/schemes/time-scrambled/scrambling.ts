/**
 * Pads and MACs of one chain, as the verifier makes them. What they are put over is `message.ts`; the client's half, on WebCrypto,
 * is `client-scrambling.ts`.
 */
import { sha512, hkdfSha512 } from '../../crypto/digest.ts';
import { hmacSha256, hmacSha512 } from '../../crypto/mac.ts';
import { utf8 } from '../../encoding/bytes.ts';
import { BIND_KEY_BYTES, bindKeyInfo, PAD_KEY_BYTES, padKeyInfo, padMessage, type Purpose } from './message.ts';

export interface Scrambling {
  /** 64 bytes. */
  pad(purpose: Purpose, window: number): Uint8Array;
  /** 32 bytes; null in `seed`, which has no key. */
  mac(message: Uint8Array): Uint8Array | null;
}

export const seedScrambling: Scrambling = {
  pad: (purpose, window) => sha512(utf8(padMessage('seed', purpose, window))),
  mac: () => null,
};

/** @param id with its lane, so that no two lanes have a pad or a MAC in common. */
export function keyedScrambling(
  timeKey: Uint8Array,
  id: string,
): Scrambling & { mac(message: Uint8Array): Uint8Array } {
  const padKey = hkdfSha512(timeKey, padKeyInfo(id), PAD_KEY_BYTES);
  const bindKey = hkdfSha512(timeKey, bindKeyInfo(id), BIND_KEY_BYTES);
  return {
    pad: (purpose, window) => hmacSha512(padKey, padMessage('keyed', purpose, window)),
    mac: (message) => hmacSha256(bindKey, message),
  };
}
