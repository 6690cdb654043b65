import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { escapeText, formatLine, LOG_FIELDS, MAX_LINE_BYTES, type LogFields } from '../../src/telemetry/line.ts';

const HEAD = `{"time":"2026-01-01T00:00:00.000Z","level":"info","event":"decision","msg":"check refused","pid":1,"role":"single","version":"1.2.3"`;

/** Text such as an attacker chooses: any UTF-16, lone surrogates among it. */
const nasty = fc.oneof(
  fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)), maxLength: 3000 }),
  fc.constantFrom(
    '\r\n{"level":"error"}',
    '\0',
    '\u202e\u2066\u200f',
    '\u2028\u2029',
    '"},{"',
    '\\',
    '\ud800',
    '\x1b[2J',
    '\x7f\x9b',
  ),
);

describe('a log line (OP-16)', () => {
  test('is one line of printable ASCII, parses and keeps within 4 KiB, whatever text comes in', () => {
    fc.assert(
      fc.property(
        fc.record(Object.fromEntries(LOG_FIELDS.map((name) => [name, fc.option(nasty, { nil: undefined })]))),
        (fields) => {
          const line = formatLine(HEAD, fields);
          expect(line).toMatch(/^[\x20-\x7e]*\n$/);
          expect(line.length).toBeLessThanOrEqual(MAX_LINE_BYTES);
          for (const name of Object.keys(JSON.parse(line) as object)) {
            expect(['time', 'level', 'event', 'msg', 'pid', 'role', 'version', ...LOG_FIELDS]).toContain(name);
          }
        },
      ),
    );
  });

  test('holds the text itself when it fits', () => {
    fc.assert(
      fc.property(nasty, (text) => {
        fc.pre(escapeText(text, Number.MAX_SAFE_INTEGER).length <= 1024);
        expect((JSON.parse(formatLine(HEAD, { detail: text })) as { detail: string }).detail).toBe(text);
      }),
    );
  });

  test('survives a text of 1 MB in every field', () => {
    const long = '\u0001'.repeat(1024 * 1024);
    const line = formatLine(HEAD, Object.fromEntries(LOG_FIELDS.map((name) => [name, long])));
    expect(line.length).toBeLessThanOrEqual(MAX_LINE_BYTES);
    expect((JSON.parse(line) as { check_id: string }).check_id).toMatch(/\.\.\.$/);
  });

  test('of fields that fill it together keeps within 4 KiB, and one long text does not push out the others', () => {
    const filled = formatLine(HEAD, Object.fromEntries(LOG_FIELDS.map((name) => [name, 'x'.repeat(900)])));
    expect(filled.length).toBeLessThanOrEqual(MAX_LINE_BYTES);
    expect(filled.length).toBeGreaterThan(MAX_LINE_BYTES - 64);
    const line = formatLine(HEAD, { check_id: 'x'.repeat(10_000), code: 'stale', detail: 'too old' });
    expect(JSON.parse(line)).toMatchObject({ code: 'stale', detail: 'too old' });
  });

  test('drops members that are no known fields', () => {
    const line = formatLine(HEAD, { code: 'stale', authorization: 'secret', toJSON: 'x' } as LogFields);
    expect(line).toContain('"code":"stale"');
    expect(line).not.toMatch(/authorization|secret|toJSON/);
  });

  test('leaves out numbers that JSON has no form for', () => {
    expect(formatLine('{"a":1', { duration_us: Number.NaN, offset_ms: Number.POSITIVE_INFINITY, horizon_ms: -3 })).toBe(
      '{"a":1,"horizon_ms":-3}\n',
    );
  });
});

test('escaping cuts between escapes, never inside one', () => {
  for (let maxBytes = 3; maxBytes < 40; maxBytes++) {
    const cut = escapeText('a"\u202e\u0000b\\c\u00e4d', maxBytes);
    expect(cut.length).toBeLessThanOrEqual(maxBytes);
    expect(() => JSON.parse(`"${cut}"`) as string).not.toThrow();
  }
});
