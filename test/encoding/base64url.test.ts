import { describe, expect, test } from '@jest/globals';
import { decodeBase64url, encodeBase64url } from '../../src/encoding/base64url.ts';
import { toHex } from '../../src/encoding/bytes.ts';
import { hex } from '../support/bytes.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

describe('decodeBase64url', () => {
  test.each(['AA=', 'AA==', '+/8', ' AA', 'AA ', 'A\tA', 'AA\n', 'A A', 'AAAA=', 'AA.', 'A\u0000', 'AÄ', 'A\u0141'])(
    'refuses %j, which lenient decoders read',
    (text) => {
      expect(decodeBase64url(text)).toBeUndefined();
    },
  );

  test.each([1, 5, 9, 4097])('refuses %i characters, a length that no bytes have', (length) => {
    expect(decodeBase64url('A'.repeat(length))).toBeUndefined();
  });

  test('accepts of all two- and three-character endings exactly those without stray bits', () => {
    expect(accepted('A')).toBe('AQgw');
    expect(accepted('_')).toBe('AQgw');
    expect(accepted('AA')).toBe('AEIMQUYcgkosw048');
    expect(accepted('AAAA__')).toBe('AEIMQUYcgkosw048');
  });

  test('refuses a character outside the alphabet at every place of a group', () => {
    for (const bad of ['!', '=', '+', '/', '\u007f', '\u0080', '\u0141', '\ud800']) {
      for (let at = 0; at < 7; at++) {
        const text = 'AAAAAAA';
        expect(decodeBase64url(text.slice(0, at) + bad + text.slice(at + 1))).toBeUndefined();
      }
    }
  });
});

/** Last characters with which the text decodes. */
function accepted(prefix: string): string {
  return Array.from(ALPHABET)
    .filter((last) => decodeBase64url(prefix + last) !== undefined)
    .join('');
}

describe('encodeBase64url', () => {
  test.each([
    ['', ''],
    ['00', 'AA'],
    ['0001', 'AAE'],
    ['ffef', '_-8'],
    ['fbff3f', '-_8_'],
    ['000102030405060708090a', 'AAECAwQFBgcICQo'],
  ])('writes %s as %j, with and without the runtime doing it', (bytes, text) => {
    expect(encodeBase64url(hex(bytes))).toBe(text);
    expect(encodeBase64url(withoutNativeEncoder(hex(bytes)))).toBe(text);
    expect(toHex(decodeBase64url(text) ?? hex('dead'))).toBe(bytes);
  });
});

/** As on Node 24 and in older browsers. */
function withoutNativeEncoder(bytes: Uint8Array): Uint8Array {
  return Object.defineProperty(bytes, 'toBase64', { value: undefined });
}
