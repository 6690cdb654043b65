/** The wire formats: what is written is read back, and nothing but it is read. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import * as v from 'valibot';
import { encodeBase64url } from '../../../src/encoding/base64url.ts';
import { toHex } from '../../../src/encoding/bytes.ts';
import { base64url, hex } from '../../../src/schemes/opaque-pop/fields.ts';
import {
  decodeExactly,
  formatStrictChallenge,
  formatStrictProof,
  isKeyStretching,
  isSid,
  logoutMessage,
  parseStrictProof,
  strictMessage,
} from '../../../src/schemes/opaque-pop/message.ts';
import {
  bearerSid,
  formatSeedChallenge,
  parseSeedProof,
  seedMessage,
  seedPath,
} from '../../../src/schemes/opaque-pop/seed-message.ts';
import { authRequest, complete } from '../../support/auth-request.ts';
import { refusalOf } from '../../support/refusal.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const sid = bytes(32).map(encodeBase64url);
const tsMs = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const outcome = (run: () => unknown) => refusalOf(run) ?? 'read';

describe('strict', () => {
  test('property: parse(format(proof)) is the proof', () => {
    fc.assert(
      fc.property(sid, tsMs, bytes(16), bytes(32), (session, ts, nonce, mac) => {
        const proof = { sid: session, tsMs: ts, nonce, mac };
        expect(parseStrictProof(formatStrictProof(proof))).toEqual(proof);
      }),
    );
  });

  test('property: any text behind the scheme is a proof or malformed', () => {
    const param = fc.tuple(fc.constantFrom('sid', 'ts', 'nonce', 'mac', 'x'), fc.string(), fc.boolean());
    const header = fc.oneof(
      fc.string().map((text) => `OpaquePoP ${text}`),
      fc
        .array(param)
        .map(
          (params) =>
            `OpaquePoP ${params.map(([name, text, isQuoted]) => `${name}=${isQuoted ? `"${text}"` : text}`).join(', ')}`,
        ),
    );
    fc.assert(
      fc.property(header, (value) => expect(['read', 'malformed']).toContain(outcome(() => parseStrictProof(value)))),
    );
  });

  test('property: no edit of a header gives another text of the same proof, but for what the grammar lets vary', () => {
    const edit = fc.record({ at: fc.nat(), removed: fc.nat({ max: 2 }), inserted: fc.string({ maxLength: 2 }) });
    fc.assert(
      fc.property(sid, bytes(16), bytes(32), edit, (session, nonce, mac, { at, removed, inserted }) => {
        const proof = { sid: session, tsMs: 1_700_000_000_000, nonce, mac };
        const header = formatStrictProof(proof);
        const behind = 'OpaquePoP '.length;
        const start = behind + (at % (header.length - behind));
        const edited = header.slice(0, start) + inserted + header.slice(start + removed);
        if (outcome(() => parseStrictProof(edited)) === 'read' && normal(edited) !== normal(header))
          expect(parseStrictProof(edited)).not.toEqual(proof);
      }),
    );
  });

  test('property: two different requests, times, nonces or sessions never have one message; a logout has none of theirs', () => {
    const text = fc.string().map((value) => value.toWellFormed());
    const request = fc.record({ method: text, scheme: text, authority: text, target: text });
    const signable = fc.record({ sid, tsMs, nonce: bytes(16), request, digest: fc.oneof(bytes(32), bytes(0)) });
    fc.assert(
      fc.property(signable, signable, (one, other) => {
        fc.pre(JSON.stringify(one) !== JSON.stringify(other));
        const of = (it: typeof one) => toHex(strictMessage(it, it.request, it.digest));
        expect(of(one)).not.toBe(of(other));
        expect(toHex(logoutMessage(one))).not.toBe(of(one));
      }),
    );
  });

  test('a challenge line without and with error', () => {
    expect(formatStrictChallenge('bank')).toBe('OpaquePoP realm="bank"');
    expect(formatStrictChallenge('bank', 'stale')).toBe('OpaquePoP realm="bank", error="stale"');
  });
});

/** Blanks around commas may vary. */
function normal(header: string): string {
  return header.replaceAll(/ *, */g, ',');
}

