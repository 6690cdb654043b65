/**
 * EU-03: The reader of Checks against the protobuf codec of somebody else: on valid, mutated and cut messages it says the same, or refuses.
 * Beside it the rules by which it is stricter, one by one.
 */
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { Denial } from '../../src/core/decision.ts';
import { CheckInvalid } from '../../src/core/fault.ts';
import { readCheckMessage } from '../../src/envoy/check-message.ts';
import type { CheckMessage } from '../../src/envoy/check-message.ts';
import { hex } from '../support/bytes.ts';
import { attributesOf, CheckRequest, encodeCheck } from './check-builder.ts';

/** What both readers say of a message, in one form. */
interface Seen {
  readonly time: readonly [number, number] | null;
  readonly texts: Readonly<Record<string, string>>;
  readonly size: number;
  readonly rawBody: string;
  readonly source: string;
  readonly raw: readonly (readonly [string, string])[];
  readonly joined: readonly (readonly [string, string])[];
  readonly extensions: readonly (readonly [string, string])[];
}

/** Our texts by the names of the fields. */
const TEXTS = {
  id: 'id',
  method: 'method',
  path: 'path',
  host: 'host',
  scheme: 'scheme',
  query: 'query',
  fragment: 'fragment',
  protocol: 'protocol',
  body: 'textBody',
} as const;

function ours(message: Uint8Array): Seen | 'refused' {
  try {
    return seenByUs(readCheckMessage(message));
  } catch (thrown) {
    if (thrown instanceof Denial || (thrown instanceof CheckInvalid && thrown.why === 'undecodable')) return 'refused';
    throw thrown;
  }
}

function seenByUs(check: CheckMessage): Seen {
  const text = ({ start, end }: { start: number; end: number }) => check.bytes.toString('utf8', start, end);
  const pairs = (places: readonly number[], value: 'latin1' | 'utf8') =>
    Array.from(
      { length: places.length / 4 },
      (_, i) =>
        [
          check.bytes.toString('utf8', places[4 * i], places[4 * i + 1]),
          check.bytes.toString(value, places[4 * i + 2], places[4 * i + 3]),
        ] as const,
    );
  const isRaw = check.headers.raw > 0;
  // Pseudo-headers lie apart, so order is compared among each kind.
  const lines = [
    ...pairs(check.headers.pseudo, isRaw ? 'latin1' : 'utf8'),
    ...pairs(check.headers.fields, isRaw ? 'latin1' : 'utf8'),
  ];
  return {
    time: check.time && [check.time.seconds, check.time.nanos],
    texts: Object.fromEntries(Object.entries(TEXTS).map(([field, member]) => [field, text(check[member])])),
    size: check.size,
    rawBody: check.bytes.toString('latin1', check.rawBody.start, check.rawBody.end),
    source: text(check.source),
    raw: isRaw ? lines : [],
    joined: isRaw ? [] : sorted(lines),
    extensions: sorted(pairs(check.extensions, 'utf8')),
  };
}

/** What the other codec makes of a message, its defaults filled in. */
interface Decoded {
  readonly attributes?: {
    readonly request?: {
      readonly time?: { readonly seconds: number; readonly nanos: number };
      readonly http?: Readonly<Record<keyof typeof TEXTS, string>> & {
        readonly size: number;
        readonly raw_body: Uint8Array;
        readonly header_map?: { readonly headers: readonly { readonly key: string; readonly raw_value: Uint8Array }[] };
        readonly headers: Readonly<Record<string, string>>;
      };
    };
    readonly source?: {
      readonly address?: { readonly socket_address?: { address: string }; readonly pipe?: { path: string } };
    };
    readonly context_extensions: Readonly<Record<string, string>>;
  };
}

/** @returns null for what the other codec refuses. */
function theirs(message: Uint8Array): Seen | null {
  let decoded: Decoded;
  try {
    decoded = CheckRequest.toObject(CheckRequest.decode(message), {
      longs: Number,
      defaults: true,
      arrays: true,
      objects: true,
    });
  } catch {
    return null;
  }
  const { attributes } = decoded;
  const request = attributes?.request;
  const http = request?.http ?? undefined;
  if (attributes === undefined || http === undefined) return null;
  const time = request?.time ?? null;
  const lines = (http.header_map?.headers ?? []).map(
    (header) => [header.key, Buffer.from(header.raw_value).toString('latin1')] as const,
  );
  const address = attributes.source?.address;
  return {
    time: time && [time.seconds, time.nanos],
    texts: Object.fromEntries((Object.keys(TEXTS) as (keyof typeof TEXTS)[]).map((name) => [name, http[name]])),
    size: http.size,
    rawBody: Buffer.from(http.raw_body).toString('latin1'),
    source: address?.socket_address?.address ?? address?.pipe?.path ?? '',
    raw: [...lines.filter(([name]) => name.startsWith(':')), ...lines.filter(([name]) => !name.startsWith(':'))],
    joined: sorted(Object.entries(http.headers)),
    extensions: sorted(Object.entries(attributes.context_extensions)),
  };
}

