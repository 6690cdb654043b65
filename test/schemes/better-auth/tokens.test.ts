/** The text of access tokens, and the memory of those that were verified (BA-14, BA-19). */
import { Buffer } from 'node:buffer';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { createSignatures } from '../../../src/crypto/signatures.ts';
import { encodeBase64url } from '../../../src/encoding/base64url.ts';
import { utf8 } from '../../../src/encoding/bytes.ts';
import { createKeyring } from '../../../src/keys/key-ring.ts';
import { createClientKeys } from '../../../src/schemes/better-auth/imported-keys.ts';
import { createServerKeys } from '../../../src/schemes/better-auth/server-keys.ts';
import { packToken } from '../../../src/schemes/better-auth/token-text.ts';
import { createTokens } from '../../../src/schemes/better-auth/tokens.ts';
import { textDigest } from '../../../src/crypto/blake3.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { refusalOf } from '../../support/refusal.ts';
import { newKey, RING, ringKey, START_MS, vectorKey, vectors } from './world.ts';

const LIMITS = { audience: undefined, maxTokenChars: 8192, maxTokenBytes: 16_384, maxJsonDepth: 32 };

function enter({ entries = 10, limits = LIMITS } = {}) {
  const clock = createFakeClock(START_MS);
  const world = { ring: RING, verifications: 0 };
  const clientKeys = createClientKeys();
  const keyring = {
    active: (use: 'access-signing') => createKeyring(world.ring, clock).active(use),
    usable: (use: 'access-signing') => createKeyring(world.ring, clock).usable(use),
  };
  const serverKeys = createServerKeys({ keyring }, { issuer: 'local', trustedAccessKeys: [] }, clientKeys);
  const inner = createSignatures({ mode: 'sync' });
  const signatures = {
    verify(...args: Parameters<typeof inner.verify>) {
      world.verifications += 1;
      return inner.verify(...args);
    },
  };
  const settings = { ...limits, tokenCacheEntries: entries };
  const tokens = createTokens({ settings, serverKeys, clientKeys, signatures, clock });
  return { tokens, clock, world, clientKeys };
}

const SIGNER = vectorKey('access-server');
const V1 = vectors.tokens[0]!;

/** What this content would be as a token, rightly signed. */
function tokenOf(json: string, packed: Uint8Array = gzipSync(utf8(json))): string {
  return SIGNER.sign(json) + encodeBase64url(packed);
}

