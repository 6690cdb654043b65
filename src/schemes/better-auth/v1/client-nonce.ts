/** Nonces of a client's messages, from the platform's generator. Browser-safe. */
import { newNonce } from '../../../encoding/cesr.ts';

export function freshNonce(): string {
  return newNonce((bytes) => crypto.getRandomValues(new Uint8Array(bytes)));
}