describe('seed', () => {
  const nonce = fc.stringMatching(/^[A-Za-z0-9_-]{16,64}$/);
  const ts = fc.integer({ min: 1_000_000_000, max: 9_999_999_999 }).map(String);
  const headersOf = (all: readonly (readonly [string, string])[]) =>
    authRequest({ method: 'GET', scheme: 'https', authority: 'a', target: '/', headers: all, body: complete('') }, 0)
      .headers;

  test('property: what the prototype sends is read', () => {
    fc.assert(
      fc.property(sid, ts, nonce, bytes(32), (session, time, once, mac) => {
        const headers = headersOf([
          ['x-ts', time],
          ['x-nonce', once],
          ['x-pop', Buffer.from(mac).toString('base64')],
        ]);
        expect(bearerSid(`Bearer ${session}`)).toBe(session);
        expect(parseSeedProof(session, headers)).toEqual({ sid: session, ts: time, nonce: once, mac });
      }),
    );
  });

  test('property: any three headers are a proof or malformed', () => {
    fc.assert(
      fc.property(sid, fc.string(), fc.string(), fc.string(), (session, time, once, mac) => {
        const headers = headersOf([
          ['x-ts', time],
          ['x-nonce', once],
          ['x-pop', mac],
        ]);
        expect(['read', 'malformed']).toContain(outcome(() => parseSeedProof(session, headers)));
      }),
    );
  });

  test.each([
    ['Bearer', undefined],
    [`Bearer ${'A'.repeat(42)}`, undefined],
    [`Bearer ${'A'.repeat(44)}`, undefined],
    [`Bearer  ${'A'.repeat(43)}`, undefined],
    [`Bearer ${'A'.repeat(43)}, Bearer ${'A'.repeat(43)}`, undefined],
    [`Bearer ${'A'.repeat(20)}.${'A'.repeat(22)}`, undefined],
    [`Basic ${'A'.repeat(43)}`, undefined],
    [`bearer ${'A'.repeat(43)}`, 'A'.repeat(43)],
    [`Bearer ${'A'.repeat(43)}`, 'A'.repeat(43)],
  ])('of the value %s the session id is %s', (value, expected) => {
    expect(bearerSid(value)).toBe(expected);
  });

  test('property: two different calls never have one message', () => {
    const line = fc.stringMatching(/^[!-~]{0,20}$/);
    const call = fc.record({ ts, nonce, method: line, path: line, digest: bytes(32) });
    fc.assert(
      fc.property(call, call, (one, other) => {
        fc.pre(JSON.stringify(one) !== JSON.stringify(other));
        const of = (it: typeof one) => toHex(seedMessage(it, it.method, it.path, it.digest));
        expect(of(one)).not.toBe(of(other));
      }),
    );
  });

  test('the path is the target up to the question mark; a percent sign in it and an unwanted query are malformed', () => {
    expect(seedPath({ path: '/a', query: null }, false)).toBe('/a');
    expect(outcome(() => seedPath({ path: '/a', query: 'b=%2F' }, false))).toBe('malformed');
    expect(outcome(() => seedPath({ path: '/a', query: '' }, false))).toBe('malformed');
    expect(seedPath({ path: '/a', query: 'b=%2F' }, true)).toBe('/a');
    expect(outcome(() => seedPath({ path: '/a%2Fb', query: null }, true))).toBe('malformed');
  });

  test('a challenge line without and with error', () => {
    expect(formatSeedChallenge('bank', false)).toBe('Bearer realm="bank"');
    expect(formatSeedChallenge('bank', true)).toBe('Bearer realm="bank", error="invalid_token"');
  });
});

describe('members of requests', () => {
  const read = (schema: v.GenericSchema, value: unknown) => {
    const result = v.safeParse(schema, value);
    return result.success ? result.output : undefined;
  };

  test.each([16, 32, 64, 96, 192])('property: %i bytes are read back from both encodings', (length) => {
    fc.assert(
      fc.property(bytes(length), (value) => {
        expect(read(base64url(length), encodeBase64url(value))).toEqual(value);
        expect(read(hex(length), toHex(value))).toEqual(value);
      }),
    );
  });

  test('property: another length, another alphabet, another type is refused', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.uint8Array({ maxLength: 80 }).map(encodeBase64url)),
        (value) => {
          const output = read(base64url(32), value) as Uint8Array | undefined;
          if (output !== undefined) expect(encodeBase64url(output)).toBe(value);
          expect(read(hex(32), String(value).toUpperCase())).toBe(
            /^[0-9]{64}$/.test(String(value)) ? expect.anything() : undefined,
          );
        },
      ),
    );
  });

  test('a session id is canonical base64url of 32 bytes', () => {
    expect(isSid('A'.repeat(43))).toBe(true);
    for (const text of ['', 'A'.repeat(42), 'A'.repeat(44), `${'A'.repeat(42)}B`, `${'A'.repeat(42)}=`])
      expect(isSid(text)).toBe(false);
    expect(decodeExactly(5, 32)).toBeUndefined();
  });
});

test.each([
  [{ memoryKib: 7168, iterations: 1, parallelism: 1 }, true],
  [{ memoryKib: 1_048_576, iterations: 16, parallelism: 16 }, true],
  [{ memoryKib: 7167, iterations: 1, parallelism: 1 }, false],
  [{ memoryKib: 1_048_577, iterations: 1, parallelism: 1 }, false],
  [{ memoryKib: 7168, iterations: 0, parallelism: 1 }, false],
  [{ memoryKib: 7168, iterations: 17, parallelism: 1 }, false],
  [{ memoryKib: 7168, iterations: 1, parallelism: 17 }, false],
  [{ memoryKib: 7168.5, iterations: 1, parallelism: 1 }, false],
  [{ memoryKib: '7168', iterations: 1, parallelism: 1 }, false],
  [{ iterations: 1, parallelism: 1 }, false],
  [null, false],
  ['argon2id', false],
])('key stretching %j is within bounds: %s', (given, isIt) => {
  expect(isKeyStretching(given)).toBe(isIt);
});
