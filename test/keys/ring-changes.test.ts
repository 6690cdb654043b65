import { describe, expect, test } from '@jest/globals';
import { randomBytes } from '../../src/crypto/random.ts';
import { PUBLISH_MS, addKey, retireKey, rotateKey } from '../../src/keys/ring-changes.ts';
import type { StoredKey } from '../../src/keys/ring.ts';
import { formatRing, parseRing } from '../../src/keys/ring.ts';
import { utf8 } from '../../src/encoding/bytes.ts';

const T0_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;
const at = (nowMs: number) => ({ nowMs, random: randomBytes });

function states(ring: readonly StoredKey[]): string[] {
  return ring.map((key) => key.state);
}

function twoKeys(use: 'wrap' | 'pepper' | 'challenge-mac'): readonly StoredKey[] {
  const first = addKey([], { use, ...at(T0_MS) }).ring;
  return addKey(first, { use, ...at(T0_MS) }).ring;
}

test('the first key of a use is active, the second next, a third is refused', () => {
  const ring = twoKeys('wrap');
  expect(states(ring)).toEqual(['active', 'next']);
  expect(() => addKey(ring, { use: 'wrap', ...at(T0_MS) })).toThrow('there is a next key already');
});

test('a rotation makes next active, retires the active key until its makings have ended, and adds a new next', () => {
  const { ring, activated } = rotateKey(twoKeys('wrap'), { use: 'wrap', ...at(T0_MS + PUBLISH_MS) });
  expect(states(ring)).toEqual(['retired', 'active', 'next']);
  expect(ring[0]?.retireAtMs).toBe(T0_MS + PUBLISH_MS + 400 * DAY_MS);
  expect(activated).toBe(ring[1]);
  expect(activated.activateAtMs).toBe(T0_MS + PUBLISH_MS);
  expect(parseRing(utf8(formatRing(ring))).length).toBe(3);
});

test('a rotation refuses a next key 1 ms younger than the publish time', () => {
  expect(() => rotateKey(twoKeys('wrap'), { use: 'wrap', ...at(T0_MS + PUBLISH_MS - 1) })).toThrow('too young');
});

test('a rotation refuses without a next key', () => {
  const { ring } = addKey([], { use: 'wrap', ...at(T0_MS) });
  expect(() => rotateKey(ring, { use: 'wrap', ...at(T0_MS + DAY_MS) })).toThrow('no next key');
});

test('a rotation drops keys whose end has come', () => {
  let ring = twoKeys('challenge-mac');
  for (let i = 1; i <= 5; i++) ring = rotateKey(ring, { use: 'challenge-mac', ...at(T0_MS + i * DAY_MS) }).ring;
  expect(states(ring)).toEqual(['retired', 'active', 'next']);
});

test('a signing key keeps its algorithm through a rotation', () => {
  let ring = addKey([], { use: 'token-signing', alg: 'ES256', ...at(T0_MS) }).ring;
  ring = addKey(ring, { use: 'token-signing', alg: 'ES256', ...at(T0_MS) }).ring;
  ring = rotateKey(ring, { use: 'token-signing', ...at(T0_MS + PUBLISH_MS) }).ring;
  expect(ring.map((key) => key.alg)).toEqual(['ES256', 'ES256', 'ES256']);
});

describe('keys that accounts hang on', () => {
  test('a rotation of the pepper is refused unless everyone may have to register anew', () => {
    const order = { use: 'pepper' as const, ...at(T0_MS + PUBLISH_MS) };
    expect(() => rotateKey(twoKeys('pepper'), order)).toThrow('--re-registers-everyone');
    const { ring } = rotateKey(twoKeys('pepper'), { ...order, reRegistersEveryone: true });
    expect(states(ring)).toEqual(['active']);
  });

  test('an old OPAQUE setup stays without end, since records name it', () => {
    const order = { use: 'opaque-setup' as const, ...at(T0_MS) };
    let ring = addKey([], { ...order, setup: randomBytes(128) }).ring;
    ring = addKey(ring, { ...order, setup: randomBytes(128) }).ring;
    ring = rotateKey(ring, { ...order, nowMs: T0_MS + PUBLISH_MS, reRegistersEveryone: true }).ring;
    expect(ring.map((key) => [key.state, key.retireAtMs])).toEqual([
      ['retired', null],
      ['active', null],
    ]);
  });

  test('an OPAQUE setup is never random bytes', () => {
    expect(() => addKey([], { use: 'opaque-setup', ...at(T0_MS) })).toThrow('OPAQUE engine');
    const setup = randomBytes(127);
    expect(() => addKey([], { use: 'opaque-setup', ...at(T0_MS), setup })).toThrow('OPAQUE engine');
  });
});

test('a planned activation lies at least the publish time ahead', () => {
  const { ring } = addKey([], { use: 'wrap', ...at(T0_MS) });
  const early = { use: 'wrap' as const, ...at(T0_MS), activateAtMs: T0_MS + PUBLISH_MS - 1 };
  expect(() => addKey(ring, early)).toThrow('at least 10 min');
  expect(addKey(ring, { ...early, activateAtMs: T0_MS + PUBLISH_MS }).added.state).toBe('next');
});

test('an early end takes effect at once and hands over to next', () => {
  const ring = twoKeys('wrap');
  const ended = retireKey(ring, { kid: ring[0]?.kid ?? '', nowMs: T0_MS + 1 });
  expect(ended.map((key) => [key.state, key.retireAtMs])).toEqual([
    ['retired', T0_MS + 1],
    ['active', null],
  ]);
});

test('an early end of the only key, and of an unknown one, is refused', () => {
  const { ring, added } = addKey([], { use: 'wrap', ...at(T0_MS) });
  expect(() => retireKey(ring, { kid: added.kid, nowMs: T0_MS })).toThrow('no next one');
  expect(() => retireKey(ring, { kid: 'other', nowMs: T0_MS })).toThrow('no key of this kid');
});
