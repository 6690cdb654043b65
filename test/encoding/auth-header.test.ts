import { describe, expect, test } from '@jest/globals';
import { Denial } from '../../src/core/decision.ts';
import { authSchemeOf, formatAuthHeader, parseAuthHeader } from '../../src/encoding/auth-header.ts';
import { refusalOf, thrownBy } from '../support/refusal.ts';

describe('parseAuthHeader', () => {
  test.each([
    ['nothing', ''],
    ['a scheme alone', 'OpaquePoP'],
    ['a scheme and a blank', 'OpaquePoP '],
    ['a comma for a parameter list', 'OpaquePoP ,'],
    ['a comma in front', 'X ,a="1"'],
    ['two commas', 'X a="1",,b=2'],
    ['a comma and a blank at the end', 'X a="1", '],
    ['a blank at the end', 'X a="1" '],
    ['no comma between', 'X a="1" b=2'],
    ['a second scheme, as a proxy joins two headers', 'X a="1", X a="1"'],
    ['a second scheme without a comma', 'X a="1" Y b=2'],
    ['a scheme of 33 characters', `${'x'.repeat(33)} a=1`],
    ['a scheme that begins with a digit', '1X a=1'],
    ['a key of 17 characters', `X ${'k'.repeat(17)}=1`],
    ['a key that begins with a digit', 'X 1a=1'],
    ['a hyphen in a key', 'X a-b=1'],
    ['no key', 'X =1'],
    ['a blank before the equals sign', 'X a =1'],
    ['a blank behind it', 'X a= 1'],
    ['no value', 'X a='],
    ['a sign', 'X a=-1'],
    ['a fraction', 'X a=1.0'],
    ['an integer beyond 2^53 - 1', 'X a=9007199254740992'],
    ['an integer of 17 digits', 'X a=10000000000000000'],
    ['two quotes in a value', 'X a="1""'],
    ['a quote behind an integer', 'X a=1"'],
    ['DEL', 'X a="\u007f"'],
    ['a line feed at the end', 'X a="1"\n'],
    ['a tab behind the scheme', 'X\ta=1'],
    ['a repeated key in the other form', 'X a="1", a=1'],
  ])('refuses with malformed: %s', (_, value) => {
    expect(refusalOf(() => parseAuthHeader(value))).toBe('malformed');
  });

  test('accepts 4096 bytes and refuses 4097 with 413', () => {
    expect(parseAuthHeader(headerOf(4096)).params.size).toBe(1);
    expect(thrownBy(() => parseAuthHeader(headerOf(4097)))).toMatchObject({ code: 'malformed', form: { status: 413 } });
  });

  test('answers 401 to what is wrong but not too long', () => {
    expect(thrownBy(() => parseAuthHeader('X a=abc'))).toMatchObject({ form: { status: 401 } });
  });

  test('keeps the scheme as sent and tells the two forms apart', () => {
    const { scheme, params } = parseAuthHeader('opaquePOP a="5" ,  b=5,c_1="x"');
    expect(scheme).toBe('opaquePOP');
    expect([...params]).toEqual([
      ['a', '5'],
      ['b', 5],
      ['c_1', 'x'],
    ]);
  });

  test('puts nothing of the header into the refusal', () => {
    const thrown = thrownBy(() => parseAuthHeader('X canary="c4n4ry", canary="c4n4ry"'));
    expect(thrown instanceof Denial && `${thrown.message} ${thrown.detail}`).not.toContain('c4n4ry');
  });
});

describe('authSchemeOf', () => {
  test.each([
    ['OpaquePoP sid="a"', 'opaquepop'],
    ['OPAQUEPOP', 'opaquepop'],
    ['Bearer a.b', 'bearer'],
    ['X', 'x'],
  ])('finds the scheme of %j', (value, scheme) => {
    expect(authSchemeOf(value)).toBe(scheme);
  });

  test.each(['', ' X', 'OpaquePoP,a=1', 'OpaquePoP\ta=1', '-x', '1x', `${'x'.repeat(33)} a=1`])(
    'finds none in %j',
    (value) => {
      expect(authSchemeOf(value)).toBeUndefined();
    },
  );
});

describe('formatAuthHeader', () => {
  test('writes numbers bare and text quoted', () => {
    expect(formatAuthHeader('OpaquePoP', { sid: 'a b', ts: 5 })).toBe('OpaquePoP sid="a b", ts=5');
  });

  test.each([
    ['X', {}],
    ['X y', { a: 1 }],
    ['', { a: 1 }],
    ['X', { A: 1 }],
    ['X', { a: -1 }],
    ['X', { a: 0.5 }],
    ['X', { a: 2 ** 53 }],
    ['X', { a: 'a"b' }],
    ['X', { a: 'a\\b' }],
    ['X', { a: 'é' }],
    ['X', { a: 'a\nb' }],
  ])('refuses to write %j with %j', (scheme, params) => {
    expect(() => formatAuthHeader(scheme, params as Record<string, string | number>)).toThrow('auth header');
  });
});

function headerOf(length: number): string {
  return `X a="${'a'.repeat(length - 6)}"`;
}
