import { createHmac } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { Secret } from '../../src/core/secret.ts';
import { constantTimeEqual } from '../../src/crypto/equal.ts';
import { hmacSha256, hmacSha512 } from '../../src/crypto/mac.ts';
import { toHex, utf8 } from '../../src/encoding/bytes.ts';
import { hex } from '../support/bytes.ts';
import wycheproof from '../vectors/third-party/wycheproof-hmac-sha256.json' with { type: 'json' };

test('every verdict of Wycheproof', () => {
  const others = wycheproof.cases.filter(({ key, message, tag, result }) => {
    const verdict = constantTimeEqual(hmacSha256(hex(key), hex(message)), hex(tag));
    return verdict !== (result === 'valid');
  });
  expect(others).toEqual([]);
});

test('takes a secret and a bare key (RFC 4231 case 2)', () => {
  const wanted = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843';
  expect(toHex(hmacSha256(utf8('Jefe'), utf8('what do ya want for nothing?')))).toBe(wanted);
  expect(toHex(hmacSha256(new Secret(utf8('Jefe')), utf8('what do ya want for nothing?')))).toBe(wanted);
});

test('agrees with the runtime for keys and messages of any length', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200, size: 'max' }),
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.integer({ min: 1000, max: 1100 }).map((n) => new Uint8Array(n).fill(n)),
      ),
      (key, message) => {
        const wanted = createHmac('sha256', key).update(message).digest('hex');
        expect(toHex(hmacSha256(key, message))).toBe(wanted);
      },
    ),
    { examples: [0, 63, 64, 65].map((length) => [new Uint8Array(length).fill(7), new Uint8Array(1024)]) },
  );
});

test('with SHA-512 (RFC 4231 case 2), of a secret and of a bare key', () => {
  const wanted =
    '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737';
  expect(toHex(hmacSha512(utf8('Jefe'), 'what do ya want for nothing?'))).toBe(wanted);
  expect(toHex(hmacSha512(new Secret(utf8('Jefe')), utf8('what do ya want for nothing?')))).toBe(wanted);
});

describe('constantTimeEqual', () => {
  test('is false for any flipped bit and for a different length, without throwing', () => {
    const mac = hmacSha256(utf8('k'), utf8('m'));
    expect(constantTimeEqual(mac, Uint8Array.from(mac))).toBe(true);
    for (let bit = 0; bit < 256; bit++) {
      const other = Uint8Array.from(mac, (byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
      expect(constantTimeEqual(mac, other)).toBe(false);
    }
    expect(constantTimeEqual(mac, mac.subarray(0, 31))).toBe(false);
    expect(constantTimeEqual(mac, new Uint8Array(0))).toBe(false);
    expect(constantTimeEqual(new Uint8Array(0), new Uint8Array(0))).toBe(true);
  });
});
