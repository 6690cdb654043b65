/** The one judgement of signatures: CT-07, CT-08, and that it is one judgement whichever way it is asked. */
import { describe, expect, test } from '@jest/globals';
import type { PublicJwk, SignatureAlg } from '../../src/core/directory.ts';
import { createSignatures, generateKeyPair, isAcceptableKey, sign, thumbprint } from '../../src/crypto/signatures.ts';
import { encodeBase64url } from '../../src/encoding/base64url.ts';
import { toHex, utf8 } from '../../src/encoding/bytes.ts';
import { ed25519Jwk, hex } from '../support/bytes.ts';
import speccheck from '../vectors/third-party/ed25519-speccheck.json' with { type: 'json' };
import edgePoints from '../vectors/third-party/ed25519vectors.json' with { type: 'json' };
import wycheproofEd25519 from '../vectors/third-party/wycheproof-ed25519.json' with { type: 'json' };
import wycheproofEs256 from '../vectors/third-party/wycheproof-es256.json' with { type: 'json' };

const here = createSignatures({ mode: 'sync' });
const inPool = createSignatures({ mode: 'threadpool' });

/** Both ways of verifying; they must agree. */
async function verify(alg: SignatureAlg, jwk: PublicJwk, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  const verdict = here.verify({ alg, jwk }, message, signature);
  expect(await inPool.verify({ alg, jwk }, message, signature)).toBe(verdict);
  return verdict;
}

describe('RFC 8032 section 7.1', () => {
  test.each([
    [
      'TEST 1',
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      '',
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    ],
    [
      'TEST 2',
      '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      '72',
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    ],
    [
      'TEST 3',
      'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
      'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      'af82',
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    ],
    [
      'TEST SHA(abc)',
      '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
      'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
      'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
      'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
    ],
  ])('%s is signed and verified byte for byte', async (_, seed, publicKey, message, signature) => {
    const jwk = ed25519Jwk(hex(publicKey));
    expect(toHex(sign({ ...jwk, d: encodeBase64url(hex(seed)) }, hex(message)))).toBe(signature);
    expect(await verify('Ed25519', jwk, hex(message), hex(signature))).toBe(true);
  });
});

describe('Ed25519 verdicts equal those of libsodium', () => {
  test.each(speccheck.cases)('speccheck case $case', async ({ key, message, signature, accepted }) => {
    expect(await verify('Ed25519', ed25519Jwk(hex(key)), hex(message), hex(signature))).toBe(accepted);
  });

  test('on 768 combinations of small, mixed and non-canonical points', async () => {
    const others = [];
    for (const [a, r, s, message, accepted] of edgePoints.cases as [number, number, string, string, boolean][]) {
      const jwk = ed25519Jwk(hex(edgePoints.points[a] ?? ''));
      const signature = hex(`${edgePoints.points[r]}${s}`);
      const verdict = await verify('Ed25519', jwk, utf8(message), signature);
      if (verdict !== accepted) others.push({ a, r, message, accepted });
    }
    expect(others).toEqual([]);
    expect(edgePoints.cases).toHaveLength(768);
  });
});

describe('Wycheproof', () => {
  test.each([
    ['Ed25519', wycheproofEd25519],
    ['ES256', wycheproofEs256],
  ] as const)('%s: every verdict', async (alg, { cases }) => {
    const others = [];
    for (const { id, comment, jwk, message, signature, result } of cases) {
      const verdict = await verify(alg, jwk as PublicJwk, hex(message), hex(signature));
      if (verdict !== (result === 'valid')) others.push({ id, comment, result });
    }
    expect(others).toEqual([]);
  });
});

/** The points of order 1, 2, 4 and 8, in every encoding that decodes to one. */
const SMALL_ORDER = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000080',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0000000000000000000000000000000000000000000000000000000000000080',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
];