describe('packing', () => {
  const good = gzipSync(utf8(V1.json));
  const altered = (change: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(good);
    change(bytes);
    return bytes;
  };
  const rows: readonly (readonly [string, Uint8Array])[] = [
    ['another magic', altered((bytes) => void (bytes[0] = 0x1e))],
    ['another method', altered((bytes) => void (bytes[2] = 7))],
    ...[1, 2, 4, 8, 16, 32].map((flag) => [`the flag ${flag}`, altered((bytes) => void (bytes[3] = flag))] as const),
    ['a wrong CRC', altered((bytes) => void (bytes[bytes.length - 8]! ^= 1))],
    ['a wrong length', altered((bytes) => void (bytes[bytes.length - 1]! ^= 1))],
    ['two members', Buffer.concat([good, good])],
    ['an empty member behind it', Buffer.concat([good, gzipSync('')])],
    ['a byte behind it', Buffer.concat([good, Buffer.from([0])])],
    ['one byte less', good.subarray(0, -1)],
    ['no trailer', good.subarray(0, -8)],
    ['half of it', good.subarray(0, good.length / 2)],
    ['the header alone', good.subarray(0, 10)],
    [
      'a preset dictionary',
      Buffer.concat([good.subarray(0, 10), deflateRawSync(V1.json, { dictionary: Buffer.from('abc') })]),
    ],
    ['no gzip at all', utf8(V1.json)],
    ['a bomb', gzipSync(Buffer.alloc(16_385, ' '))],
    ['a bomb of a gigabyte by its own word', altered((bytes) => void bytes.writeUInt32LE(2 ** 30, bytes.length - 4))],
  ];
  test.each(rows)('refuses with malformed %s', (_title, packed) => {
    expect(refusalOf(() => enter().tokens.decode(tokenOf(V1.json, packed)))).toBe('malformed');
  });

  test.each([
    ['mtime and operating system may be any', altered((bytes) => bytes.fill(0x7f, 4, 10))],
    ['level 1', gzipSync(V1.json, { level: 1 })],
    ['stored', gzipSync(V1.json, { level: 0 })],
  ])('takes %s', (_title, packed) => {
    expect(enter().tokens.decode(tokenOf(V1.json, packed)).content.subject).toBe(vectors.identifiers.v1.identity);
  });

  test.each<readonly [string, (text: string) => string]>([
    ['padding', (text) => `${text}=`],
    ['the other alphabet', (text) => `${text.slice(0, 100)}+${text.slice(101)}`],
    ['a blank', (text) => `${text.slice(0, 100)} ${text.slice(100)}`],
    ['a line feed at the end', (text) => `${text}\n`],
    ['89 characters', (text) => text.slice(0, 89)],
    ['nothing', () => ''],
    ['a signature of Ed25519', (text) => `0B${text.slice(2)}`],
    ['a signature whose pad is not zero', (text) => `0Ig${text.slice(3)}`],
  ])('refuses with malformed a text with %s', (_title, change) => {
    expect(refusalOf(() => enter().tokens.decode(change(tokenOf(V1.json))))).toBe('malformed');
  });

  test('refuses with malformed stray bits in the last character', () => {
    const texts = Array.from({ length: 12 }, (_, n) => tokenOf(V1.json.replace('"admin"', `"admin${'x'.repeat(n)}"`)));
    const open = texts.filter((text) => text.length % 4 !== 0);
    expect(open.length).toBeGreaterThan(0);
    for (const text of open) {
      expect(refusalOf(() => enter().tokens.decode(text))).toBeUndefined();
      expect(refusalOf(() => enter().tokens.decode(withStrayBits(text)))).toBe('malformed');
    }
  });

  test('the caps hold at their values and not one above (BA-29)', () => {
    const text = tokenOf(V1.json);
    const chars = (maxTokenChars: number) => enter({ limits: { ...LIMITS, maxTokenChars } }).tokens;
    expect(refusalOf(() => chars(text.length).decode(text))).toBeUndefined();
    expect(refusalOf(() => chars(text.length - 1).decode(text))).toBe('malformed');
    const bytes = (maxTokenBytes: number) => enter({ limits: { ...LIMITS, maxTokenBytes } }).tokens;
    expect(refusalOf(() => bytes(V1.json.length).decode(text))).toBeUndefined();
    expect(refusalOf(() => bytes(V1.json.length - 1).decode(text))).toBe('malformed');
  });

  test('property: of any text the answer is a token or malformed', () => {
    const { tokens } = enter();
    const good64 = tokenOf(V1.json);
    const edits = fc.record({ at: fc.nat(), removed: fc.nat({ max: 9 }), inserted: fc.base64String({ maxLength: 8 }) });
    const texts = fc.oneof(
      fc.string({ maxLength: 500 }),
      fc.stringMatching(/^0I[A-D][A-Za-z0-9_-]{85}H4sI[A-Za-z0-9_-]{0,400}$/),
      edits.map(({ at, removed, inserted }) => {
        const start = at % good64.length;
        return good64.slice(0, start) + inserted + good64.slice(start + removed);
      }),
      fc.json().map((json) => tokenOf(json)),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => tokenOf('', gzipSync(bytes))),
    );
    fc.assert(
      fc.property(texts, (text) => expect(['malformed', undefined]).toContain(refusalOf(() => tokens.decode(text)))),
    );
  });
});

