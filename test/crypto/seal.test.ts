/** CT-15: sealed values that were moved, altered, or whose key is gone are faults, never absent and never readable. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { RingKey } from '../../src/core/keyring.ts';
import { Secret } from '../../src/core/secret.ts';
import { isSealedWith, open, seal } from '../../src/crypto/seal.ts';
import { storeKey } from '../../src/crypto/store-key.ts';
import { decodeBase64url, encodeBase64url } from '../../src/encoding/base64url.ts';
import { toHex, utf8 } from '../../src/encoding/bytes.ts';
import { b64 } from '../support/bytes.ts';
import { refusalOf } from '../support/refusal.ts';

const purpose = 'opaque-pop session';
const key = storeKey('s', 'opaque-pop', 'alice');
const wrapKey = wrapKeyOf(9);
const salt = new Uint8Array(16).fill(7);
const sealed = seal({ wrapKey, purpose, key, plaintext: utf8('{"v":1}'), salt });

describe('a sealed value', () => {
  test('tells by which key it was sealed', () => {
    expect([wrapKey, wrapKeyOf(1)].map((one) => isSealedWith(one, sealed))).toEqual([true, false]);
    expect(['', '????????', 'AQ'].map((text) => isSealedWith(wrapKey, text))).toEqual([false, false, false]);
  });

  test('opens again, empty ones too, after a rotation of the key', () => {
    const wrapKeys = [wrapKeyOf(1), wrapKeyOf(2), wrapKey];
    expect(open({ wrapKeys, purpose, key, sealed })).toEqual(utf8('{"v":1}'));
    const empty = seal({ wrapKey, purpose, key, plaintext: new Uint8Array(0), salt });
    expect(open({ wrapKeys, purpose, key, sealed: empty })).toHaveLength(0);
  });

  test.each([
    ['moved to another record', { key: storeKey('s', 'opaque-pop', 'bob') }],
    ['moved to another class', { key: storeKey('o', 'opaque-pop', 'alice') }],
    ['read for another purpose', { purpose: 'opaque-pop login' }],
    ['whose key left the ring', { wrapKeys: [wrapKeyOf(1)] }],
    ['opened with an empty ring', { wrapKeys: [] }],
    ['emptied', { sealed: '' }],
    ['replaced by plain text', { sealed: '{"v":1}' }],
    ['replaced by base64url of something else', { sealed: encodeBase64url(utf8('{"v":1}')) }],
    ['cut to its frame', { sealed: encodeBase64url(b64(sealed).subarray(0, 36)) }],
    ['of another version', { sealed: encodeBase64url(Uint8Array.of(2, ...b64(sealed).subarray(1))) }],
    ['with padding', { sealed: `${sealed}=` }],
  ])('%s is a fault', (_, change) => {
    expect(refusalOf(() => open({ wrapKeys: [wrapKey], purpose, key, sealed, ...change }))).toBe('fault sealed');
  });

  test('with any bit flipped is a fault', () => {
    const bytes = b64(sealed);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const altered = Uint8Array.from(bytes, (byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
      const refusal = refusalOf(() => open({ wrapKeys: [wrapKey], purpose, key, sealed: encodeBase64url(altered) }));
      expect(refusal).toBe('fault sealed');
    }
  });

  test('cut anywhere is a fault', () => {
    for (let length = 0; length < sealed.length; length++) {
      const cut = { wrapKeys: [wrapKey], purpose, key, sealed: sealed.slice(0, length) };
      expect(refusalOf(() => open(cut))).toBe('fault sealed');
    }
  });

  test('of any content opens to what was sealed, and shows none of it', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 8, maxLength: 300 }),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        (plaintext, other) => {
          const value = seal({ wrapKey, purpose, key, plaintext, salt: other });
          expect(open({ wrapKeys: [wrapKey], purpose, key, sealed: value })).toEqual(Uint8Array.from(plaintext));
          expect(toHex(decodeBase64url(value) ?? salt)).not.toContain(toHex(plaintext));
        },
      ),
    );
  });

  test.each([0, 12, 15, 17, 32])('is not made with a salt of %i bytes', (length) => {
    expect(() => seal({ wrapKey, purpose, key, plaintext: utf8('x'), salt: new Uint8Array(length) })).toThrow('salt');
  });
});

/** @param fill the byte of which the key is made. */
function wrapKeyOf(fill: number): RingKey {
  const material = new Secret(new Uint8Array(32).fill(fill));
  return { kid: `w${fill}`, use: 'wrap', alg: null, state: 'active', activateAtMs: null, retireAtMs: null, material };
}