describe('keys that are refused', () => {
  // R = identity, S = 0: under a key of small order it would verify for about every message, or every eighth.
  const universal = hex(`01${'00'.repeat(63)}`);

  test.each(SMALL_ORDER)('%s, at registration and at verification', async (point) => {
    const jwk = ed25519Jwk(hex(point));
    expect(isAcceptableKey(jwk)).toBe(false);
    for (const message of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']) {
      expect(await verify('Ed25519', jwk, utf8(message), universal)).toBe(false);
    }
  });

  test('every y from p - 1 up, with either sign, and not the one below', () => {
    for (let low = 0xec; low <= 0xff; low++) {
      for (const top of ['7f', 'ff']) {
        expect(isAcceptableKey(ed25519Jwk(hex(`${low.toString(16)}${'ff'.repeat(30)}${top}`)))).toBe(false);
      }
    }
    expect(isAcceptableKey(ed25519Jwk(hex(`eb${'ff'.repeat(30)}7f`)))).toBe(true);
    expect(isAcceptableKey(ed25519Jwk(hex(`ff${'ff'.repeat(29)}fe7f`)))).toBe(true);
  });

  test('a P-256 point off the curve, at infinity or not reduced', async () => {
    const { publicJwk } = generateKeyPair('ES256');
    const off = { ...publicJwk, y: publicJwk.x } as PublicJwk;
    const zero = encodeBase64url(new Uint8Array(32));
    const beyond = encodeBase64url(new Uint8Array(32).fill(0xff));
    expect(isAcceptableKey(publicJwk)).toBe(true);
    for (const jwk of [off, { ...publicJwk, x: zero, y: zero }, { ...publicJwk, x: beyond }] as PublicJwk[]) {
      expect(isAcceptableKey(jwk)).toBe(false);
      expect(await verify('ES256', jwk, utf8('m'), new Uint8Array(64).fill(1))).toBe(false);
    }
  });

  test.each([
    ['members beside', { kty: 'OKP', crv: 'Ed25519', x: encodeBase64url(new Uint8Array(32).fill(9)), kid: 'k' }],
    ['31 bytes', { kty: 'OKP', crv: 'Ed25519', x: encodeBase64url(new Uint8Array(31).fill(9)) }],
    ['a spelling with stray bits', { kty: 'OKP', crv: 'Ed25519', x: `${'A'.repeat(42)}B` }],
    ['no text', { kty: 'OKP', crv: 'Ed25519', x: '' }],
  ])('a record with %s verifies nothing and throws nothing', async (_, jwk) => {
    expect(isAcceptableKey(jwk as PublicJwk)).toBe(false);
    expect(await verify('Ed25519', jwk as PublicJwk, utf8('m'), new Uint8Array(64).fill(1))).toBe(false);
  });
});

describe('the algorithm is the key’s', () => {
  test.each([
    ['Ed25519', 'ES256'],
    ['ES256', 'Ed25519'],
  ] as const)('a record that says %s with a key of %s verifies nothing', async (alg, kind) => {
    const { privateJwk, publicJwk } = generateKeyPair(kind);
    const signature = sign(privateJwk, utf8('m'));
    expect(await verify(kind, publicJwk, utf8('m'), signature)).toBe(true);
    expect(await verify(alg, publicJwk, utf8('m'), signature)).toBe(false);
  });
});

describe('lengths', () => {
  test.each(['Ed25519', 'ES256'] as const)('%s: only 64 bytes are a signature', async (alg) => {
    const { privateJwk, publicJwk } = generateKeyPair(alg);
    const signature = sign(privateJwk, utf8('m'));
    expect(signature).toHaveLength(64);
    for (const length of [0, 1, 32, 63, 65, 72, 128]) {
      const other = new Uint8Array(length);
      other.set(signature.subarray(0, length));
      expect(await verify(alg, publicJwk, utf8('m'), other)).toBe(false);
    }
  });
});

