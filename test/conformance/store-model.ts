/** Verbs as values: each runs on a store and, next to it, on a plain map, which must say the same. */
import * as fc from 'fast-check';
import type { Key, KeyClass, Store } from '../../src/core/store.ts';

export interface ModelCommand {
  readonly keyClass: KeyClass;
  readonly id: string;
  runReal(store: Store, key: Key, expiresAtMs: number): Promise<unknown>;
  runModel(model: Map<string, string>, key: string): unknown;
  toString(): string;
}

const TTL_MS = 600_000;

const values = fc.constantFrom('', 'a', 'b', '\0', '\r\n', '\u{1f511}');
const ids = fc.constantFrom('1', '2', '3');
const owners = fc.constantFrom('own-1', 'own-2', 'own-3');

export function modelCommands(maxLength: number): fc.Arbitrary<ModelCommand[]> {
  return fc.array(fc.oneof(gets, puts, claims, takes, swaps, deletes), { minLength: maxLength / 2, maxLength });
}

const gets = ids.map((id): ModelCommand => ({
  ...record('o', id, `get ${id}`),
  runReal: (store, key) => store.get(key),
  runModel: (model, key) => model.get(key) ?? null,
}));

const puts = fc.tuple(ids, values).map(([id, value]): ModelCommand => ({
  ...record('o', id, `put ${id} ${value}`),
  runReal: (store, key) => store.put(key, value, TTL_MS),
  runModel: (model, key) => void model.set(key, value),
}));

const claims = fc.tuple(ids, owners).map(([id, owner]): ModelCommand => ({
  ...record('c', id, `claim ${id} ${owner}`),
  runReal: (store, key, expiresAtMs) => store.claim(key, owner, expiresAtMs),
  runModel(model, key) {
    const held = model.get(key);
    if (held === undefined) model.set(key, owner);
    if (held === undefined) return 'claimed';
    return held === owner ? 'mine' : 'taken';
  },
}));

const takes = ids.map((id): ModelCommand => ({
  ...record('o', id, `take ${id}`),
  runReal: (store, key) => store.take(key),
  runModel(model, key) {
    const held = model.get(key) ?? null;
    model.delete(key);
    return held;
  },
}));

const swaps = fc.tuple(ids, fc.option(values), values).map(([id, expected, next]): ModelCommand => ({
  ...record('o', id, `swap ${id} ${expected} ${next}`),
  runReal: (store, key) => store.swap(key, expected, next, TTL_MS),
  runModel(model, key) {
    if ((model.get(key) ?? null) !== expected) return false;
    model.set(key, next);
    return true;
  },
}));

const deletes = ids.map((id): ModelCommand => ({
  ...record('o', id, `delete ${id}`),
  runReal: (store, key) => store.delete(key),
  runModel: (model, key) => void model.delete(key),
}));

function record(keyClass: KeyClass, id: string, text: string) {
  return { keyClass, id, toString: () => text };
}
