/** EU-01, EU-06, EU-10: The bytes of answers: the worked ones, what may be in one, and what is a fault instead. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { Header } from '../../src/core/decision.ts';
import type { Identity } from '../../src/core/scheme.ts';
import { toHex } from '../../src/encoding/bytes.ts';
import { readCheckMessage } from '../../src/envoy/check-message.ts';
import { okResponse } from '../../src/envoy/check-response.ts';
import { encodeAllow, encodeDeny } from '../../src/envoy/encode-response.ts';
import type { AllowOptions } from '../../src/envoy/encode-response.ts';
import { createHeaderList } from '../../src/envoy/header-list.ts';
import { refusalOf, thrownBy } from '../support/refusal.ts';
import { encodeCheck } from './check-builder.ts';
import { viewOf } from './proxy-view.ts';

const ALICE: Identity = { subject: 'alice', keyId: 'k1', attributes: { role: 'admin' }, consumed: ['authorization'] };

const OPTIONS: AllowOptions = {
  identityPrefix: 'x-auth-',
  scheme: 'challenge-signature',
  bodyPolicy: 'required',
  stripCredentials: true,
  metadata: { outcome: 'allow' },
};

function requestWith(...names: string[]) {
  const headers = names.map((name) => [name, 'v'] as const);
  return { headers: createHeaderList(readCheckMessage(encodeCheck({ headers })), false) };
}

function allow(identity: Partial<Identity> = {}, options: Partial<AllowOptions> = {}, ...names: string[]) {
  return viewOf(encodeAllow({ ...ALICE, ...identity }, requestWith(...names), { ...OPTIONS, ...options }));
}

describe('worked answers', () => {
  test('an allow', () => {
    const answer = okResponse({
      set: [
        ['x-auth-subject', 'alice'],
        ['x-auth-scheme', 'challenge-signature'],
      ],
      remove: ['x-auth-key-id'],
      toClient: [],
      metadata: { outcome: 'allow' },
    });
    expect(toHex(answer)).toBe(
      '0a001a5a121d0a170a0e782d617574682d7375626a6563741205616c69636512001802122a0a240a0d782d617574682d736368656d6512136368616c6c656e67652d7369676e6174757265120018022a0d782d617574682d6b65792d696422270a250a0b636f756e7465727369676e12162a140a120a076f7574636f6d6512071a05616c6c6f77',
    );
  });
  test('a refusal', () => {
    expect(toHex(encodeDeny(401, 16, [['content-type', 'application/problem+json']], '{"code":"stale"}', {}))).toBe(
      '0a02081012470a03089103122e0a280a0c636f6e74656e742d7479706512186170706c69636174696f6e2f70726f626c656d2b6a736f6e120018021a107b22636f6465223a227374616c65227d',
    );
  });
  test('a fault', () => {
    expect(toHex(encodeDeny(503, 14, [['retry-after', '1']], '', {}))).toBe(
      '0a02080e121d0a0308f70312160a100a0b72657472792d616674657212013112001802',
    );
  });
});

describe('an allow', () => {
  test('says who, how and by which key, and takes the credential away', () => {
    expect(allow({}, {}, 'authorization', 'accept')).toMatchObject({
      allowed: true,
      kinds: ['ok_response'],
      set: [
        ['x-auth-subject', 'alice'],
        ['x-auth-scheme', 'challenge-signature'],
        ['x-auth-key-id', 'k1'],
        ['x-auth-attributes', 'eyJyb2xlIjoiYWRtaW4ifQ'],
        ['x-auth-body', 'verified'],
      ],
      remove: ['authorization'],
      headers: [],
      metadata: { outcome: 'allow' },
    });
  });
  test('leaves the credential when the route says so', () => {
    expect(allow({}, { stripCredentials: false }).remove).toEqual([]);
  });
  test('removes what it does not write', () => {
    const { keyId: _, ...keyless } = ALICE;
    const view = viewOf(encodeAllow({ ...keyless, attributes: {}, consumed: [] }, requestWith(), OPTIONS));
    expect(view.remove).toEqual(['x-auth-key-id', 'x-auth-attributes']);
  });
  test.each([
    ['required', 'verified'],
    ['digest', 'signed-digest'],
    ['none', 'none'],
  ] as const)('under policy %s says that the body is %s', (bodyPolicy, value) => {
    expect(allow({}, { bodyPolicy }).set).toContainEqual(['x-auth-body', value]);
  });
  test.each([
    ['alice smith', 'alice%20smith'],
    ['ü/%', '%C3%BC/%25'],
    ['a._~:@/+=,-Z9', 'a._~:@/+=,-Z9'],
    ['a"b\r\n', 'a%22b%0D%0A'],
  ])('writes the subject %j as %s', (subject, value) => {
    expect(
      allow({ subject, keyId: subject })
        .set.filter(([name]) => /subject|key-id/.test(name))
        .map(([, each]) => each),
    ).toEqual([value, value]);
  });
  test('may tell the client authentication-info and nothing else', () => {
    expect(allow({ replyHeaders: [['authentication-info', 'next="a"']] }).headers).toEqual([
      ['authentication-info', 'next="a"'],
    ]);
    for (const name of ['set-cookie', 'www-authenticate', 'Authentication-Info', 'x-auth-subject']) {
      expect(refusalOf(() => allow({ replyHeaders: [[name, 'v']] }))).toBe('fault internal');
    }
  });

  test.each<[what: string, identity: Partial<Identity>]>([
    ['an empty subject', { subject: '' }],
    ['a subject over 1024 bytes', { subject: 'a'.repeat(1025) }],
    ['a subject over 1024 bytes once it is escaped', { subject: 'ü'.repeat(171) }],
    ['a lone surrogate', { subject: 'a\ud800' }],
    ['an empty key id', { keyId: '' }],
    ['a key id over 1024 bytes', { keyId: 'a'.repeat(1025) }],
    ['attributes over 8 KiB', { attributes: { a: 'x'.repeat(6137) } }],
    ['a consumed pseudo-header', { consumed: [':path'] }],
    ['a consumed host', { consumed: ['Host'] }],
    ['a control byte for the client', { replyHeaders: [['authentication-info', 'a\nb']] }],
    ['a byte from 0x80 for the client', { replyHeaders: [['authentication-info', 'é']] }],
    ['an empty value for the client', { replyHeaders: [['authentication-info', '']] }],
    ['over 16 KiB for the client', { replyHeaders: [['authentication-info', 'a'.repeat(16_385)]] }],
    ['more than 32 writes', { replyHeaders: Array.from({ length: 28 }, (): Header => ['authentication-info', 'a']) }],
  ])('with %s is a fault', (_what, identity) => {
    expect(thrownBy(() => allow(identity))).toBeDefined();
  });

  test('at each of those limits is an allow', () => {
    expect(
      allow({ subject: 'a'.repeat(1024), keyId: 'k'.repeat(1024), attributes: { a: 'x'.repeat(6136) } }).allowed,
    ).toBe(true);
    expect(allow({ replyHeaders: [['authentication-info', 'a'.repeat(16_384)]] }).allowed).toBe(true);
    expect(
      allow({ replyHeaders: Array.from({ length: 27 }, (): Header => ['authentication-info', 'a\t~']) }).allowed,
    ).toBe(true);
  });

  test('without an identity is a fault, unless the route only watches', () => {
    expect(refusalOf(() => encodeAllow(null, requestWith(), OPTIONS))).toBe('fault internal');
    expect(viewOf(encodeAllow(null, requestWith(), { ...OPTIONS, shadow: 'deny' })).set).toEqual([
      ['x-auth-shadow', 'deny'],
    ]);
  });
});

const lines = (count: number) => Array.from({ length: count }, (): Header => ['www-authenticate', 'a']);

describe('forged identity headers', () => {
  const spellings = [
    'x-auth-subject',
    'X-Auth-Subject',
    'x_auth_subject',
    'X_AUTH-subject',
    'x-auth-',
    'x_auth_anything',
    'x-auth-subject-2',
  ];

  test.each(spellings)('%s does not reach the upstream, once or twice', (name) => {
    for (const names of [[name], [name, name], [name, name.toUpperCase()]]) {
      const { set, remove } = allow({}, {}, ...names);
      for (const sent of names) {
        // Names know no case, and a removal runs after the writes: one spelling of each, lower case.
        const spelt = sent.toLowerCase();
        const isOverwritten = set.some(([written]) => written === spelt);
        expect(isOverwritten).not.toBe(remove.includes(spelt));
      }
    }
  });
  test.each(['x-authx', 'x-auth', 'ax-auth-subject', 'authorization2'])('%s is none and passes', (name) => {
    expect(allow({}, {}, name).remove).not.toContain(name);
  });
  test('of another prefix are looked for under that prefix', () => {
    const view = allow({ consumed: [] }, { identityPrefix: 'x-me-' }, 'x-me-subject', 'x_me_role', 'x-auth-subject');
    expect(view.set.map(([name]) => name)).toContain('x-me-subject');
    expect(view.remove).toEqual(['x_me_role']);
  });

  test('no name is both written and removed, and every name of the prefix is one of them', () => {
    const name = fc.oneof(
      fc.constantFrom(...spellings, 'authorization', 'accept'),
      fc.stringMatching(/^[xX][-_][aA]uth[-_][a-zA-Z_-]{0,6}$/),
    );
    fc.assert(
      fc.property(fc.array(name, { maxLength: 10 }), fc.boolean(), fc.boolean(), (names, hasKey, hasAttributes) => {
        const identity: Identity = {
          subject: 'alice',
          ...(hasKey && { keyId: 'k1' }),
          attributes: hasAttributes ? { a: 1 } : {},
          consumed: ['authorization', 'x-auth-subject'],
        };
        const { set, remove } = viewOf(encodeAllow(identity, requestWith(...names), OPTIONS));
        const written = set.map(([each]) => each);
        expect(remove.filter((each) => written.includes(each))).toEqual([]);
        expect(new Set(remove).size).toBe(remove.length);
        for (const each of names) {
          if (/^x[-_]auth[-_]/i.test(each)) expect([...written, ...remove]).toContain(each.toLowerCase());
        }
        for (const each of ['subject', 'scheme', 'key-id', 'attributes', 'body']) {
          expect([...written, ...remove]).toContain(`x-auth-${each}`);
        }
      }),
    );
  });
});

describe('a shadow allow', () => {
  test.each(['allow', 'deny', 'fault'] as const)('of %s vouches for nobody and removes what was forged', (shadow) => {
    const view = allow({}, { shadow }, 'authorization', 'x-auth-subject', 'x_auth_role', 'x-auth-shadow');
    expect(view.set).toEqual(shadow === 'allow' ? [] : [['x-auth-shadow', shadow]]);
    expect(view.remove).toEqual(
      expect.arrayContaining([
        'x-auth-subject',
        'x_auth_role',
        'x-auth-scheme',
        'x-auth-key-id',
        'x-auth-attributes',
        'x-auth-body',
      ]),
    );
    expect(view.remove.includes('x-auth-shadow')).toBe(shadow === 'allow');
    expect(view.remove).not.toContain('authorization');
  });
});

describe('a refusal', () => {
  test('may carry exactly the headers of the list', () => {
    const listed = ['www-authenticate', 'auth-server-time', 'retry-after', 'cache-control', 'content-type'];
    for (const name of listed)
      expect(viewOf(encodeDeny(401, 16, [[name, 'v']], '', {})).headers).toEqual([[name, 'v']]);
    for (const name of ['set-cookie', 'location', 'authentication-info', 'x-auth-subject', 'WWW-Authenticate', '']) {
      expect(refusalOf(() => encodeDeny(401, 16, [[name, 'v']], '', {}))).toBe('fault internal');
    }
  });
  test('keeps several lines of one name, in order', () => {
    const two: Header[] = [
      ['www-authenticate', 'A'],
      ['www-authenticate', 'B'],
    ];
    expect(viewOf(encodeDeny(401, 16, two, '', {})).headers).toEqual(two);
  });
  test('has a body of at most 512 printable bytes', () => {
    expect(viewOf(encodeDeny(401, 16, [], 'a'.repeat(512), {})).body).toHaveLength(512);
    expect(refusalOf(() => encodeDeny(401, 16, [], 'a'.repeat(513), {}))).toBe('fault internal');
    expect(refusalOf(() => encodeDeny(401, 16, [], 'é', {}))).toBe('fault internal');
    expect(refusalOf(() => encodeDeny(401, 16, [], 'a\n', {}))).toBe('fault internal');
  });
  test('has at most 32 headers, none of them empty, over 16 KiB or unprintable', () => {
    expect(viewOf(encodeDeny(401, 16, lines(32), '', {})).headers).toHaveLength(32);
    for (const headers of [
      lines(33),
      [['www-authenticate', '']],
      [['www-authenticate', 'a'.repeat(16_385)]],
      [['retry-after', '\r']],
    ]) {
      expect(refusalOf(() => encodeDeny(401, 16, headers as Header[], '', {}))).toBe('fault internal');
    }
  });
  test('is an error response only where that was asked for', () => {
    expect(viewOf(encodeDeny(503, 14, [], '', {}, 'error'))).toMatchObject({
      kinds: ['error_response'],
      allowed: false,
    });
    expect(viewOf(encodeDeny(503, 14, [], '', {}))).toMatchObject({ kinds: ['denied_response'], allowed: false });
  });
});