function sorted(pairs: readonly (readonly [string, string])[]): (readonly [string, string])[] {
  return pairs.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function expectAgreement(message: Uint8Array): 'agreed' | 'refused' {
  const seen = ours(message);
  if (seen === 'refused') return 'refused';
  expect(seen).toEqual(theirs(message));
  return 'agreed';
}

const word = fc.string({ unit: 'binary', maxLength: 12 });
/** Legal keys of objects that the other codec can hold. */
const key = fc.string({ minLength: 1, maxLength: 8 }).filter((text) => text !== '__proto__');
const tier = fc.constantFrom('A' as const, 'B' as const, 'C' as const);

const check = fc.record(
  {
    id: word,
    time: fc.option(fc.record({ seconds: fc.nat(), nanos: fc.nat(999_999_999) })),
    method: fc.option(word),
    path: fc.option(word),
    authority: fc.option(word),
    headers: fc.uniqueArray(fc.tuple(key, fc.string({ unit: 'binary-ascii', maxLength: 200 })), {
      selector: ([name]) => name,
      maxLength: 20,
    }),
    protocol: word,
    body: fc.uint8Array({ maxLength: 300 }),
    text: word,
    size: fc.maxSafeInteger(),
    extensions: fc.dictionary(key, word, { maxKeys: 5 }),
    source: fc.option(word),
    tier,
  },
  { requiredKeys: ['tier'] },
);

describe('the reader agrees with another codec', () => {
  test('on every valid message', () => {
    fc.assert(fc.property(check, (parts) => expect(expectAgreement(encodeCheck(parts as never))).toBe('agreed')));
  });

  test('or refuses, on messages with bytes changed, taken out and put in', () => {
    const edit = fc.record({ at: fc.nat(), cut: fc.nat(3), put: fc.uint8Array({ maxLength: 3 }) });
    fc.assert(
      fc.property(check, fc.array(edit, { minLength: 1, maxLength: 4 }), (parts, edits) => {
        let message = Buffer.from(encodeCheck(parts as never));
        for (const { at, cut, put } of edits) {
          const index = at % (message.length + 1);
          message = Buffer.concat([message.subarray(0, index), put, message.subarray(index + cut)]);
        }
        expectAgreement(message);
      }),
      { numRuns: 20 * (fc.readConfigureGlobal().numRuns ?? 100) },
    );
  });

  test('or refuses, on every prefix of a message', () => {
    const message = encodeCheck({ headers: [['x-a', '1']], body: Uint8Array.of(1, 2, 3) });
    for (let end = 0; end < message.length; end++) expectAgreement(message.subarray(0, end));
  });

  test('or refuses, on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (message) => void expectAgreement(message)),
      {
        numRuns: 10 * (fc.readConfigureGlobal().numRuns ?? 100),
      },
    );
  });

  test('on the Checks recorded from real proxies, and or refuses on each of them with one byte changed', () => {
    const { cases } = JSON.parse(readFileSync(new URL('../vectors/envoy-checks.json', import.meta.url), 'utf8')) as {
      cases: { input: { check_hex: string } }[];
    };
    for (const { input } of cases) {
      const message = hex(input.check_hex);
      expect(expectAgreement(message)).toBe('agreed');
      for (let i = 0; i < message.length; i += 3) {
        const changed = message.slice();
        changed[i] = (changed[i] ?? 0) ^ (1 << (i % 8));
        expectAgreement(changed);
      }
    }
  });
});

// Building blocks of messages that no codec would write.
const field = (number: number, type: number, ...content: readonly number[]) => [(number << 3) | type, ...content];
const bytes = (number: number, content: readonly number[]) => field(number, 2, content.length, ...content);
const text = (number: number, content: string) => bytes(number, [...Buffer.from(content)]);
/** A Check with these bytes in its `HttpRequest`. */
const withHttp = (...http: readonly number[]) => Uint8Array.from(bytes(1, bytes(4, bytes(2, http))));
const withAttributes = (...content: readonly number[]) =>
  Uint8Array.from(bytes(1, [...bytes(4, bytes(2, [])), ...content]));

test('the blocks below make a Check that is read', () => {
  expect(ours(withHttp(...text(2, 'GET')))).toMatchObject({ texts: { method: 'GET' } });
});