describe('what the filters refuse is refused by us, before anything else is asked', () => {
  // Releases of Node differ in what they make of such signatures. A plain false, where a promise was to be expected, is ours.
  const { publicJwk: ed25519 } = generateKeyPair('Ed25519');
  const { publicJwk: es256 } = generateKeyPair('ES256');

  test.each(SMALL_ORDER)('R = %s', (point) => {
    const signature = hex(`${point}01${'00'.repeat(31)}`);
    expect(inPool.verify({ alg: 'Ed25519', jwk: ed25519 }, utf8('m'), signature)).toBe(false);
  });

  test('an honest R is not', async () => {
    const verdict = inPool.verify(
      { alg: 'Ed25519', jwk: ed25519 },
      utf8('m'),
      hex(`58${'66'.repeat(31)}${'00'.repeat(32)}`),
    );
    expect(verdict).toHaveProperty('then');
    expect(await verdict).toBe(false);
  });

  const order = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';
  const one = `${'00'.repeat(31)}01`;
  test.each([
    ['r = 0', '00'.repeat(32), one],
    ['s = 0', one, '00'.repeat(32)],
    ['r = n', order, one],
    ['s = n', one, order],
    ['s = n + 1', one, `${order.slice(0, -2)}52`],
    ['s of all ones', one, 'ff'.repeat(32)],
  ])('%s', (_, r, s) => {
    expect(inPool.verify({ alg: 'ES256', jwk: es256 }, utf8('m'), hex(r + s))).toBe(false);
  });

  test('1 and n - 1 are not', async () => {
    const last = `${order.slice(0, -2)}50`;
    const verdict = inPool.verify({ alg: 'ES256', jwk: es256 }, utf8('m'), hex(one + last));
    expect(verdict).toHaveProperty('then');
    expect(await verdict).toBe(false);
  });

  test.each([0, 63, 65, 70, 72])('%i bytes', (length) => {
    expect(inPool.verify({ alg: 'Ed25519', jwk: ed25519 }, utf8('m'), new Uint8Array(length).fill(1))).toBe(false);
    expect(inPool.verify({ alg: 'ES256', jwk: es256 }, utf8('m'), new Uint8Array(length).fill(1))).toBe(false);
  });
});

describe('imported keys', () => {
  test('are kept up to the cap and go on verifying beyond it', () => {
    const signatures = createSignatures({ mode: 'sync', maxKeys: 3 });
    const pairs = Array.from({ length: 8 }, (_, i) => generateKeyPair(i % 2 === 0 ? 'Ed25519' : 'ES256'));
    for (const { privateJwk, publicJwk } of [...pairs, ...pairs]) {
      const alg = publicJwk.kty === 'OKP' ? 'Ed25519' : 'ES256';
      expect(signatures.verify({ alg, jwk: publicJwk }, utf8('m'), sign(privateJwk, utf8('m')))).toBe(true);
      expect(signatures.cachedKeys()).toBeLessThanOrEqual(3);
    }
    expect(signatures.cachedKeys()).toBe(3);
  });

  test('are told apart by both coordinates', () => {
    const signatures = createSignatures({ mode: 'sync' });
    const { privateJwk, publicJwk } = generateKeyPair('ES256');
    const signature = sign(privateJwk, utf8('m'));
    expect(signatures.verify({ alg: 'ES256', jwk: publicJwk }, utf8('m'), signature)).toBe(true);
    const { publicJwk: other } = generateKeyPair('ES256');
    const mixed = { ...publicJwk, y: other.kty === 'EC' ? other.y : '' } as PublicJwk;
    expect(signatures.verify({ alg: 'ES256', jwk: mixed }, utf8('m'), signature)).toBe(false);
    expect(signatures.verify({ alg: 'ES256', jwk: other }, utf8('m'), signature)).toBe(false);
    expect(signatures.cachedKeys()).toBe(2);
  });
});

test('a threadpool verification looks at the bytes as they were when it was asked', async () => {
  const { privateJwk, publicJwk } = generateKeyPair('Ed25519');
  const message = new Uint8Array(1000).fill(1);
  const signature = sign(privateJwk, message);
  const verdict = inPool.verify({ alg: 'Ed25519', jwk: publicJwk }, message, signature);
  message.fill(2);
  expect(await verdict).toBe(true);
});

test('the thumbprint is that of RFC 8037 A.3', () => {
  const jwk = ed25519Jwk(hex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'));
  expect(encodeBase64url(thumbprint(jwk))).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
});