describe('content', () => {
  const members = JSON.parse(V1.json) as Record<string, unknown>;
  const without = (name: string) => Object.fromEntries(Object.entries(members).filter(([other]) => other !== name));
  const rows: readonly (readonly [string, unknown])[] = [
    ...Object.keys(members).map((name) => [`without ${name}`, without(name)] as const),
    ...Object.keys(members).map((name) => [`with a number as ${name}`, { ...members, [name]: 5 }] as const),
    ['with another member', { ...members, admin: true }],
    ['with members of v0', { ...members, identification: { accountId: members['identity'] } }],
    ['with 1AAJ', { ...members, publicKey: `1AAJ${String(members['publicKey']).slice(4)}` }],
    ['with a key off the curve', { ...members, publicKey: '1AAIAud7mprp4wsNvbb1EKJk753ngVAde2uSronrBZxat0Pb' }],
    [
      'with a server key off the curve',
      { ...members, serverIdentity: '1AAIAud7mprp4wsNvbb1EKJk753ngVAde2uSronrBZxat0Pb' },
    ],
    ['with another digest', { ...members, identity: `F${String(members['identity']).slice(1)}` }],
    ['with a time that is none', { ...members, expiry: '2026-02-30T00:00:00.000Z' }],
    ['with attributes that are a list', { ...members, attributes: [] }],
    ['with attributes too deep', { ...members, attributes: JSON.parse('{"a":'.repeat(32) + '{}' + '}'.repeat(32)) }],
    ['that is a list', [members]],
    ['that is text', 'token'],
  ];
  test.each(rows)('%s is malformed', (_title, content) => {
    const json = JSON.stringify(content);
    expect(refusalOf(() => enter().tokens.decode(tokenOf(json)))).toBe('malformed');
  });

  test.each([
    ['two equal members', V1.json.replace('{', '{"device":"x",')],
    ['text behind it', `${V1.json}x`],
    ['a byte order mark', `\ufeff${V1.json}`],
  ])('with %s is malformed', (_title, json) => {
    expect(refusalOf(() => enter().tokens.decode(tokenOf(json)))).toBe('malformed');
  });

  test('the order of members and the digits of times are free, if that is what was signed', async () => {
    const { tokens } = enter();
    const json = JSON.stringify(Object.fromEntries(Object.entries(members).toReversed())).replaceAll(
      '.678Z',
      '.678000000Z',
    );
    const decoded = tokens.decode(tokenOf(json));
    expect(decoded.content.issuedAtMs).toBe(tokens.decode(V1.token).content.issuedAtMs);
    expect(await tokens.verify(decoded)).toBe('signed');
  });

  test('a line feed at the end is signed like the rest', async () => {
    const { tokens } = enter();
    expect(await tokens.verify(tokens.decode(V1.token))).toBe('signed');
    // Known without it, and still not the same.
    expect(await tokens.verify(tokens.decode(tokenOf(V1.json, gzipSync(`${V1.json}\n`))))).toBe('forged');
    expect(await tokens.verify(tokens.decode(tokenOf(`${V1.json}\n`)))).toBe('signed');
  });
});

