/** EU-01, EU-08, EU-10: What a Check becomes: every field of the request, every limit, every shape, and whose fault it is when it does not work out. */
import { describe, expect, test } from '@jest/globals';
import type { Route, RouteTable } from '../../src/config/routes.ts';
import { Denial } from '../../src/core/decision.ts';
import { CheckInvalid } from '../../src/core/fault.ts';
import type { AuthRequest } from '../../src/core/request.ts';
import { decodeCheck } from '../../src/envoy/decode-request.ts';
import type { CheckArrival, DecodeSettings } from '../../src/envoy/decode-request.ts';
import { hex } from '../support/bytes.ts';
import { thrownBy } from '../support/refusal.ts';
import { encodeCheck } from './check-builder.ts';
import type { CheckParts } from './check-builder.ts';

const WORKED_CHECK = hex(
  '0aeb020a150a130a11120b3230332e302e3131332e3918cb87032299020a0b0880e2cfaa061080e59a77128902' +
    '0a1431333335393533303630373834343531303331341204504f5354220f2f7472616e736665723f6472793d30' +
    '2a134150492e6578616d706c652e636f6d3a3434333205687474707348025206485454502f3262027b7d6aaf01' +
    '0a0f0a073a6d6574686f641a04504f53540a180a053a706174681a0f2f7472616e736665723f6472793d300a21' +
    '0a0a3a617574686f726974791a134150492e6578616d706c652e636f6d3a3434330a100a073a736368656d651a' +
    '0568747470730a130a0e636f6e74656e742d6c656e6774681a01320a140a0d617574686f72697a6174696f6e1a' +
    '035820610a220a19782d656e766f792d617574682d7061727469616c2d626f64791a0566616c736552180a1163' +
    '6f756e7465727369676e2e726f7574651203617069521c0a10636f756e7465727369676e2e626f647912086275' +
    '666665726564',
);

const SETTINGS: DecodeSettings = {
  tier: 'A',
  maxRequestBytes: 1024,
  assumeBuffered: false,
  textBody: 'refuse',
  trustedHops: 0,
};

const API = {
  name: 'api',
  publicOrigins: [{ scheme: 'https', authority: 'api.example.com' }],
  body: 'required',
  refusePathParameters: true,
} as unknown as Route;

const TABLE: RouteTable = {
  byName: (name) => (name === 'api' ? API : undefined),
  match: ({ authority }) => (authority === 'matched.example.com' ? API : undefined),
  routes: [API],
};

function open(parts: CheckParts = {}, settings: Partial<DecodeSettings> = {}): CheckArrival {
  return decodeCheck(encodeCheck(parts), 1_700_000_000_300, { ...SETTINGS, ...settings });
}

function request(
  parts: CheckParts = {},
  route: Partial<Route> = {},
  settings: Partial<DecodeSettings> = {},
): AuthRequest {
  return open(parts, settings).request({ ...API, ...route });
}

/** `malformed`, `malformed 413`, `check_invalid shape`, or undefined when nothing is thrown. */
function refusal(call: () => unknown): string | undefined {
  const thrown = thrownBy(call);
  if (thrown instanceof Denial) return thrown.form.status === 413 ? `${thrown.code} 413` : thrown.code;
  if (thrown instanceof CheckInvalid) return `${thrown.reason} ${thrown.why}`;
  return thrown === undefined ? undefined : 'something else';
}

const opened = (headers: CheckParts['headers'], parts: CheckParts = {}) =>
  request({ tier: 'B', ...parts, ...(headers && { headers }) }, {}, { tier: 'B' });
const headersOf = (count: number) => Array.from({ length: count }, (_, i) => [`x-${i}`, ''] as const);
const extensionsOf = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v']));
const forwarded = (value: string, trustedHops: number, source = '10.0.0.1') =>
  open({ source, headers: [['x-forwarded-for', value]] }, { trustedHops }).source;

const HTTP_A = { scheme: 'http', authority: 'a' } as const;

