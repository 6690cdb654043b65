/**
 * What every store must do, whatever it keeps its records in. Called with memory and with a real Redis; names end in the ids ST-01
 * to ST-18. What only one of them has (marks, processes, a full memory) is tested beside it.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import type { StoreFault } from '../../src/core/fault.ts';
import type { ClaimResult, Key, KeyClass, Store } from '../../src/core/store.ts';
import { storeKey } from '../../src/crypto/store-key.ts';
import { isLong } from '../support/long.ts';
import { faultOf } from '../support/refused.ts';
import { modelCommands } from './store-model.ts';

export interface OpenStore {
  readonly store: Store;
  /** By the store's own clock, unix ms. */
  nowMs(): number;
  /** Lets time pass: on the fake clock, or by waiting. */
  pass(ms: number): Promise<void>;
  /** Claims one key from several processes at once where the store is shared; answers in any order. */
  claimFromProcesses(key: Key, owners: readonly string[], expiresAtMs: number): Promise<ClaimResult[]>;
  /** A second store on the same records, to be closed by the test. */
  reopen(): Promise<Store>;
  close(): Promise<void>;
}

const MINUTE_MS = 60_000;

export function storeConformance(title: string, open: () => Promise<OpenStore>): void {
  describe(`store conformance: ${title}`, () => {
    let opened: OpenStore;
    let store: Store;

    beforeAll(async () => {
      opened = await open();
      ({ store } = opened);
    }, 60_000);

    afterAll(() => opened.close());

    const soon = () => opened.nowMs() + MINUTE_MS;

    test('get of an unknown key is null (ST-01)', async () => {
      expect(await store.get(newKey())).toBeNull();
    });

    test('put then get gives back every text up to 16 KiB, NUL, CRLF and astral characters included (ST-01)', async () => {
      const texts = [
        '',
        '\0',
        '\r\n',
        '*3\r\n$3\r\nSET\r\n',
        '\u{1f511}\u{10ffff}',
        'é€',
        'x'.repeat(16_384),
        '€'.repeat(5_461),
      ];
      for (const text of texts) {
        const key = newKey();
        await store.put(key, text, MINUTE_MS);
        expect(await store.get(key)).toBe(text);
      }
      await fc.assert(
        fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 200 }), async (text) => {
          const key = newKey();
          await store.put(key, text, MINUTE_MS);
          expect(await store.get(key)).toBe(text);
        }),
        { numRuns: 50 },
      );
    });

    test('ids with braces, colons, stars, CRLF, NUL and a megabyte are keys of their own (ST-02)', async () => {
      const run = randomUUID();
      const ids = ['{}', '}x{', 'a:b', '*', '\r\n', '\0', 'y'.repeat(1_000_000)];
      const keys = ids.map((id) => storeKey('o', run, id));
      for (const [index, key] of keys.entries()) await store.put(key, String(index), MINUTE_MS);
      for (const [index, key] of keys.entries()) expect(await store.get(key)).toBe(String(index));
    });

    test('parts (ab, c) and (a, bc) are two records (ST-02)', async () => {
      const run = randomUUID();
      await store.put(storeKey('o', run, 'ab', 'c'), '1', MINUTE_MS);
      expect(await store.get(storeKey('o', run, 'a', 'bc'))).toBeNull();
    });

    test('put replaces the value and the TTL (ST-03)', async () => {
      const key = newKey();
      await store.put(key, 'old', 300);
      await store.put(key, 'new', MINUTE_MS);
      await opened.pass(400);
      expect(await store.get(key)).toBe('new');
      await store.put(key, 'newer', 100);
      await opened.pass(150);
      expect(await store.get(key)).toBeNull();
    });

    test('a claim is claimed once, mine for its owner and taken for another, until it expires (ST-04)', async () => {
      const key = newKey('c');
      const expiresAtMs = opened.nowMs() + 700;
      expect(await store.claim(key, 'a', expiresAtMs)).toBe('claimed');
      expect(await store.claim(key, 'a', expiresAtMs)).toBe('mine');
      expect(await store.claim(key, 'b', expiresAtMs)).toBe('taken');
      await opened.pass(1_000);
      expect((await faultOf(store.claim(key, 'b', expiresAtMs))).reason).toBe('clock');
      expect((await faultOf(store.claim(key, 'a', expiresAtMs))).reason).toBe('clock');
    });

    test('of 64 concurrent claims with owners of their own exactly one is claimed, from all processes together (ST-05)', async () => {
      const owners = Array.from({ length: 64 }, (_, index) => `owner-${index}`);
      const results = await opened.claimFromProcesses(newKey('c'), owners, soon());
      expect(results.filter((result) => result === 'claimed')).toHaveLength(1);
      expect(results.filter((result) => result === 'taken')).toHaveLength(63);
    });

    test('of 64 concurrent claims with one owner one is claimed and 63 are mine (ST-05)', async () => {
      const owners = Array.from({ length: 64 }, () => 'one');
      const results = await opened.claimFromProcesses(newKey('c'), owners, soon());
      expect(results.filter((result) => result === 'claimed')).toHaveLength(1);
      expect(results.filter((result) => result === 'mine')).toHaveLength(63);
    });

    test('mine does not extend the expiry (ST-06)', async () => {
      const key = newKey('c');
      expect(await store.claim(key, 'a', opened.nowMs() + 500)).toBe('claimed');
      expect(await store.claim(key, 'a', soon())).toBe('mine');
      await opened.pass(700);
      expect(await store.claim(key, 'b', soon())).toBe('claimed');
    });

    test('of 64 concurrent takes exactly one has the value (ST-07)', async () => {
      const key = newKey();
      await store.put(key, 'prize', MINUTE_MS);
      const taken = await Promise.all(Array.from({ length: 64 }, () => store.take(key)));
      expect(taken.filter((value) => value === 'prize')).toHaveLength(1);
      expect(taken.filter((value) => value === null)).toHaveLength(63);
      expect(await store.get(key)).toBeNull();
    });

    test('swap wins only on equality, and null means absent (ST-08)', async () => {
      const key = newKey('h');
      expect(await store.swap(key, 'x', 'y', MINUTE_MS)).toBe(false);
      expect(await store.swap(key, null, 'first', MINUTE_MS)).toBe(true);
      expect(await store.swap(key, null, 'again', MINUTE_MS)).toBe(false);
      expect(await store.swap(key, '', 'again', MINUTE_MS)).toBe(false);
      expect(await store.swap(key, 'firs', 'again', MINUTE_MS)).toBe(false);
      expect(await store.get(key)).toBe('first');
      expect(await store.swap(key, 'first', 'second', MINUTE_MS)).toBe(true);
      expect(await store.get(key)).toBe('second');
    });

    test('of 64 concurrent swaps from one value exactly one is true, and its text stays (ST-08)', async () => {
      const key = newKey('h');
      await store.swap(key, null, 'start', MINUTE_MS);
      const wins = await Promise.all(
        Array.from({ length: 64 }, (_, index) => store.swap(key, 'start', `winner ${index}`, MINUTE_MS)),
      );
      expect(wins.filter(Boolean)).toHaveLength(1);
      expect(await store.get(key)).toBe(`winner ${wins.indexOf(true)}`);
    });

    test('swap gives a fresh TTL, and Infinity takes it away (ST-08)', async () => {
      const key = newKey('h');
      await store.swap(key, null, 'a', 300);
      await store.swap(key, 'a', 'b', Number.POSITIVE_INFINITY);
      await opened.pass(400);
      expect(await store.get(key)).toBe('b');
      await store.swap(key, 'b', 'c', 100);
      await opened.pass(150);
      expect(await store.get(key)).toBeNull();
    });

    test('swap compares bytes: two normal forms of one letter differ (ST-09)', async () => {
      const key = newKey('h');
      await store.swap(key, null, '\u00e9', MINUTE_MS);
      expect(await store.swap(key, 'e\u0301', 'x', MINUTE_MS)).toBe(false);
      expect(await store.swap(key, '\u00e9', 'x', MINUTE_MS)).toBe(true);
    });

    test('delete may be repeated, and of an absent record is fine (ST-10)', async () => {
      const key = newKey('s');
      await store.delete(key);
      await store.put(key, 'x', MINUTE_MS);
      await store.delete(key);
      await store.delete(key);
      expect(await store.get(key)).toBeNull();
    });

    test('a swap that races a delete never brings the record back (ST-10)', async () => {
      for (let round = 0; round < 30; round += 1) {
        const key = newKey('s');
        await store.put(key, 'alive', MINUTE_MS);
        const swaps = () => [1, 2, 3].map((n) => store.swap(key, 'alive', `revived ${n}`, MINUTE_MS));
        await Promise.all([...swaps(), store.delete(key), ...swaps()]);
        expect(await store.get(key)).toBeNull();
        expect(await store.swap(key, 'alive', 'revived', MINUTE_MS)).toBe(false);
      }
    });

    test('"remove only if unchanged" leaves a changed record alone (ST-10)', async () => {
      const key = newKey('s');
      await store.put(key, 'read', MINUTE_MS);
      await store.put(key, 'changed', MINUTE_MS);
      expect(await store.swap(key, 'read', '{}', 1_000)).toBe(false);
      expect(await store.get(key)).toBe('changed');
    });

    test('TTLs from 1 ms to Infinity; 0, negative, NaN and fractions throw RangeError (ST-11)', async () => {
      const fleeting = newKey();
      await store.put(fleeting, 'x', 1);
      await opened.pass(5);
      expect(await store.get(fleeting)).toBeNull();
      for (const ttlMs of [30 * 24 * 3_600_000, Number.POSITIVE_INFINITY]) {
        const key = newKey();
        await store.put(key, 'x', ttlMs);
        expect(await store.get(key)).toBe('x');
      }
      for (const ttlMs of [0, -1, Number.NaN, 1.5, Number.NEGATIVE_INFINITY, 2 ** 53]) {
        await expect(store.put(newKey(), 'x', ttlMs)).rejects.toThrow(RangeError);
        await expect(store.swap(newKey(), null, 'x', ttlMs)).rejects.toThrow(RangeError);
      }
      for (const atMs of [Number.NaN, Number.POSITIVE_INFINITY, 1.5]) {
        await expect(store.claim(newKey('c'), 'a', atMs)).rejects.toThrow(RangeError);
      }
    });

    test('too long values, lone surrogates and owners outside the grammar throw RangeError and write nothing (ST-12)', async () => {
      for (const value of ['x'.repeat(16_385), '€'.repeat(5_462), '\ud800']) {
        const key = newKey();
        await expect(store.put(key, value, MINUTE_MS)).rejects.toThrow(RangeError);
        await expect(store.swap(key, null, value, MINUTE_MS)).rejects.toThrow(RangeError);
        expect(await store.get(key)).toBeNull();
      }
      for (const owner of ['', 'a'.repeat(65), 'a b', 'ä', 'a\n', 'a:b']) {
        await expect(store.claim(newKey('c'), owner, soon())).rejects.toThrow(RangeError);
      }
      expect(await store.claim(newKey('c'), 'A-z_0'.padEnd(64, '9'), soon())).toBe('claimed');
    });

    test('records of the same parts in two classes are two records (ST-13)', async () => {
      const run = randomUUID();
      const classes: readonly KeyClass[] = ['o', 's', 'r', 'h', 'x'];
      for (const keyClass of classes) await store.swap(storeKey(keyClass, run), null, keyClass, MINUTE_MS);
      expect(await store.claim(storeKey('c', run), 'a', soon())).toBe('claimed');
      for (const keyClass of classes) expect(await store.get(storeKey(keyClass, run))).toBe(keyClass);
    });

    test('after close every verb throws down, and close waits for what is in flight (ST-16)', async () => {
      const second = await opened.reopen();
      const inFlight = Promise.allSettled([second.get(newKey()), second.claim(newKey('c'), 'a', soon())]);
      await second.close();
      for (const settled of await inFlight) {
        expect(settled.status === 'fulfilled' || (settled.reason as StoreFault).reason === 'down').toBe(true);
      }
      const verbs = [
        second.get(newKey()),
        second.put(newKey(), 'x', MINUTE_MS),
        second.claim(newKey('c'), 'a', soon()),
        second.take(newKey()),
        second.swap(newKey(), null, 'x', MINUTE_MS),
        second.delete(newKey()),
      ];
      for (const verb of verbs) expect((await faultOf(verb)).reason).toBe('down');
      expect(second.state()).toBe('down');
      await second.close();
    });

    test('random sequences of verbs agree with a plain map (ST-17)', async () => {
      await fc.assert(
        fc.asyncProperty(modelCommands(isLong ? 200 : 40), async (commands) => {
          const run = randomUUID();
          const model = new Map<string, string>();
          for (const command of commands) {
            const key = storeKey(command.keyClass, run, command.id);
            expect(await command.runReal(store, key, soon())).toStrictEqual(command.runModel(model, key.text));
          }
        }),
        { numRuns: 25 },
      );
    });
  });
}

function newKey(keyClass: KeyClass = 'o'): Key {
  return storeKey(keyClass, 'conformance', randomUUID());
}