describe('refuses as undecodable', () => {
  test.each<[what: string, message: Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['attributes without a request', Uint8Array.from(bytes(1, []))],
    ['a request that is not HTTP', Uint8Array.from(bytes(1, bytes(4, [])))],
    ['a group', withHttp(...field(20, 3), ...field(20, 4))],
    ['the end of a group', withHttp(...field(20, 4))],
    ['wire type 6', withHttp(...field(15, 6), 0)],
    ['wire type 7', withHttp(...field(15, 7), 0)],
    ['field number 0', withHttp(2, 0)],
    ['a key over 5 bytes', withHttp(0xfa, 0x80, 0x80, 0x80, 0x80, 0x00, 0)],
    ['a varint over 10 bytes', withHttp(...field(14, 0), ...Array<number>(10).fill(0x80), 0)],
    ['a varint beyond 64 bits', withHttp(...field(9, 0), ...Array<number>(9).fill(0xff), 2)],
    ['a varint that ends with the message', withHttp(...field(9, 0), 0x80)],
    ['a length beyond the message', withHttp(...field(2, 2, 4), 0x47, 0x45, 0x54)],
    ['a length beyond 31 bits', withHttp(...field(2, 2), 0xff, 0xff, 0xff, 0xff, 0x0f)],
    ['a fixed32 beyond the message', withHttp(...field(15, 5), 1, 2, 3)],
    ['a fixed64 beyond the message', withHttp(...field(15, 1), 1, 2, 3, 4, 5, 6, 7)],
    ['a known text as varint', withHttp(...field(2, 0, 1))],
    ['a known integer as bytes', withHttp(...bytes(9, [1]))],
    ['known headers as fixed32', withHttp(...field(13, 5), 1, 2, 3, 4)],
    ['a second method', withHttp(...text(2, 'GET'), ...text(2, 'GET'))],
    ['a second header map', withHttp(...bytes(13, []), ...bytes(13, []))],
    ['a second size', withHttp(...field(9, 0, 1), ...field(9, 0, 1))],
    ['a second HttpRequest', Uint8Array.from(bytes(1, bytes(4, [...bytes(2, []), ...bytes(2, [])])))],
    ['second attributes', Uint8Array.from([...withHttp(), ...withHttp()])],
    ['a second key in a header', withHttp(...bytes(13, bytes(1, [...text(1, 'x'), ...text(1, 'y')])))],
    ['a second value in a header', withHttp(...bytes(13, bytes(1, [...text(3, 'x'), ...text(3, 'y')])))],
    ['a second key in a map entry', withHttp(...bytes(3, [...text(1, 'x'), ...text(1, 'x')]))],
    ['a map key twice', withHttp(...bytes(3, text(1, 'x')), ...bytes(3, text(1, 'x')))],
    ['an empty map key twice', withHttp(...bytes(3, []), ...bytes(3, text(2, 'v')))],
    ['a context extension twice', withAttributes(...bytes(10, text(1, 'k')), ...bytes(10, text(1, 'k')))],
    ['two addresses', withAttributes(...bytes(1, bytes(1, [...bytes(1, []), ...bytes(2, [])])))],
    [
      'a time before 1970',
      Uint8Array.from(
        bytes(1, bytes(4, [...bytes(1, [...field(1, 0), ...Array<number>(9).fill(0xff), 1]), ...bytes(2, [])])),
      ),
    ],
    [
      'a second of too many nanoseconds',
      Uint8Array.from(
        bytes(1, bytes(4, [...bytes(1, [...field(2, 0), 0x80, 0x94, 0xeb, 0xdc, 0x03]), ...bytes(2, [])])),
      ),
    ],
    ['a method that is not UTF-8', withHttp(...bytes(2, [0xff]))],
    ['a surrogate in UTF-8', withHttp(...bytes(4, [0xed, 0xa0, 0x80]))],
    ['an overlong form in UTF-8', withHttp(...bytes(4, [0xc0, 0xaf]))],
    ['a header name that is not UTF-8', withHttp(...bytes(13, bytes(1, bytes(1, [0x80]))))],
    ['a text body that is not UTF-8', withHttp(...bytes(11, [0xc3]))],
    ['a context extension that is not UTF-8', withAttributes(...bytes(10, [...text(1, 'k'), ...bytes(2, [0xff])]))],
  ])('%s', (_what, message) => {
    expect(() => readCheckMessage(message)).toThrow('undecodable');
  });
});

describe('takes', () => {
  test.each<[what: string, message: Uint8Array]>([
    [
      'unknown fields of every wire type',
      withHttp(...field(14, 0, 1), ...bytes(15, [1]), 0x81, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 0x85, 0x01, 1, 2, 3, 4),
    ],
    ['a group inside what is skipped, which is only bytes', withHttp(...bytes(14, field(1, 3)))],
    ['a size the proxy does not know', withHttp(...field(9, 0), ...Array<number>(9).fill(0xff), 1)],
    ['a raw value that is not UTF-8', withHttp(...bytes(13, bytes(1, [...text(1, 'x'), ...bytes(3, [0xff, 0x00])])))],
    ['a body that is not UTF-8', withHttp(...bytes(12, [0xff, 0x00]))],
    ['a map entry without value', withHttp(...bytes(3, text(1, 'x')))],
    ['a varint with more bytes than it needs', withHttp(...field(9, 0), 0x83, 0x80, 0x00)],
  ])('%s', (_what, message) => {
    expect(expectAgreement(message)).toBe('agreed');
  });
});

test('attributes are what both are given', () => {
  expect(attributesOf({ source: 'x' })).toMatchObject({ source: { address: { socket_address: { address: 'x' } } } });
});