describe('the worked request', () => {
  const arrival = decodeCheck(WORKED_CHECK, 1_700_000_000_300, SETTINGS);
  const worked = arrival.request(arrival.route(TABLE));

  test('has every field as the specification lists it', () => {
    const { headers, body, extensions, ...fields } = worked;
    expect(fields).toEqual({
      checkId: 'K5eNXMK1e6uh4_FTMW58zw',
      receivedAtMs: 1_700_000_000_300,
      method: 'POST',
      scheme: 'https',
      authority: 'api.example.com',
      protocol: 'HTTP/2',
      target: '/transfer?dry=0',
      path: '/transfer',
      query: 'dry=0',
      source: '203.0.113.9',
      route: 'api',
    });
    expect(headers.names()).toEqual(['content-length', 'authorization', 'x-envoy-auth-partial-body']);
    expect(headers.single('authorization')).toBe('X a');
    expect(body.kind === 'complete' && [...body.bytes]).toEqual([0x7b, 0x7d]);
    expect(extensions.size).toBe(0);
    expect(arrival.proxyTimeMs).toBe(1_700_000_000_250);
  });

  test('is the same in a message that lies elsewhere in its buffer', () => {
    const padded = new Uint8Array(WORKED_CHECK.length + 20);
    padded.set(WORKED_CHECK, 13);
    const moved = decodeCheck(padded.subarray(13, 13 + WORKED_CHECK.length), 1, SETTINGS);
    expect(moved.request(API).target).toBe('/transfer?dry=0');
  });
});

describe('method', () => {
  test.each(['GET', 'POST', 'PROPFIND', 'M-SEARCH', `A${'B'.repeat(31)}`])('takes %s', (method) => {
    expect(request({ method }).method).toBe(method);
  });
  test.each(['get', 'Get', '', 'G T', '1GET', `A${'B'.repeat(32)}`, 'GÉT'])('refuses %j with malformed', (method) => {
    expect(refusal(() => request({ method }))).toBe('malformed');
  });
});

describe('target', () => {
  test.each([
    ['/', '/', null],
    ['/a?', '/a', ''],
    ['/a?b?c', '/a', 'b?c'],
    ['//admin', '//admin', null],
    ['/a%2Fb?x=+&&y', '/a%2Fb', 'x=+&&y'],
    ['/a?x=;', '/a', 'x=;'],
    ['/~!$&\'()*+,=:@"<>[]^`{|}\\', '/~!$&\'()*+,=:@"<>[]^`{|}\\', null],
  ])('keeps the bytes of %s', (path, expectedPath, query) => {
    expect(request({ path })).toMatchObject({ target: path, path: expectedPath, query });
  });

  test.each(['', 'a', 'https://api.example.com/a', '/a b', '/a\tb', '/a\x00', '/a\x7f', '/a\xff', '/a#b', '*', '/a?#'])(
    'refuses %j with malformed',
    (path) => expect(refusal(() => request({ path }))).toBe('malformed'),
  );

  test('takes * for OPTIONS alone', () => {
    expect(request({ path: '*', method: 'OPTIONS' }).target).toBe('*');
  });

  test('refuses with malformed a request without one, as CONNECT has none', () => {
    expect(refusal(() => request({ path: null, method: 'CONNECT' }))).toBe('malformed');
  });

  test('refuses path parameters with malformed only where the route says so, and never in the query', () => {
    expect(refusal(() => request({ path: '/a;x=1/b' }))).toBe('malformed');
    expect(request({ path: '/a;x=1/b' }, { refusePathParameters: false }).path).toBe('/a;x=1/b');
  });
});

