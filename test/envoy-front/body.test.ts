/** EU-02: The twelve rows by which a body is proven whole or not, each with the near miss beside it, and what routes make of them. */
import { describe, expect, test } from '@jest/globals';
import type { Route } from '../../src/config/routes.ts';
import { decodeCheck } from '../../src/envoy/decode-request.ts';
import type { DecodeSettings } from '../../src/envoy/decode-request.ts';
import { encodeCheck } from './check-builder.ts';
import type { CheckParts } from './check-builder.ts';

const MAX = 8;
const ABC = new TextEncoder().encode('abc');
const FULL = new Uint8Array(MAX).fill(0x78);
const ONE_LESS = FULL.subarray(1);

/** `complete`, `absent`, or why not. */
function bodyOf(parts: CheckParts, settings: Partial<DecodeSettings> = {}, policy = 'none'): string {
  const route = { name: 'api', publicOrigins: null, body: policy, refusePathParameters: true } as unknown as Route;
  const full = {
    tier: 'A',
    maxRequestBytes: MAX,
    assumeBuffered: false,
    textBody: 'refuse',
    trustedHops: 0,
    ...settings,
  } as const;
  const { body } = decodeCheck(encodeCheck({ method: 'POST', tier: full.tier, ...parts }), 1, full).request(route);
  if (body.kind !== 'complete') return body.kind === 'absent' ? 'absent' : body.why;
  return `complete ${new TextDecoder().decode(body.bytes)}`;
}

const length = (value: string) => ['content-length', value] as const;
const marker = (value: string) => ['x-envoy-auth-partial-body', value] as const;
const sent = (text: string, contentLength = String(Buffer.byteLength(text))) => ({
  text,
  partial: 'false' as const,
  headers: [length(contentLength)],
});
const UPGRADE = ['upgrade', 'websocket'] as const;
const UNCLAIMED = { 'countersign.route': 'api' };
const NOT_BUFFERED = { 'countersign.route': 'api', 'countersign.body': 'none' };

describe.each<[row: string, expected: string, CheckParts, near: string, CheckParts]>([
  [
    '1: two markers',
    'marker',
    { body: ABC, headers: [marker('false'), marker('false')] },
    'complete abc',
    { body: ABC, headers: [marker('false')] },
  ],
  [
    '1: a marker of another spelling',
    'marker',
    { body: ABC, headers: [marker('False')] },
    'partial',
    { body: ABC, headers: [marker('true')] },
  ],
  [
    '1: a marker with a blank',
    'marker',
    { body: ABC, headers: [marker('false ')] },
    'complete abc',
    { body: ABC, partial: 'false' },
  ],
  [
    '2: a cut body',
    'partial',
    { body: ABC, partial: 'true', headers: [length('3')] },
    'complete abc',
    { body: ABC, partial: 'false', headers: [length('3')] },
  ],
  [
    '3: text where bytes belong',
    'text_body',
    { text: 'abc', partial: 'false' },
    'complete ',
    { text: '', partial: 'false' },
  ],
  ['4: an upgrade', 'upgrade', { headers: [UPGRADE] }, 'absent', { headers: [['x-upgrade', 'websocket']] }],
  ['4: CONNECT', 'upgrade', { method: 'CONNECT' }, 'absent', { method: 'CONNECTED' }],
  [
    '4: a tunnel',
    'upgrade',
    { headers: [[':protocol', 'websocket']] },
    'absent',
    { headers: [['protocol', 'websocket']] },
  ],
  [
    '4: an upgrade with a body',
    'upgrade',
    { body: ABC, partial: 'false', headers: [UPGRADE] },
    'complete abc',
    { body: ABC, partial: 'false' },
  ],
  [
    '5: content-length above',
    'length',
    { body: ABC, partial: 'false', headers: [length('4')] },
    'complete abc',
    { body: ABC, partial: 'false', headers: [length('3')] },
  ],
  [
    '5: content-length below',
    'length',
    { body: ABC, partial: 'false', headers: [length('2')] },
    'complete abc',
    { body: ABC, partial: 'false', headers: [length('3')] },
  ],
  [
    '5: content-length in another spelling',
    'length',
    { body: ABC, partial: 'false', headers: [length('03')] },
    'complete abc',
    { body: ABC, partial: 'false', headers: [length('3')] },
  ],
  [
    '5: content-length twice',
    'length',
    { body: ABC, partial: 'false', headers: [length('3'), length('3')] },
    'complete abc',
    { body: ABC, partial: 'false', headers: [length('3')] },
  ],
  [
    '5: size above',
    'length',
    { body: ABC, partial: 'false', size: 4 },
    'complete abc',
    { body: ABC, partial: 'false', size: 3 },
  ],
  [
    '5: size unknown',
    'length',
    { body: ABC, partial: 'false', size: -1 },
    'complete abc',
    { body: ABC, partial: 'false' },
  ],
  [
    '6: at the limit',
    'at_limit',
    { body: FULL, partial: 'false' },
    'complete xxxxxxx',
    { body: ONE_LESS, partial: 'false' },
  ],
  [
    '6: at the limit, length known',
    'complete xxxxxxxx',
    { body: FULL, partial: 'false', headers: [length('8')] },
    'at_limit',
    { body: FULL, partial: 'false' },
  ],
  ['7: empty', 'complete ', { partial: 'false' }, 'absent', {}],
  [
    '8: bytes without a marker',
    'no_marker',
    { body: ABC, headers: [length('3')] },
    'complete abc',
    { body: ABC, partial: 'false', headers: [length('3')] },
  ],
  ['8: bytes of no size without a marker', 'no_marker', { body: ABC, size: 0 }, 'absent', { size: 0 }],
  ['8: a size without a marker', 'no_marker', { size: 1 }, 'absent', { size: 0 }],
  ['8: an unknown size is none', 'absent', { size: -1 }, 'no_marker', { size: 1 }],
  [
    '9: content-length 0',
    'absent',
    { headers: [length('0')], extensions: UNCLAIMED },
    'not_asserted',
    { extensions: UNCLAIMED },
  ],
  [
    '9: content-length 0 twice',
    'not_buffered',
    { headers: [length('0'), length('0')] },
    'absent',
    { headers: [length('0')] },
  ],
  [
    '10: content-length without a body',
    'not_buffered',
    { headers: [length('3')] },
    'absent',
    { headers: [length('0')] },
  ],
  ['10: content-length 00', 'not_buffered', { headers: [length('00')] }, 'absent', { headers: [length('0')] }],
  ['11: nothing, and the operator says buffered', 'absent', {}, 'not_asserted', { extensions: UNCLAIMED }],
  ['12: nothing, and the operator says not buffered', 'not_asserted', { extensions: NOT_BUFFERED }, 'absent', {}],
])('row %s', (_row, expected, parts, near, nearMiss) => {
  test(`is ${expected}`, () => expect(bodyOf(parts)).toBe(expected));
  test(`and beside it ${near}`, () => expect(bodyOf(nearMiss)).toBe(near));
});

