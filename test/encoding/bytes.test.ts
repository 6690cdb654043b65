import { describe, expect, test } from '@jest/globals';
import { concat, fromHex, lp, lpConcat, toHex, u32, u64, utf8 } from '../../src/encoding/bytes.ts';

describe('u32 and u64', () => {
  test('write big-endian up to their bounds', () => {
    expect([0, 1, 0x0102_0304, 0xffff_ffff].map((n) => toHex(u32(n)))).toEqual([
      '00000000',
      '00000001',
      '01020304',
      'ffffffff',
    ]);
    expect(toHex(u64(Number.MAX_SAFE_INTEGER))).toBe('001fffffffffffff');
    expect(toHex(u64(2 ** 32))).toBe('0000000100000000');
    expect(toHex(u64(0xffff_ffff_ffff_ffffn))).toBe('ffffffffffffffff');
    expect(toHex(u64(0x0102_0304_0506_0708n))).toBe('0102030405060708');
  });

  test.each([-1, 2 ** 32, 0.5, Number.NaN, Infinity])('u32 refuses %p instead of cutting it', (n) => {
    expect(() => u32(n)).toThrow('u32');
  });

  test.each([-1, -1n, 2 ** 53, 0.5, Number.NaN, Infinity, 2n ** 64n])('u64 refuses %p instead of cutting it', (n) => {
    expect(() => u64(n)).toThrow('u64');
  });
});

describe('lpConcat', () => {
  test('counts bytes, not characters', () => {
    expect(toHex(lp('é€😀'))).toBe('00000009c3a9e282acf09f9880');
    expect(toHex(lp(new Uint8Array(0)))).toBe('00000000');
  });

  test('writes text behind ASCII as UTF-8 too', () => {
    const text = `${'a'.repeat(300)}é`;
    expect(toHex(lp(text))).toBe(toHex(concat([u32(302), utf8(text)])));
  });

  test.each(['\ud800', 'a\udc00b', '\udc00\ud800'])('has no bytes for a lone surrogate (%j)', (text) => {
    expect(() => lp(text)).toThrow('lone surrogate');
    expect(() => utf8(text)).toThrow('lone surrogate');
  });

  test('never hands out the same bytes twice', () => {
    const results = Array.from({ length: 400 }, (_, i) => lpConcat(u32(i), 'x'.repeat(i % 120)));
    for (const [i, bytes] of results.entries()) {
      expect(toHex(bytes)).toBe(toHex(concat([prefixed(u32(i)), prefixed(utf8('x'.repeat(i % 120)))])));
    }
    for (const bytes of results) bytes.fill(0xff);
    expect(lpConcat(new Uint8Array(20)).subarray(4)).toEqual(new Uint8Array(20));
  });
});

describe('hex', () => {
  test.each(['0', 'AB', '0g', ' 00', '00\n', '0x00', 'é0'])('refuses %j', (text) => {
    expect(fromHex(text)).toBeUndefined();
  });

  test('writes every byte in lower case and reads it back', () => {
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    expect(toHex(all)).toMatch(/^000102.*0a.*fdfeff$/);
    expect(fromHex(toHex(all))).toEqual(all);
  });
});

function prefixed(bytes: Uint8Array): Uint8Array {
  return concat([u32(bytes.length), bytes]);
}
