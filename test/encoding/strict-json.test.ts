/** CT-25 and the rules that RFC 8259 leaves open. Corpus: JSONTestSuite, whose names say what a parser must do. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { Denial } from '../../src/core/decision.ts';
import { concat, utf8 } from '../../src/encoding/bytes.ts';
import { parseJsonDocument, parseStrictJson } from '../../src/encoding/strict-json.ts';
import type { JsonObject } from '../../src/encoding/strict-json.ts';
import { hex } from '../support/bytes.ts';
import { refusalOf, thrownBy } from '../support/refusal.ts';
import corpus from '../vectors/third-party/json-test-suite.json' with { type: 'json' };

/** Cases whose bytes are not valid UTF-8, which the corpus as text can't hold. Same names; the bytes are ours. */
const BYTES: Readonly<Record<string, string>> = {
  'i_string_UTF-16LE_with_BOM': 'fffe5b002200e90022005d00',
  'i_string_UTF-8_invalid_sequence': '5b22e697a5d188fa225d',
  'i_string_UTF8_surrogate_U+D800': '5b22eda080225d',
  'i_string_invalid_utf-8': '5b22ff225d',
  i_string_iso_latin_1: '5b22e9225d',
  i_string_lone_utf8_continuation_byte: '5b2281225d',
  i_string_not_in_unicode_range: '5b22f4bfbfbf225d',
  i_string_overlong_sequence_2_bytes: '5b22c0af225d',
  i_string_overlong_sequence_6_bytes: '5b22fc83bfbfbfbf225d',
  i_string_overlong_sequence_6_bytes_null: '5b22fc8080808080225d',
  'i_string_truncated-utf-8': '5b22e0ff225d',
  i_string_utf16BE_no_BOM: '005b002200e90022005d',
  i_string_utf16LE_no_BOM: '5b002200e90022005d00',
  n_array_a_invalid_utf8: '5b61e55d',
  n_array_invalid_utf8: '5bff5d',
  'n_number_invalid-utf-8-in-bigger-int': '5b313233e55d',
  'n_number_invalid-utf-8-in-exponent': '5b316531e55d',
  'n_number_invalid-utf-8-in-int': '5b30e55d0a',
  n_number_real_with_invalid_utf8_after_e: '5b3165e55d',
  n_object_lone_continuation_byte_in_key_and_trailing_comma: '7b22b9223a2230222c7d',
  'n_string_invalid-utf-8-in-escape': '5b225c75e5225d',
  n_string_invalid_utf8_after_escape: '5b225ce5225d',
  n_structure_incomplete_UTF8_BOM: 'efbb7b7d',
  'n_structure_lone-invalid-utf-8': 'e5',
  n_structure_single_eacute: 'e9',
};

const UNDERFLOW = 'a double has a value for it, zero: the grammar is kept and no field of ours is a fraction';
const IMPRECISE = 'a double has a value near it; fields are safe integers, which it is not, so a schema refuses it';
const OVERFLOW = 'a double has no value for it; infinity would survive comparisons';
const SURROGATE = 'a lone surrogate has no UTF-8 form, so signed bytes could not hold it';
const NOT_UTF8 = 'not UTF-8: a lenient decoder would make two byte strings one text';
const DEEP = 'deeper than 16';
const MARK = 'a byte order mark would be bytes that no field holds';

