/** Every row of every list in `cesr.json`. */
import { Buffer } from 'node:buffer';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { textDigest } from '../../src/crypto/blake3.ts';
import { importPoint } from '../../src/crypto/p256-point.ts';
import { createSignatures } from '../../src/crypto/signatures.ts';
import { encodeBase64url } from '../../src/encoding/base64url.ts';
import { loadBlake3 } from '../../src/encoding/blake3.ts';
import { toHex, utf8 } from '../../src/encoding/bytes.ts';
import { type Code, decode, encode, hashText, isNonce, saltBytes } from '../../src/encoding/cesr.ts';
import { decompressPoint } from '../../src/encoding/p256.ts';
import { hex } from '../support/bytes.ts';
import { refusalOf } from '../support/refusal.ts';
import vectors from './cesr.json' with { type: 'json' };

test.each(vectors.codes)('$code: $rawBytes bytes, $characters characters', ({ code, rawBytes, characters }) => {
  const raw = new Uint8Array(rawBytes).fill(0xa5);
  expect(encode(code as Code, raw)).toHaveLength(characters);
});

test.each(vectors.encode)('$code of $rawHex is $qb64, and back', ({ code, rawHex, qb64 }) => {
  expect(encode(code as Code, hex(rawHex))).toBe(qb64);
  expect(toHex(decode(qb64, [code as Code]).raw)).toBe(rawHex);
});

test.each(vectors.digests)('H of "$text" is $value, in Node and in browsers', async ({ text, value }) => {
  expect(textDigest(text)).toBe(value);
  expect(textDigest(text.slice(0, 1), text.slice(1))).toBe(value);
  expect(hashText(await loadBlake3(), text)).toBe(value);
});

test.each(vectors.derive)('$algorithm seed $seed has the key $publicKey', ({ algorithm, seed, seedHex, publicKey }) => {
  const isP256 = algorithm === 'P-256';
  expect(toHex(decode(seed, [isP256 ? 'Q' : 'A']).raw)).toBe(seedHex);
  // PKCS 8 headers: the seed alone, from which node:crypto makes the public half.
  const header = isP256
    ? '3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420'
    : '302e020100300506032b657004220420';
  const key = createPrivateKey({ key: Buffer.from(hex(header + seedHex)), format: 'der', type: 'pkcs8' });
  const { x } = createPublicKey(key).export({ format: 'jwk' });
  const raw = decode(publicKey, [isP256 ? '1AAI' : 'B']).raw;
  expect(encodeBase64url(isP256 ? raw.subarray(1) : raw)).toBe(x);
});

test.each(vectors.verify)('signature $signature: $valid ($note)', ({ publicKey, messageUtf8, signature, valid }) => {
  const isP256 = publicKey.startsWith('1AAI');
  const { raw } = decode(publicKey, ['1AAI', 'B']);
  const jwk = isP256 ? importPoint(raw) : ({ kty: 'OKP', crv: 'Ed25519', x: encodeBase64url(raw) } as const);
  if (jwk === undefined) throw new Error('no such point');
  const bytes = decode(signature, [isP256 ? '0I' : '0B']).raw;
  const key = { alg: isP256 ? ('ES256' as const) : ('Ed25519' as const), jwk };
  expect(createSignatures({ mode: 'sync' }).verify(key, utf8(messageUtf8), bytes)).toBe(valid);
});

describe('words that are refused with malformed', () => {
  const CODES: Readonly<Record<string, Code>> = {
    key: '1AAI',
    passphraseKey: 'B',
    digest: 'E',
    signature: '0I',
    salt: '0A',
  };
  test.each(vectors.invalid)('$role $text: $reason', ({ text, role }) => {
    const isTaken = refusalOf(() => decode(text, [CODES[role] ?? 'A'])) === undefined;
    // What is a word may still be no point: the browser says the same.
    if (!isTaken) return expect(refusalOf(() => decode(text, [CODES[role] ?? 'A']))).toBe('malformed');
    expect(role).toBe('key');
    const { raw } = decode(text, ['1AAI']);
    expect(importPoint(raw)).toBeUndefined();
    expect(decompressPoint(raw)).toBeUndefined();
  });
});

test.each(vectors.opaqueNonces)('nonce $text is taken as text; as a word: $canonical', (row) => {
  const { text, canonical, acceptedAsNonce, low128BitsHex, digest } = row;
  expect(isNonce(text)).toBe(acceptedAsNonce);
  expect(toHex(saltBytes(text))).toBe(low128BitsHex);
  expect(textDigest(text)).toBe(digest);
  expect(refusalOf(() => decode(text, ['0A']))).toBe(canonical ? undefined : 'malformed');
});

test.each(vectors.nonceInvalid)('"%s" is no nonce', (text) => {
  expect(isNonce(text)).toBe(false);
});

test.each(vectors.digestCompare)('$a and $b are equal: $equal', ({ a, b, equal }) => {
  expect(a === b).toBe(equal);
  expect(toHex(decode(a, ['E']).raw) === toHex(decode(b, ['E']).raw)).toBe(equal);
});
