/** Public keys of P-256 that arrive as compressed points. Browsers have `encoding/p256.ts`, which says the same, slower. */
import { ECDH } from 'node:crypto';
import type { Buffer } from 'node:buffer';
import type { PublicJwk } from '../core/directory.ts';
import { encodeBase64url } from '../encoding/base64url.ts';

/** Undefined for a form other than compressed, for x not below p, and for x that no point has. */
export function importPoint(compressed: Uint8Array): PublicJwk | undefined {
  if (compressed.length !== 33 || (compressed[0] !== 2 && compressed[0] !== 3)) return undefined;
  try {
    const point = ECDH.convertKey(compressed, 'prime256v1', undefined, undefined, 'uncompressed') as Buffer;
    return {
      kty: 'EC',
      crv: 'P-256',
      x: encodeBase64url(point.subarray(1, 33)),
      y: encodeBase64url(point.subarray(33)),
    };
  } catch {
    return undefined;
  }
}
