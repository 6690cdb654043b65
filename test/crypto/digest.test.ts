import { expect, test } from '@jest/globals';
import { hkdfSha256, hkdfSha512, sha256, sha256Base64url, sha512 } from '../../src/crypto/digest.ts';
import { encodeBase64url } from '../../src/encoding/base64url.ts';
import { toHex, utf8 } from '../../src/encoding/bytes.ts';
import { hex } from '../support/bytes.ts';

test('SHA-256 of "abc" (FIPS 180-4), of nothing, and of UTF-8', () => {
  expect(toHex(sha256('abc'))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  expect(toHex(sha256())).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  expect(toHex(sha256('é'))).toBe(toHex(sha256(utf8('é'))));
});

test('chunks are hashed one behind the other, and as text it is the same digest', () => {
  expect(toHex(sha256('a', utf8('b'), 'c'))).toBe(toHex(sha256('abc')));
  expect(sha256Base64url(utf8('abc'))).toBe(encodeBase64url(sha256('abc')));
});

test('HKDF of RFC 5869 A.1 and, with an empty salt, A.3', () => {
  const ikm = hex('0b'.repeat(22));
  expect(toHex(hkdfSha256(ikm, hex('f0f1f2f3f4f5f6f7f8f9'), 42, hex('000102030405060708090a0b0c')))).toBe(
    '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  );
  expect(toHex(hkdfSha256(ikm, '', 42))).toBe(
    '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
  );
});

test('SHA-512 of "abc" (FIPS 180-4), and HKDF with it for the input of RFC 5869 A.3', () => {
  expect(toHex(sha512(utf8('abc')))).toBe(
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
  );
  expect(toHex(hkdfSha512(hex('0b'.repeat(22)), '', 42))).toBe(
    'f5fa02b18298a72a8c23898a8703472c6eb179dc204c03425c970e3b164bf90fff22d04836d0e2343bac',
  );
});
