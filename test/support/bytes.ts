/** Short ways to write bytes and keys in tests; unlike the product's decoders they throw. */
import type { PublicJwk } from '../../src/core/directory.ts';
import { decodeBase64url, encodeBase64url } from '../../src/encoding/base64url.ts';
import { fromHex } from '../../src/encoding/bytes.ts';

export function hex(text: string): Uint8Array {
  const bytes = fromHex(text);
  if (bytes === undefined) throw new Error(`not hex: ${text}`);
  return bytes;
}

export function b64(text: string): Uint8Array {
  const bytes = decodeBase64url(text);
  if (bytes === undefined) throw new Error(`not base64url: ${text}`);
  return bytes;
}

/** The public key whose encoded point these bytes are, whether or not there is such a point. */
export function ed25519Jwk(point: Uint8Array): PublicJwk {
  return { kty: 'OKP', crv: 'Ed25519', x: encodeBase64url(point) };
}

/** The text with another character there: one drawn at random or fixed may be the one that stands there already. */
export function altered(text: string, at: number): string {
  return text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
}

/** The header's text with another first digit in the parameter of that name, which is in lowercase hex. */
export function bent(header: string, name: string): string {
  return header.replace(
    new RegExp(`\\b${name}="([0-9a-f])`),
    (_, digit: string) => `${name}="${digit === '0' ? 'f' : '0'}`,
  );
}
