import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { Denial } from '../../src/core/decision.ts';
import { importPoint } from '../../src/crypto/p256-point.ts';
import { randomBytes } from '../../src/crypto/random.ts';
import { type Code, decode, encode, isNonce, newNonce, saltBytes } from '../../src/encoding/cesr.ts';
import { compressPoint, decompressPoint } from '../../src/encoding/p256.ts';
import { generateKeyPair } from '../../src/crypto/signatures.ts';
import { hex } from '../support/bytes.ts';
import { refusalOf, thrownBy } from '../support/refusal.ts';
import vectors from '../vectors/cesr.json' with { type: 'json' };

const codes = vectors.codes as readonly { code: Code; rawBytes: number; characters: number }[];
const ROLES: readonly (readonly [string, Code])[] = [
  ['key', '1AAI'],
  ['passphrase key', 'B'],
  ['signature', '0I'],
  ['passphrase signature', '0B'],
  ['digest', 'E'],
  ['seed', 'Q'],
];

const anyWord = fc
  .constantFrom(...codes)
  .chain(({ code, rawBytes }) =>
    fc.uint8Array({ minLength: rawBytes, maxLength: rawBytes }).map((raw) => ({ code, raw })),
  );

describe('words', () => {
  test('property: decode gives back what encode was given, and encode what decode was given, for every code', () => {
    fc.assert(
      fc.property(anyWord, ({ code, raw }) => {
        const text = encode(code, raw);
        expect(text).toHaveLength(codes.find((one) => one.code === code)?.characters ?? 0);
        expect(decode(text, [code])).toEqual({ code, raw: Uint8Array.from(raw) });
        expect(encode(code, decode(text, [code]).raw)).toBe(text);
      }),
    );
  });

  test('property: a word with one character changed is refused with malformed, or is another value', () => {
    const changes = fc.tuple(anyWord, fc.nat(), fc.constantFrom(...'ABCDEFGHPQxyz0189-_'.split('')));
    fc.assert(
      fc.property(changes, ([{ code, raw }, at, character]) => {
        const text = encode(code, raw);
        const index = at % text.length;
        const changed = text.slice(0, index) + character + text.slice(index + 1);
        fc.pre(changed !== text);
        const thrown = thrownBy(() => expect(decode(changed, [code]).raw).not.toEqual(Uint8Array.from(raw)));
        if (thrown !== undefined) expect(thrown).toBeInstanceOf(Denial);
      }),
    );
  });

  test('property: of any text the answer is a word or malformed, never another throw', () => {
    const texts = fc.oneof(fc.string({ maxLength: 100 }), fc.string({ unit: 'binary', maxLength: 100 }), fc.anything());
    fc.assert(
      fc.property(texts, (text) => {
        const refusal = refusalOf(() => decode(text, ['E', '0A', '1AAI', '0I']));
        expect(['malformed', undefined]).toContain(refusal);
      }),
    );
  });

  test('refuses with malformed a megabyte before it looks at any of it', () => {
    expect(refusalOf(() => decode('A'.repeat(1_000_000), ['A']))).toBe('malformed');
  });

  test('refuses with malformed every code at every role but its own, and names role and code, never the value', () => {
    for (const { code, rawBytes } of codes) {
      const text = encode(code, randomBytes(rawBytes));
      for (const [role, allowed] of ROLES) {
        const thrown = thrownBy(() => decode(text, [allowed], role));
        if (code === allowed) expect(thrown).toBeUndefined();
        else expect(thrown).toMatchObject({ code: 'malformed', detail: `${role}: expected code ${allowed}` });
      }
    }
  });

  test('encode throws for a value of another length instead of writing a word that nobody reads', () => {
    expect(() => encode('E', new Uint8Array(31))).toThrow(RangeError);
    expect(() => encode('0I', new Uint8Array(65))).toThrow(RangeError);
  });
});

describe('nonces and salts', () => {
  test('a new nonce is canonical and different each time', () => {
    const nonces = Array.from({ length: 100 }, () => newNonce(randomBytes));
    expect(new Set(nonces).size).toBe(100);
    for (const nonce of nonces) {
      expect(isNonce(nonce)).toBe(true);
      expect(decode(nonce, ['0A']).code).toBe('0A');
    }
  });

  test('a salt whose pad is not zero is read without it, since the seed has such', () => {
    expect(saltBytes('0AEbin7spiwkRaXks8K5AA9x')).toHaveLength(16);
    expect(refusalOf(() => saltBytes('0A'))).toBe('malformed');
  });
});

describe('points of P-256', () => {
  test('the browser finds the same point as node:crypto, and both the one that was compressed', () => {
    for (let count = 0; count < 20; count += 1) {
      const { publicJwk } = generateKeyPair('ES256');
      if (publicJwk.kty !== 'EC') throw new Error('not P-256');
      const point = compressPoint(publicJwk);
      expect(decompressPoint(point)).toEqual(publicJwk);
      expect(importPoint(point)).toEqual(publicJwk);
    }
  });

  test('x is refused at the prime and above, also where x less the prime has a point', () => {
    const prime = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
    const pointOf = (x: bigint) => hex(`02${x.toString(16).padStart(64, '0')}`);
    const small = Array.from({ length: 20 }, (_, x) => BigInt(x)).filter(
      (x) => decompressPoint(pointOf(x)) !== undefined,
    );
    expect(small.length).toBeGreaterThan(3);
    for (const x of small) {
      expect(importPoint(pointOf(x))).toEqual(decompressPoint(pointOf(x)));
      expect(decompressPoint(pointOf(prime + x))).toBeUndefined();
      expect(importPoint(pointOf(prime + x))).toBeUndefined();
    }
  });

  test('property: of any 33 bytes both say the same', () => {
    const points = fc
      .tuple(fc.constantFrom(0, 2, 3, 4, 6, 7), fc.uint8Array({ minLength: 32, maxLength: 32 }))
      .map(([form, x]) => Uint8Array.of(form, ...x));
    fc.assert(fc.property(points, (point) => expect(decompressPoint(point)).toEqual(importPoint(point))));
  });
});
