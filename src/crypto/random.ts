/** The random bytes that `sidecar.ts` hands out as `random(n)`; nothing else calls this, so that a test can replace it. */
import { randomBytes as nodeRandomBytes } from 'node:crypto';

export function randomBytes(count: number): Uint8Array {
  return nodeRandomBytes(count);
}