describe('origin', () => {
  test.each([
    ['https', 'API.example.COM:443', 'https', 'api.example.com'],
    ['HTTPS', 'api.example.com', 'https', 'api.example.com'],
    ['http', 'api.example.com:80', 'http', 'api.example.com'],
    ['http', 'api.example.com:443', 'http', 'api.example.com:443'],
    ['https', 'api.example.com:80', 'https', 'api.example.com:80'],
    ['https', '[2001:DB8::1]:443', 'https', '[2001:db8::1]'],
    ['https', '[::1]:8443', 'https', '[::1]:8443'],
    ['https', 'a-b.c_d'.replace('_', '-'), 'https', 'a-b.c-d'],
  ])('is, without configured origins, %s://%s normalised', (scheme, authority, expectedScheme, expectedAuthority) => {
    const made = request({ scheme, authority }, { publicOrigins: null });
    expect([made.scheme, made.authority]).toEqual([expectedScheme, expectedAuthority]);
  });

  test.each([
    '',
    'a,b',
    'user@api.example.com',
    'api.example.com.',
    'api.example.com.:443',
    'api.example.com:',
    'api.example.com:123456',
    'api.example.com:44x',
    'a b',
    'a_b',
    'é.example.com',
    '\u212aelvin.example.com',
    '::1',
    '[::1',
    '[]',
    '[::g]',
    '[1.2.3.4]',
    '[::1]x',
    'a'.repeat(254),
  ])('refuses the authority %j with malformed', (authority) => {
    expect(refusal(() => request({ authority }, { publicOrigins: null }))).toBe('malformed');
    expect(refusal(() => request({ authority }))).toBe('malformed');
  });

  test.each(['ftp', '', 'https:', 'ſ'])('refuses the scheme %j with malformed', (scheme) => {
    expect(refusal(() => request({ scheme }, { publicOrigins: null }))).toBe('malformed');
  });

  test('has the configured scheme, whatever the client says', () => {
    expect(request({ scheme: 'http' }).scheme).toBe('https');
  });

  test('is the first configured one whose authority fits, its default port cut by its own scheme', () => {
    const publicOrigins = [HTTP_A, { scheme: 'https', authority: 'b' }, { scheme: 'https', authority: 'a' }] as const;
    expect(request({ authority: 'a:80' }, { publicOrigins })).toMatchObject({ scheme: 'http', authority: 'a' });
    expect(request({ authority: 'a' }, { publicOrigins }).scheme).toBe('http');
    expect(request({ authority: 'a:443' }, { publicOrigins })).toMatchObject({ scheme: 'https', authority: 'a' });
    expect(request({ authority: 'B:443' }, { publicOrigins }).authority).toBe('b');
  });

  test.each([
    'api.example.com:8443',
    'api.example.com:80',
    'api.example.com-shadow',
    'evil.example.com',
    'api.example.co',
  ])('refuses %s with route_unknown when no configured origin has it', (authority) =>
    expect(refusal(() => request({ authority }))).toBe('route_unknown'),
  );
});

describe('route', () => {
  test('is the one the proxy names, and route_unknown when there is none of that name', () => {
    expect(open().route(TABLE).name).toBe('api');
    expect(refusal(() => open({ extensions: { 'countersign.route': 'nope' } }).route(TABLE))).toBe('route_unknown');
    expect(refusal(() => open({ extensions: { 'countersign.route': '' } }).route(TABLE))).toBe('route_unknown');
  });

  test('is matched by authority and target only when the proxy names none', () => {
    expect(open({ extensions: {}, authority: 'MATCHED.example.com:443' }).route(TABLE).name).toBe('api');
    expect(refusal(() => open({ extensions: {} }).route(TABLE))).toBe('route_unknown');
    expect(refusal(() => open({ extensions: {}, authority: 'a,b' }).route(TABLE))).toBe('malformed');
  });

  test.each(['countersign.rout', 'countersign.', 'countersign.Body', 'countersign.tenant'])(
    'is a fault, reason extension, when the proxy sends the key %s',
    (key) => {
      expect(refusal(() => open({ extensions: { 'countersign.route': 'api', [key]: 'x' } }))).toBe(
        'check_invalid extension',
      );
    },
  );

  test.each(['', 'Buffered', 'yes', 'buffered '])(
    'is a fault, reason extension, when countersign.body is %j',
    (value) => {
      expect(refusal(() => open({ extensions: { 'countersign.body': value } }))).toBe('check_invalid extension');
    },
  );

  test('hands on the other keys, legal member names of objects among them', () => {
    const extensions = Object.fromEntries([
      ['__proto__', 'p'],
      ['constructor', 'c'],
      ['tenant', 'blue'],
      ['countersignx', '1'],
      ['countersign.route', 'api'],
    ]);
    const handed = request({ extensions, method: 'GET', headers: [['content-length', '0']] }).extensions;
    expect([...handed].toSorted(([a], [b]) => (a < b ? -1 : 1))).toEqual([
      ['__proto__', 'p'],
      ['constructor', 'c'],
      ['countersignx', '1'],
      ['tenant', 'blue'],
    ]);
  });
});

