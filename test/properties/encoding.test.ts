/** CT-02: what is written is read back, and nothing else is read; hostile input ends in a denial and in nothing else. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { formatAuthHeader, parseAuthHeader } from '../../src/encoding/auth-header.ts';
import { decodeBase64url, encodeBase64url } from '../../src/encoding/base64url.ts';
import { concat, fromHex, lpConcat, toHex, u32, utf8 } from '../../src/encoding/bytes.ts';
import { parseInteger } from '../../src/encoding/integer.ts';
import { parseStrictJson } from '../../src/encoding/strict-json.ts';
import { refusalOf } from '../support/refusal.ts';

const bytes = fc.uint8Array({ maxLength: 100 });
const quotable = fc.stringMatching(/^[\x20\x21\x23-\x5b\x5d-\x7e]{0,40}$/);
const key = fc.stringMatching(/^[a-z][a-z0-9_]{0,15}$/);
const params = fc.dictionary(key, fc.oneof(quotable, fc.maxSafeNat()), {
  minKeys: 1,
  maxKeys: 8,
  noNullPrototype: true,
});
const scheme = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,31}$/);

describe('base64url', () => {
  test('gives back what was written', () => {
    fc.assert(fc.property(bytes, (value) => expect(decodeBase64url(encodeBase64url(value))).toEqual(plain(value))));
  });

  test('has one text for each byte string: whatever decodes, encodes to itself', () => {
    const text = fc.oneof(fc.string({ maxLength: 12 }), fc.stringMatching(/^[A-Za-z0-9_=+/\- -]{0,12}$/));
    fc.assert(
      fc.property(text, (value) => {
        const decoded = decodeBase64url(value);
        if (decoded !== undefined) expect(encodeBase64url(decoded)).toBe(value);
        else expect(/^[A-Za-z0-9_-]*$/.test(value) && reencoded(value) === value).toBe(false);
      }),
    );
  });
});

describe('hex', () => {
  test('gives back what was written', () => {
    fc.assert(fc.property(bytes, (value) => expect(fromHex(toHex(value))).toEqual(plain(value))));
  });
});

describe('LP', () => {
  test('gives back what was written, whatever the parts', () => {
    const part = fc.oneof(
      bytes,
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('a', '\u007f', '\u0080', 'é', '€', '\uffff', '😀'), maxLength: 500 }),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        expect(split(lpConcat(...parts)).map(toHex)).toEqual(
          parts.map((one) => toHex(typeof one === 'string' ? utf8(one) : one)),
        );
      }),
    );
  });
});

describe('integers', () => {
  test('are read as they are written, and nothing else is', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (value) => expect(parseInteger(String(value))).toBe(value)));
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.double().map(String), fc.bigInt().map(String)), (text) => {
        const value = parseInteger(text);
        if (value !== undefined) expect(String(value)).toBe(text);
      }),
    );
  });
});

describe('credential headers', () => {
  test('give back what was written', () => {
    fc.assert(
      fc.property(scheme, params, (name, values) => {
        const parsed = parseAuthHeader(formatAuthHeader(name, values));
        expect(parsed.scheme).toBe(name);
        expect(Object.fromEntries(parsed.params)).toEqual(values);
      }),
    );
  });

  test('altered anywhere are either refused or another credential', () => {
    fc.assert(
      fc.property(scheme, params, fc.nat(), fc.integer({ min: 0, max: 255 }), (name, values, at, unit) => {
        const text = formatAuthHeader(name, values);
        const index = at % text.length;
        const altered = text.slice(0, index) + String.fromCharCode(unit) + text.slice(index + 1);
        if (altered === text || refusalOf(() => parseAuthHeader(altered)) !== undefined) return;
        const parsed = parseAuthHeader(altered);
        const isOther = parsed.scheme !== name || !equal(Object.fromEntries(parsed.params), values);
        // Blanks around commas are all that may differ without a difference.
        expect(isOther || altered.replaceAll(' ', '') === text.replaceAll(' ', '')).toBe(true);
      }),
    );
  });

  test('of any bytes end in malformed or in parameters, never in another throw', () => {
    const value = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.stringMatching(/^X [a-c0-2="', \\\t]{0,30}$/),
      fc.stringMatching(/^X( ?,? ?[ab]=("[0-9a]*"|[0-9]{1,17})){1,4}$/),
    );
    fc.assert(
      fc.property(value, (text) => expect([undefined, 'malformed']).toContain(refusalOf(() => parseAuthHeader(text)))),
    );
  });
});

describe('strict JSON', () => {
  const json = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 }), { noNullPrototype: true });

  test('reads what JSON.stringify writes, as JSON.parse does', () => {
    fc.assert(
      fc.property(json, fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        // A member of a forbidden name, or a lone surrogate, is the only reason to refuse.
        if (/__proto__|"constructor"|"prototype"|\\ud/.test(text)) return;
        expect(JSON.stringify(parseStrictJson(utf8(text)))).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
  });

  test('accepts nothing that JSON.parse refuses, and agrees where both accept', () => {
    const nearJson = fc
      .tuple(
        json,
        fc.nat(),
        fc.constantFrom('', '"', '\\', ',', '{', '}', '[', ']', ':', '0', '-', '.', 'e', ' ', 'null', '\n'),
      )
      .map(([value, at, piece]) => {
        const text = JSON.stringify(value);
        const index = at % (text.length + 1);
        return text.slice(0, index) + piece + text.slice(index + (at % 3));
      })
      .filter((text) => text.isWellFormed());
    fc.assert(
      fc.property(nearJson, (text) => {
        if (refusalOf(() => parseStrictJson(utf8(text))) !== undefined) return;
        expect(JSON.stringify(parseStrictJson(utf8(text)))).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
  });

  test('of any bytes ends in malformed or in an object, never in another throw', () => {
    const hostile = fc.oneof(
      bytes,
      fc.tuple(bytes, bytes).map(([a, b]) => concat([utf8('{"a":"'), a, utf8('","b":'), b, utf8('}')])),
    );
    fc.assert(
      fc.property(hostile, (value) =>
        expect([undefined, 'malformed']).toContain(refusalOf(() => parseStrictJson(value))),
      ),
    );
  });
});

/** An independent decoder and encoder: lenient, so the text comes back only when it was canonical. */
function reencoded(text: string): string {
  return Buffer.from(text, 'base64url').toString('base64url');
}

/** A second reading of LP, straight from its definition. */
function split(written: Uint8Array): Uint8Array[] {
  if (written.length === 0) return [];
  const end = 4 + Number.parseInt(toHex(written.subarray(0, 4)), 16);
  expect(toHex(u32(end - 4))).toBe(toHex(written.subarray(0, 4)));
  return [written.subarray(4, end), ...split(written.subarray(end))];
}

function plain(value: Uint8Array): Uint8Array {
  return Uint8Array.from(value);
}

function equal(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  return (
    Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([name, value]) => b[name] === value)
  );
}
