/** Blanks go, and nothing else. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { minifyJson } from '../../src/encoding/json-minify.ts';

test('property: what is printed with blanks comes out as it is printed without', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom(1, 2, '\t', ' \t\n\r'), (value, blanks) => {
      expect(minifyJson(JSON.stringify(value, undefined, blanks))).toBe(JSON.stringify(value));
      expect(minifyJson(JSON.stringify(value))).toBe(JSON.stringify(value));
    }),
  );
});

test.each([
  ['{ "a b" : "c \\" d" }', '{"a b":"c \\" d"}'],
  ['"\\\\" , "x"', '"\\\\","x"'],
  ['[1.50e+3 ,\t-0, "\\u0020 \\n"]', '[1.50e+3,-0,"\\u0020 \\n"]'],
  ['"\u00a0\u2028" ', '"\u00a0\u2028"'],
  ['{}\r\n', '{}'],
])('%j', (given, minified) => {
  expect(minifyJson(given)).toBe(minified);
});

test('takes linear time, also for text that is no JSON', () => {
  for (const text of ['"'.repeat(200_000), '\\"'.repeat(100_000), `"${'\\'.repeat(200_000)}`, ' '.repeat(200_000)])
    expect(minifyJson(text).length).toBeLessThanOrEqual(text.length);
});