describe('pseudo-headers', () => {
  test.each([':method', ':scheme', ':authority', ':path', ':protocol'])('are a fault when %s comes twice', (name) => {
    const twice = [
      [name, 'GET'],
      [name, 'GET'],
    ] as const;
    expect(refusal(() => open({ headers: twice }))).toBe('check_invalid pseudo_header');
  });
  test.each(['method', 'scheme', 'authority'])('are a fault without :%s', (part) => {
    expect(refusal(() => open({ [part]: null }))).toBe('check_invalid pseudo_header');
  });
  test('are a fault when one is none of HTTP', () => {
    expect(refusal(() => open({ headers: [[':status', '200']] }))).toBe('check_invalid pseudo_header');
  });
  test('are no headers', () => {
    const { headers } = request();
    expect(headers.names()).toEqual([]);
    expect(headers.all(':path')).toEqual([]);
    expect(headers.single(':path')).toBeUndefined();
  });
});

describe('shape', () => {
  test('is a fault when tier A gets joined headers, both forms, or a header as text', () => {
    expect(refusal(() => open({ tier: 'B' }))).toBe('check_invalid shape');
    expect(refusal(() => open({ both: true }))).toBe('check_invalid shape');
    expect(refusal(() => open({ headers: [['x-a', { text: 'v' }]] }))).toBe('check_invalid shape');
  });
  test.each(['B', 'C'] as const)('is a fault when tier %s gets raw headers', (tier) => {
    expect(refusal(() => open({}, { tier }))).toBe('check_invalid shape');
    expect(refusal(() => open({ both: true }, { tier }))).toBe('check_invalid shape');
  });
  test('is a fault without any header, in every tier', () => {
    const bare = { method: null, path: null, authority: null, scheme: null };
    expect(refusal(() => open(bare))).toBe('check_invalid shape');
    for (const tier of ['B', 'C'] as const) {
      expect(refusal(() => open({ ...bare, tier }, { tier }))).toBe('check_invalid shape');
    }
  });
  test('is a fault when tier C gets body bytes, and in every tier when query or fragment stand apart', () => {
    expect(refusal(() => open({ tier: 'C', body: Uint8Array.of(1) }, { tier: 'C' }))).toBe('check_invalid shape');
    expect(refusal(() => open({ http: { query: 'a' } }))).toBe('check_invalid shape');
    expect(refusal(() => open({ http: { fragment: 'a' } }))).toBe('check_invalid shape');
  });
});

describe('joined headers (tiers B and C)', () => {
  test('give the request line from the sanitised fields', () => {
    expect(opened([], { path: '/x?y', method: 'PUT' })).toMatchObject({
      method: 'PUT',
      target: '/x?y',
      scheme: 'https',
      authority: 'api.example.com',
    });
  });
  test('refuse with malformed a single value with "!", for it may stand for any byte', () => {
    expect(refusal(() => opened([['authorization', 'X a!']]).headers.single('authorization'))).toBe('malformed');
    expect(opened([['authorization', 'X a,b']]).headers.single('authorization')).toBe('X a,b');
  });
  test('refuse with malformed a covered value with "," or "!"', () => {
    expect(refusal(() => opened([['x-a', '1,2']]).headers.joined('x-a'))).toBe('malformed');
    expect(refusal(() => opened([['x-a', '1!']]).headers.joined('x-a'))).toBe('malformed');
    expect(opened([['x-a', '12']]).headers.joined('x-a')).toBe('12');
  });
  test('refuse with malformed a target with "!"', () => {
    expect(refusal(() => opened([], { path: '/a!' }))).toBe('malformed');
    expect(request({ path: '/a!' }).target).toBe('/a!');
  });
});

