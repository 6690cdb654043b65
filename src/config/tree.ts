/**
 * A configuration as text gave it: maps without prototype, lists, scalars, and for each path the place it came from.
 * Environment and command line write into the same tree, so that one validation judges all of it.
 */
import type { Path, Place } from './config-error.ts';

export type RawMap = Record<string, unknown>;

export interface Tree {
  readonly root: RawMap;
  /** Of the value, or of the nearest map or list around it. */
  placeOf(path: Path): Place;
  /** Writes a value and forgets the places below. @returns false when something on the way is no map: that is its own error. */
  write(path: readonly string[], value: unknown, place: Place): boolean;
  /** Writes a default taken from another key, unless there is a value. */
  derive(path: readonly string[], value: unknown): void;
  /** Whether the value, or what is around it, is such a default: its errors are those of the other key. */
  isDerived(path: Path): boolean;
}

export function isRawMap(value: unknown): value is RawMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function emptyMap(): RawMap {
  return Object.create(null) as RawMap;
}

/** Names that mean something to JavaScript objects. No setting, route or scheme is called so. */
export function isReservedName(key: string): boolean {
  return key === '__proto__' || key === 'constructor' || key === 'prototype';
}

/** @param places by `placeKey`. */
export function createTree(root: RawMap, places: Map<string, Place>, whole: Place): Tree {
  const derived = new Set<string>();

  const mapAt = (path: readonly string[], place: Place | undefined): RawMap | undefined => {
    let map = root;
    for (const [depth, key] of path.entries()) {
      if (map[key] === undefined) {
        map[key] = emptyMap();
        if (place !== undefined) places.set(placeKey(path.slice(0, depth + 1)), place);
      }
      const next = map[key];
      if (!isRawMap(next)) return undefined;
      map = next;
    }
    return map;
  };

  return {
    root,
    placeOf(path) {
      for (let length = path.length; length > 0; length -= 1) {
        const place = places.get(placeKey(path.slice(0, length)));
        if (place !== undefined) return place;
      }
      return whole;
    },
    write(path, value, place) {
      const map = mapAt(path.slice(0, -1), place);
      const key = path.at(-1);
      if (map === undefined || key === undefined) return false;
      const prefix = `${placeKey(path).slice(0, -1)},`;
      for (const known of places.keys()) if (known.startsWith(prefix)) places.delete(known);
      map[key] = value;
      places.set(placeKey(path), place);
      return true;
    },
    derive(path, value) {
      const map = mapAt(path.slice(0, -1), undefined);
      const key = path.at(-1);
      if (map === undefined || key === undefined || map[key] !== undefined) return;
      map[key] = value;
      derived.add(placeKey(path));
    },
    isDerived(path) {
      return derived.size > 0 && path.some((_, index) => derived.has(placeKey(path.slice(0, index + 1))));
    },
  };
}

export function placeKey(path: Path): string {
  return JSON.stringify(path);
}