/** What RFC 8259 leaves to the parser, decided. */
const DECIDED: Readonly<Record<string, readonly ['accept' | 'refuse', why: string]>> = {
  i_number_double_huge_neg_exp: ['accept', UNDERFLOW],
  i_number_real_underflow: ['accept', UNDERFLOW],
  i_number_too_big_neg_int: ['accept', IMPRECISE],
  i_number_too_big_pos_int: ['accept', IMPRECISE],
  i_number_very_big_negative_int: ['accept', IMPRECISE],
  i_number_huge_exp: ['refuse', OVERFLOW],
  i_number_neg_int_huge_exp: ['refuse', OVERFLOW],
  i_number_pos_double_huge_exp: ['refuse', OVERFLOW],
  i_number_real_neg_overflow: ['refuse', OVERFLOW],
  i_number_real_pos_overflow: ['refuse', OVERFLOW],
  i_object_key_lone_2nd_surrogate: ['refuse', SURROGATE],
  i_string_1st_surrogate_but_2nd_missing: ['refuse', SURROGATE],
  i_string_1st_valid_surrogate_2nd_invalid: ['refuse', SURROGATE],
  i_string_incomplete_surrogate_and_escape_valid: ['refuse', SURROGATE],
  i_string_incomplete_surrogate_pair: ['refuse', SURROGATE],
  i_string_incomplete_surrogates_escape_valid: ['refuse', SURROGATE],
  i_string_invalid_lonely_surrogate: ['refuse', SURROGATE],
  i_string_invalid_surrogate: ['refuse', SURROGATE],
  'i_string_inverted_surrogates_U+1D11E': ['refuse', SURROGATE],
  i_string_lone_second_surrogate: ['refuse', SURROGATE],
  'i_string_UTF-16LE_with_BOM': ['refuse', NOT_UTF8],
  'i_string_UTF-8_invalid_sequence': ['refuse', NOT_UTF8],
  'i_string_UTF8_surrogate_U+D800': ['refuse', NOT_UTF8],
  'i_string_invalid_utf-8': ['refuse', NOT_UTF8],
  i_string_iso_latin_1: ['refuse', NOT_UTF8],
  i_string_lone_utf8_continuation_byte: ['refuse', NOT_UTF8],
  i_string_not_in_unicode_range: ['refuse', NOT_UTF8],
  i_string_overlong_sequence_2_bytes: ['refuse', NOT_UTF8],
  i_string_overlong_sequence_6_bytes: ['refuse', NOT_UTF8],
  i_string_overlong_sequence_6_bytes_null: ['refuse', NOT_UTF8],
  'i_string_truncated-utf-8': ['refuse', NOT_UTF8],
  i_string_utf16BE_no_BOM: ['refuse', NOT_UTF8],
  i_string_utf16LE_no_BOM: ['refuse', NOT_UTF8],
  i_structure_500_nested_arrays: ['refuse', DEEP],
  'i_structure_UTF-8_BOM_empty_object': ['refuse', MARK],
  // Of the cases that every parser should accept, the two that ours must not.
  y_object_duplicated_key: ['refuse', 'parsers disagree which of the two counts'],
  y_object_duplicated_key_and_value: ['refuse', 'the same rule, whatever the values'],
};

const cases = [
  ...corpus.cases.map(({ name, input }) => [name, utf8(input)] as const),
  ...Object.entries(BYTES).map(([name, bytes]) => [name, hex(bytes)] as const),
  ['n_structure_100000_opening_arrays', utf8('['.repeat(100_000))] as const,
  ['n_structure_open_array_object', utf8('[{"":'.repeat(50_000))] as const,
];

describe('JSONTestSuite, each case by itself and as a member of an object', () => {
  test.each(cases)('%s', (name, bytes) => {
    const alone = refusalOf(() => parseStrictJson(bytes));
    const inside = refusalOf(() => parseStrictJson(concat([utf8('{"v":'), bytes, utf8('}')])));
    const isObject = bytes.find((byte) => !isBlank(byte)) === 0x7b;
    const verdict = DECIDED[name]?.[0] ?? (name.startsWith('y_') ? 'accept' : 'refuse');
    if (verdict === 'refuse') expect([alone, inside]).toEqual(['malformed', 'malformed']);
    else expect([alone, inside]).toEqual([isObject ? undefined : 'malformed', undefined]);
  });

  test('has a written decision for each case that is left to the parser, and no others', () => {
    const left = cases.map(([name]) => name).filter((name) => name.startsWith('i_'));
    const decided = Object.keys(DECIDED).filter((name) => name.startsWith('i_'));
    expect(decided.toSorted()).toEqual(left.toSorted());
  });
});