test('the operator may say "buffered" for all routes, and a route that says otherwise is believed', () => {
  expect(bodyOf({ extensions: UNCLAIMED }, { assumeBuffered: true })).toBe('absent');
  expect(bodyOf({ extensions: NOT_BUFFERED }, { assumeBuffered: true })).toBe('not_asserted');
});

test.each<[CheckParts]>([[{ headers: [length('0')] }], [{ body: ABC, partial: 'false' }], [{}]])(
  'on a route that proves bodies, "not buffered" makes any body unverifiable: %j',
  (parts) => {
    expect(bodyOf({ ...parts, extensions: NOT_BUFFERED }, {}, 'required')).toBe('not_asserted');
    expect(bodyOf({ ...parts, extensions: NOT_BUFFERED, headers: [length('9')] }, {}, 'required')).not.toMatch(
      /^(complete|absent)/,
    );
  },
);

test('"not buffered" leaves routes alone that prove no body, or a digest', () => {
  expect(bodyOf({ headers: [length('0')], extensions: NOT_BUFFERED }, {}, 'digest')).toBe('absent');
  expect(bodyOf({ headers: [length('0')], extensions: NOT_BUFFERED }, {}, 'none')).toBe('absent');
});

test('in tier B a body is proven by the same rows', () => {
  expect(bodyOf({ body: ABC, partial: 'false' }, { tier: 'B' })).toBe('complete abc');
  expect(bodyOf({ text: 'abc', partial: 'false' }, { tier: 'B' })).toBe('text_body');
  expect(bodyOf({ headers: [UPGRADE] }, { tier: 'B' })).toBe('upgrade');
});

describe('a body that comes as text (tier C)', () => {
  const accepting = { tier: 'C', textBody: 'accept-ascii' } as const;

  test('is unverifiable text_body unless the operator accepts it', () => {
    expect(bodyOf(sent('abc'), { tier: 'C' })).toBe('text_body');
    expect(bodyOf(sent('abc'), accepting)).toBe('complete abc');
  });
  test.each(['a!c', 'a\x7fc', 'a\x00c', 'aéc', 'a\x0bc'])('is not_ascii when it is %j', (text) => {
    expect(bodyOf(sent(text), accepting)).toBe('not_ascii');
  });
  test.each(['a\t\r\nc', ' ', '~', '"', '\t'])(
    'may be %j: HTAB, LF, CR and what can be seen from the space to the tilde',
    (text) => {
      expect(bodyOf(sent(text), accepting)).toBe(`complete ${text}`);
    },
  );
  test('takes no other byte', () => {
    for (let byte = 0; byte < 0x80; byte += 1) {
      const isTaken = [0x09, 0x0a, 0x0d].includes(byte) || (byte >= 0x20 && byte <= 0x7e && byte !== 0x21);
      const text = String.fromCharCode(byte);
      expect([byte, bodyOf(sent(text), accepting)]).toEqual([byte, isTaken ? `complete ${text}` : 'not_ascii']);
    }
  });
  test('needs a content-length that equals its length', () => {
    expect(bodyOf({ text: 'abc', partial: 'false' }, accepting)).toBe('length');
    expect(bodyOf(sent('abc', '4'), accepting)).toBe('length');
  });
  test('is proven when it is empty, and cut or upgraded ones are not', () => {
    expect(bodyOf({ text: '', partial: 'false' }, { tier: 'C' })).toBe('complete ');
    expect(bodyOf({ ...sent('abc'), partial: 'true' }, accepting)).toBe('partial');
    expect(bodyOf({ ...sent('abc'), headers: [length('3'), UPGRADE] }, accepting)).toBe('upgrade');
    expect(bodyOf({ text: 'abc', headers: [length('3')] }, accepting)).toBe('no_marker');
  });
});