describe('limits', () => {
  test('256 headers pass and one more is malformed, 413', () => {
    expect(open({ headers: headersOf(252) }).headers.names()).toHaveLength(252);
    expect(refusal(() => open({ headers: headersOf(253) }))).toBe('malformed 413');
    expect(refusal(() => open({ headers: headersOf(253), tier: 'B' }, { tier: 'B' }))).toBe('malformed 413');
  });

  test('64 KiB of header bytes pass and one more is malformed, 413', () => {
    const others = ':method:path:authority:schemeGET/aapi.example.comhttps'.length + 1;
    expect(open({ headers: [['x', 'v'.repeat(65_536 - others)]] }).headers.all('x')).toHaveLength(1);
    expect(refusal(() => open({ headers: [['x', 'v'.repeat(65_537 - others)]] }))).toBe('malformed 413');
  });

  test('a target of 8 KiB passes and one more byte is malformed, 413', () => {
    expect(request({ path: `/${'a'.repeat(8191)}` }).target).toHaveLength(8192);
    expect(refusal(() => open({ path: `/${'a'.repeat(8192)}` }))).toBe('malformed 413');
  });

  test('64 context extensions pass and one more is malformed, 413', () => {
    expect(open({ extensions: extensionsOf(64) }).source).toBe('203.0.113.9');
    expect(refusal(() => open({ extensions: extensionsOf(65) }))).toBe('malformed 413');
  });

  test('a context extension of 1 KiB passes and one more byte is malformed, 413', () => {
    expect(open({ extensions: { k: 'v'.repeat(1023) } }).source).toBe('203.0.113.9');
    expect(refusal(() => open({ extensions: { k: 'v'.repeat(1024) } }))).toBe('malformed 413');
  });
});

describe('owner', () => {
  test('is the same for the same id and time, and another when one of them differs', () => {
    const time = { seconds: 1_700_000_000, nanos: 250_000_000 };
    const same = open({ id: '1', time, path: '/other' }).checkId;
    expect(open({ id: '1', time }).checkId).toBe(same);
    const others = [
      open({ id: '2', time }),
      open({ id: '1', time: { ...time, seconds: 1_700_000_001 } }),
      open({ id: '1', time: { ...time, nanos: 250_000_001 } }),
    ];
    expect(new Set([same, ...others.map(({ checkId }) => checkId)]).size).toBe(4);
  });
  test('is random and says so without id or time', () => {
    for (const parts of [{ id: '' }, { time: null }]) {
      const [first, second] = [open(parts), open(parts)];
      expect([first.hasStreamId, second.hasStreamId]).toEqual([false, false]);
      expect(first.checkId).toMatch(/^[A-Za-z0-9_-]{22}$/);
      expect(first.checkId).not.toBe(second.checkId);
    }
    expect(open({ time: null }).proxyTimeMs).toBeNull();
  });
});

describe('source', () => {
  test('is the peer of the proxy, whatever a client forwards', () => {
    expect(forwarded('198.51.100.1', 0)).toBe('10.0.0.1');
    expect(open({ source: null }).source).toBe('');
    expect(open({ pipe: '/run/x.sock', source: null }).source).toBe('/run/x.sock');
  });
  test('is the trusted hop, counted from the right', () => {
    expect(forwarded('1.1.1.1, 2.2.2.2,3.3.3.3', 1)).toBe('3.3.3.3');
    expect(forwarded('1.1.1.1, 2.2.2.2,3.3.3.3', 2)).toBe('2.2.2.2');
    expect(forwarded('2001:db8::1', 1)).toBe('2001:db8::1');
  });
  test('is the peer when the hop is missing or no address', () => {
    expect(forwarded('1.1.1.1', 2)).toBe('10.0.0.1');
    expect(forwarded('unknown', 1)).toBe('10.0.0.1');
    expect(forwarded('', 1)).toBe('10.0.0.1');
    expect(open({}, { trustedHops: 1 }).source).toBe('203.0.113.9');
  });
});