describe('parseStrictJson', () => {
  test.each(['__proto__', 'constructor', 'prototype'])('refuses the member %s at any depth, escaped or not', (name) => {
    const escaped = `\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1)}`;
    for (const text of [`{"${name}":1}`, `{"a":[{"${name}":{}}]}`, `{"${escaped}":1}`]) {
      expect(refusalOf(() => parse(text))).toBe('malformed');
    }
  });

  test('refuses duplicates at any depth, compared after unescaping, and knows equal names in different objects apart', () => {
    for (const text of ['{"a":{"b":1,"b":1}}', '{"a":[{"b":1,"\\u0062":2}]}', '{"":1,"":2}', '{"\\/":1,"/":2}']) {
      expect(refusalOf(() => parse(text))).toBe('malformed');
    }
    expect(parse('{"a":{"a":1},"b":[{"a":2},{"a":3}]}')).toEqual({ a: { a: 1 }, b: [{ a: 2 }, { a: 3 }] });
  });

  test.each([
    '["a":1}',
    '"a":1}',
    'x"a":1}',
    '{"a":1]',
    '{"a":[1}}',
    '{"a":[1}]}',
    '{"a":1"b":2}',
    '{"a":[1 2]}',
    '{"a" 1}',
    '{a:1}',
  ])('refuses %j: brackets and separators are looked at, not stepped over', (text) => {
    expect(refusalOf(() => parse(text))).toBe('malformed');
  });

  test('takes names of inherited members for what they are: names', () => {
    expect(Object.keys(parse('{"toString":1,"hasOwnProperty":2,"valueOf":3}'))).toHaveLength(3);
  });

  test('makes objects without prototype', () => {
    const value = parse('{"a":{}}');
    expect(Object.getPrototypeOf(value)).toBeNull();
    expect(Object.getPrototypeOf(value['a'])).toBeNull();
  });

  test('counts the top object as depth 1, lists too, and brothers once', () => {
    expect(refusalOf(() => parse(nested(16)))).toBeUndefined();
    expect(refusalOf(() => parse(nested(17)))).toBe('malformed');
    expect(refusalOf(() => parseStrictJson(utf8(nested(4)), { maxDepth: 4 }))).toBeUndefined();
    expect(refusalOf(() => parseStrictJson(utf8(nested(5)), { maxDepth: 4 }))).toBe('malformed');
    expect(refusalOf(() => parse(`{"a":[${'{},[],'.repeat(100)}{}]}`))).toBeUndefined();
  });

  test('reads what JSON.parse reads', () => {
    const text =
      '{"s":"a\\n\\u00e9\\ud83d\\ude00/é😀","n":[0,-0,1.5e3,-2E-2,123456789],"t":true,"f":false,"z":null,"o":{},"l":[]}';
    expect(JSON.stringify(parse(text))).toBe(JSON.stringify(JSON.parse(text)));
  });

  test('accepts the four blanks of JSON anywhere between, and no others', () => {
    expect(parse('\t\r\n {\t"a"\r:\n[ 1 , 2 ] ,"b" : 3 } \n')).toEqual({ a: [1, 2], b: 3 });
    for (const blank of ['\u00a0', '\u2028', '\ufeff', '\f', '\v', '\u0000']) {
      for (const text of [`${blank}{}`, `{}${blank}`, `{"a":${blank}1}`]) {
        expect(refusalOf(() => parse(text))).toBe('malformed');
      }
    }
  });

  test('puts nothing of the text into the refusal', () => {
    for (const text of ['{"c4n4ry":1,"c4n4ry":2}', '{"a":c4n4ry}', '{"a":"c4n4ry\\x"}', 'c4n4ry', '{"a":1}c4n4ry']) {
      const thrown = thrownBy(() => parse(text));
      expect(thrown instanceof Denial && thrown.message).not.toContain('c4n4ry');
    }
  });

  test('reads a string of a million characters', () => {
    const long = 'x\\n'.repeat(500_000);
    expect(parse(`{"a":"${long}"}`)['a']).toHaveLength(1_000_000);
  });
});

describe('where an object stands in the text', () => {
  test('property: what is told of an object is the text that it was read from, whatever is around it', () => {
    const blanks = fc.stringMatching(/^[ \t\r\n]{0,3}$/);
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), blanks, blanks, (value, before, after) => {
        fc.pre(refusalOf(() => parse(JSON.stringify(value))) === undefined);
        const inner = JSON.stringify(value, undefined, before.length);
        const text = `${before}{"\u00e9\\n":1,"payload":${before}${inner}${after},"x":[{}]}${after}`;
        const { value: whole, sourceOf } = parseJsonDocument(utf8(text));
        expect(sourceOf(whole['payload'] as JsonObject)).toBe(inner);
        expect(sourceOf(whole)).toBe(text.slice(before.length, text.length - after.length));
        expect(whole).toEqual(parse(text));
      }),
    );
  });

  test('an object of another document has none', () => {
    const { sourceOf } = parseJsonDocument(utf8('{"a":{}}'));
    expect(() => sourceOf(parse('{}'))).toThrow(RangeError);
  });
});

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

function parse(text: string): JsonObject {
  return parseStrictJson(utf8(text));
}

function nested(depth: number): string {
  return `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)},"b":{}}`;
}
