import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { generateKeyPair, thumbprint } from '../../src/crypto/signatures.ts';
import { encodeBase64url } from '../../src/encoding/base64url.ts';
import { utf8 } from '../../src/encoding/bytes.ts';
import { addKey } from '../../src/keys/ring-changes.ts';
import { RingError, formatRing, parseRing, type StoredKey } from '../../src/keys/ring.ts';
import { ringWith } from '../support/key-ring.ts';
import { thrownBy } from '../support/refusal.ts';

const NOW_MS = 1_700_000_000_000;

function reparse(keys: readonly StoredKey[]): readonly StoredKey[] {
  return parseRing(utf8(formatRing(keys)));
}

function entriesOf(keys: readonly StoredKey[]): Record<string, unknown>[] {
  return (JSON.parse(formatRing(keys)) as { keys: Record<string, unknown>[] }).keys;
}

function parseEntries(...entries: readonly unknown[]): readonly StoredKey[] {
  return parseRing(utf8(JSON.stringify({ version: 1, keys: entries })));
}

const SECRET = entriesOf(ringWith('challenge-mac'))[0] as Record<string, unknown>;
const SIGNING = entriesOf(ringWith('token-signing'))[0] as Record<string, unknown>;

test('a ring read back is the ring that was written', () => {
  const ring = ringWith(
    'challenge-mac',
    'wrap',
    'pepper',
    'opaque-setup',
    'token-signing',
    'response-signing',
    'access-signing',
  );
  const again = reparse(ring);
  expect(again.map(({ material, ...key }) => [key, material.reveal()])).toEqual(
    ring.map(({ material, ...key }) => [key, new Uint8Array(material.reveal())]),
  );
});

test('an empty ring is sound', () => {
  expect(parseEntries()).toEqual([]);
});

describe('refused is', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['an unknown member', { ...SECRET, note: 'x' }, 'keys.0.note'],
    ['an unknown use', { ...SECRET, use: 'other' }, 'keys.0.use'],
    ['an unknown state', { ...SECRET, state: 'old' }, 'keys.0.state'],
    ['a fractional time', { ...SECRET, createdAt: 1.5 }, 'keys.0.createdAt'],
    ['an algorithm on a shared secret', { ...SECRET, alg: 'Ed25519' }, 'keys.0.alg'],
    ['a signing key without algorithm', { ...SIGNING, alg: null }, 'keys.0.alg'],
    ["an algorithm that is not the key's", { ...SIGNING, alg: 'ES256' }, 'keys.0.material'],
    ['an Ed25519 key that signs replies', { ...SIGNING, use: 'response-signing' }, 'keys.0.alg'],
    ['a secret of 31 bytes', { ...SECRET, material: encodeBase64url(new Uint8Array(31).fill(1)) }, 'keys.0.material'],
    ['a secret with padding', { ...SECRET, material: `${String(SECRET['material'])}=` }, 'keys.0.material'],
    ['a JWK as a shared secret', { ...SECRET, material: SIGNING['material'] }, 'keys.0.material'],
    ['a kid that is not the thumbprint', { ...SIGNING, kid: SECRET['kid'] }, 'keys.0.material'],
    [
      'a JWK with another member',
      { ...SIGNING, material: { ...(SIGNING['material'] as object), use: 'sig' } },
      'keys.0.material',
    ],
    ['a kid of another length', { ...SECRET, kid: 'k1' }, 'keys.0.kid'],
    ['a retired key without an end', { ...SECRET, state: 'retired' }, 'keys.0.retireAt'],
    ['a use without an active key', { ...SECRET, state: 'next' }, 'exactly one active key, got 0'],
  ])('%s', (_, entry, message) => {
    expect(() => parseEntries(entry)).toThrow(message);
  });

  test('a use with two active keys', () => {
    const other = entriesOf(ringWith('challenge-mac'))[0];
    expect(() => parseEntries(SECRET, other)).toThrow('exactly one active key, got 2');
  });

  test('one kid twice', () => {
    const other = { ...SECRET, state: 'next', material: encodeBase64url(new Uint8Array(32).fill(7)) };
    expect(() => parseEntries(SECRET, other)).toThrow(`kid ${String(SECRET['kid'])} occurs twice`);
  });

  test('a private half of another length', () => {
    const jwk = { ...(SIGNING['material'] as object), d: encodeBase64url(new Uint8Array(31).fill(1)) };
    expect(() => parseEntries({ ...SIGNING, material: jwk })).toThrow('keys.0.material');
  });

  test('one material under two uses', () => {
    const wrap = { ...SECRET, use: 'wrap', kid: encodeBase64url(new Uint8Array(16)) };
    expect(() => parseEntries(SECRET, wrap)).toThrow('material');
  });

  test.each([
    ['another version', '{"version":2,"keys":[]}'],
    ['a duplicate member', '{"version":1,"version":1,"keys":[]}'],
    ['an empty file', ''],
    ['a list', '[]'],
  ])('%s', (_, text) => {
    expect(() => parseRing(utf8(text))).toThrow(RingError);
  });

  test('a truncated file at every length', () => {
    const bytes = utf8(formatRing(ringWith('challenge-mac', 'token-signing')));
    for (let length = 0; length < bytes.length - 2; length++) {
      expect(() => parseRing(bytes.subarray(0, length))).toThrow(RingError);
    }
  });
});

test('no message quotes material, whatever is wrong with an entry', () => {
  const { privateJwk, publicJwk } = generateKeyPair('Ed25519');
  const good = {
    kid: encodeBase64url(thumbprint(publicJwk)),
    use: 'token-signing',
    alg: 'Ed25519',
    state: 'active',
    createdAt: NOW_MS,
    activateAt: NOW_MS,
    retireAt: null,
    material: privateJwk,
  };
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(good)), fc.jsonValue(), (member, value) => {
      try {
        parseEntries({ ...good, [member]: value });
      } catch (error) {
        expect(error).toBeInstanceOf(RingError);
        expect(String(error)).not.toContain(privateJwk.d);
      }
    }),
  );
  // What was put where another member belongs is not quoted either.
  for (const member of ['use', 'alg', 'state', 'createdAt', 'kid']) {
    expect(() => parseEntries({ ...good, [member]: privateJwk.d })).toThrow(RingError);
    expect(String(thrownBy(() => parseEntries({ ...good, [member]: privateJwk.d })))).not.toContain(privateJwk.d);
  }
  expect(() => addKey([], { use: 'token-signing', nowMs: NOW_MS, random: (n) => new Uint8Array(n) })).toThrow(
    'algorithm',
  );
});
