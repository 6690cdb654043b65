/** What schemes may ask of headers: duplicates are seen, bytes are kept, and no name reaches an object. */
import { Buffer } from 'node:buffer';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { HeaderList } from '../../src/core/request.ts';
import { readCheckMessage } from '../../src/envoy/check-message.ts';
import { createHeaderList } from '../../src/envoy/header-list.ts';
import { refusalOf } from '../support/refusal.ts';
import { encodeCheck } from './check-builder.ts';
import type { HeaderLine } from './check-builder.ts';

function headersOf(...headers: HeaderLine[]): HeaderList {
  return createHeaderList(readCheckMessage(encodeCheck({ headers })), false);
}

describe('single', () => {
  test('is the only value, blanks at its ends cut, and undefined when absent or empty of copies', () => {
    expect(headersOf(['x-a', ' \tv  w\t ']).single('x-a')).toBe('v  w');
    expect(headersOf(['x-a', '']).single('x-a')).toBe('');
    expect(headersOf(['x-a', 'v']).single('x-b')).toBeUndefined();
    expect(headersOf(['x-ab', 'v'], ['x-', 'v'], ['', 'v']).single('x-a')).toBeUndefined();
  });

  test.each(['authorization', 'content-length', 'dpop', 'x-pop'])(
    'refuses two copies of %s with malformed, equal or not, in any case',
    (name) => {
      expect(refusalOf(() => headersOf([name, 'a'], ['x', 'y'], [name, 'a']).single(name))).toBe('malformed');
      expect(refusalOf(() => headersOf([name, 'a'], [name.toUpperCase(), 'b']).single(name))).toBe('malformed');
      expect(refusalOf(() => headersOf([name.toUpperCase(), 'b'], [name, '']).single(name))).toBe('malformed');
    },
  );

  test('takes every byte from 0x20 to 0x7e and refuses every other one with malformed', () => {
    for (let byte = 0; byte < 256; byte++) {
      const headers = headersOf(['x-a', Uint8Array.of(0x61, byte, 0x61)]);
      const isAllowed = byte >= 0x20 && byte <= 0x7e;
      expect(refusalOf(() => headers.single('x-a'))).toBe(isAllowed ? undefined : 'malformed');
    }
  });
});

test('all gives every value in order, one character a byte', () => {
  const headers = headersOf(['x-a', ' 1 '], ['x-b', '2'], ['X-A', Uint8Array.of(0xff, 0x80)]);
  expect(headers.all('x-a')).toEqual([' 1 ', '\xff\x80']);
  expect(headers.all('x-c')).toEqual([]);
});

test('joined is trimmed values with ", " between them, and undefined when there are none', () => {
  expect(headersOf(['x-a', ' 1 '], ['x-a', '2,3']).joined('x-a')).toBe('1, 2,3');
  expect(headersOf(['x-a', '']).joined('x-a')).toBe('');
  expect(headersOf().joined('x-a')).toBeUndefined();
});

test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('%s is a name like any other', (name) => {
  const headers = headersOf([name, 'v']);
  expect(headers.names()).toEqual([name]);
  expect(headers.single(name.toLowerCase())).toBe('v');
  expect(headersOf().single(name.toLowerCase())).toBeUndefined();
});

test('trimming a long run of blanks between two words takes no more time than reading it', () => {
  const value = `a${' '.repeat(60_000)}b`;
  const headers = headersOf(['x-a', value]);
  for (let i = 0; i < 1000; i++) headers.single('x-a');
  expect(headers.single('x-a')).toBe(value);
});

test('agrees with a plain list, whatever the headers', () => {
  const name = fc.constantFrom('x-a', 'X-A', 'x-b', '__proto__', '', 'x-ab');
  const line = fc.tuple(name, fc.uint8Array({ maxLength: 8 }));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      const headers = headersOf(...lines);
      expect(headers.names()).toEqual(lines.map(([each]) => each));
      for (const asked of ['x-a', 'x-b', '__proto__', '']) {
        const values = lines
          .filter(([each]) => each.toLowerCase() === asked)
          .map(([, value]) => Buffer.from(value).toString('latin1'));
        expect(headers.all(asked)).toEqual(values);
        const isBad =
          values.length > 1 || values.some((value) => /[^\x20-\x7e]/.test(value.replace(/^[ \t]+|[ \t]+$/g, '')));
        expect(refusalOf(() => headers.single(asked))).toBe(isBad ? 'malformed' : undefined);
      }
    }),
  );
});