describe('the memory of verified tokens (BA-19)', () => {
  const minted = (json: string) => packToken(SIGNER.sign(json), json);
  const numbered = (n: number) => minted(V1.json.replace('"admin"', `"admin${n}"`));

  test('spares the signature of a token that was verified, and of no other', async () => {
    const { tokens, world } = enter();
    for (let again = 0; again < 5; again += 1) await tokens.verify(tokens.decode(V1.token));
    expect(world.verifications).toBe(1);
    const forged = tokens.decode(newKey().sign(V1.json) + tokenOf(V1.json.replace('read', 'rule')).slice(88));
    expect(await tokens.verify(forged)).toBe('forged');
    expect(await tokens.verify(forged)).toBe('forged');
    expect(world.verifications).toBe(3);
  });

  test('knows a token by what was signed, however it is packed', async () => {
    const { tokens, world } = enter();
    for (const level of [1, 6, 9])
      await tokens.verify(tokens.decode(SIGNER.sign(V1.json) + encodeBase64url(gzipSync(V1.json, { level }))));
    expect(world.verifications).toBe(1);
    expect(tokens.size()).toBe(3); // Texts, which are remembered to spare the inflating alone.
  });

  test('a text that was inflated before is judged like any other: forged stays forged, a revoked signer is unknown', async () => {
    const { tokens, world } = enter();
    const forgedText = newKey().sign(V1.json) + V1.token.slice(88);
    expect(await tokens.verify(tokens.decode(forgedText))).toBe('forged');
    expect(tokens.size()).toBe(0);
    expect(await tokens.verify(tokens.decode(V1.token))).toBe('signed');
    expect(tokens.decode(V1.token)).toEqual(enter().tokens.decode(V1.token));
    world.ring = [RING[0]!, ringKey('access-signing', newKey())];
    expect(await tokens.verify(tokens.decode(V1.token))).toBe('unknown');
  });

  test('of a flood of texts of one token it keeps its bound', async () => {
    const { tokens } = enter({ entries: 5 });
    for (let level = 1; level <= 9; level += 1)
      for (const memLevel of [1, 5, 9]) {
        const text = SIGNER.sign(V1.json) + encodeBase64url(gzipSync(V1.json, { level, memLevel }));
        expect(await tokens.verify(tokens.decode(text))).toBe('signed');
        expect(tokens.size()).toBeLessThanOrEqual(5);
      }
  });

  test('of a flood of distinct tokens it keeps its bound, and so does the memory of keys', async () => {
    const { tokens, clientKeys } = enter({ entries: 5 });
    for (let n = 0; n < 50; n += 1) {
      await tokens.verify(tokens.decode(numbered(n)));
      expect(tokens.size()).toBeLessThanOrEqual(5);
    }
    expect(tokens.size()).toBe(5);
    // Forged ones are not kept at all.
    const before = tokens.size();
    const forged = tokens.decode(newKey().sign(V1.json) + numbered(99).slice(88));
    await tokens.verify(forged);
    expect(tokens.size()).toBe(before);
    expect(clientKeys.size()).toBeLessThanOrEqual(10_000);
  });

  test('forgets a token at its expiry', async () => {
    const { tokens, world, clock } = enter();
    await tokens.verify(tokens.decode(V1.token));
    clock.set(tokens.decode(V1.token).content.expiryMs);
    await tokens.verify(tokens.decode(V1.token));
    expect(world.verifications).toBe(1);
    clock.advance(1);
    await tokens.verify(tokens.decode(V1.token));
    await tokens.verify(tokens.decode(V1.token));
    expect(world.verifications).toBe(3);
    expect(tokens.size()).toBe(0);
  });

  test('is not asked about a key that has left the ring', async () => {
    const { tokens, world } = enter();
    const decoded = tokens.decode(V1.token);
    expect(await tokens.verify(decoded)).toBe('signed');
    world.ring = [RING[0]!, ringKey('access-signing', newKey())];
    expect(await tokens.verify(tokens.decode(V1.token))).toBe('unknown');
    expect(await tokens.verify(decoded)).toBe('unknown');
  });

  test('judges the audience each time', async () => {
    const { tokens } = enter({ limits: { ...LIMITS, audience: 'https://other.example.com' } as never });
    for (let again = 0; again < 2; again += 1) expect(await tokens.verify(tokens.decode(V1.token))).toBe('forged');
  });
});

/** The same bytes under another spelling. */
function withStrayBits(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return text.slice(0, -1) + alphabet.charAt(alphabet.indexOf(text.at(-1) ?? '') + 1);
}

test('of a flood of distinct keys 10,000 are kept', () => {
  const keys = createClientKeys();
  for (let count = 0; count < 10_010; count += 1) keys.import(newKey().word);
  expect(keys.size()).toBe(10_000);
}, 60_000);

test('a key is imported once, and no more than the bound are kept', () => {
  const keys = createClientKeys();
  const { word } = newKey();
  expect(keys.import(word)).toBe(keys.import(word));
  expect(refusalOf(() => keys.import(textDigest('x')))).toBe('malformed');
  expect(keys.size()).toBe(1);
});
