import { expect, test } from '@jest/globals';
import type { KeyClass } from '../../src/core/store.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { durable, scopedStoreKey, storeKey } from '../../src/crypto/store-key.ts';
import { lpConcat, utf8 } from '../../src/encoding/bytes.ts';

test('carries the first byte of its digest, which picks the lane', () => {
  for (let i = 0; i < 100; i++) {
    expect(storeKey('c', 'x', String(i)).firstByte).toBe(sha256(lpConcat('x', String(i)))[0]);
  }
});

test('waits for replicas where a lost write would revive what was revoked', () => {
  const classes: KeyClass[] = ['c', 'o', 's', 'r', 'h', 'x'];
  expect(classes.filter((keyClass) => storeKey(keyClass, 'a').durable)).toEqual(['r', 'x']);
  const head = storeKey('h', 'a');
  expect(durable(head)).toEqual({ ...head, durable: true });
});

test('bytes and their text are one part; borders between parts are not movable', () => {
  expect(storeKey('o', 'a', utf8('b'))).toEqual(storeKey('o', 'a', 'b'));
  const texts = [['ab', 'c'], ['a', 'bc'], ['abc'], ['', 'abc'], ['abc', ''], ['a', 'b', 'c']].map(
    (parts) => storeKey('o', ...parts).text,
  );
  expect(new Set(texts).size).toBe(texts.length);
});

test('classes never share a key', () => {
  expect(storeKey('o', 'a').text).not.toBe(storeKey('c', 'a').text);
});

test('keeps tenants apart, and the default tenant out of the parts', () => {
  const scoped = scopedStoreKey('challenge-signature');
  expect(scoped('c', 'default', 'alice', 'n1')).toEqual(storeKey('c', 'challenge-signature', 'alice', 'n1'));
  expect(scoped('c', 'acme', 'alice', 'n1')).toEqual(storeKey('c', 'challenge-signature', 'acme', 'alice', 'n1'));
  expect(scoped('c', 'acme', 'alice').text).not.toBe(scopedStoreKey('opaque-pop')('c', 'acme', 'alice').text);
});
