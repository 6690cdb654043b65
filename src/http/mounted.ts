/** Which endpoint is reached where: exact paths, no patterns. */
import type { Denial } from '../core/decision.ts';
import type { Endpoint } from '../core/scheme.ts';

/** An endpoint and where it is reached. */
export interface Mounted {
  /** The whole path; may end in a query that is part of the name, `/readyz?verbose`. */
  readonly path: string;
  readonly endpoint: Endpoint;
  /** Name of the scheme, for metrics and buckets; absent for the front's own. */
  readonly scheme?: string;
  /** The scheme's `www-authenticate` values for a refusal with 401. */
  challenges?(refused: { denial: Denial; nowMs: number }): readonly string[];
}

/** Path to method to endpoint. */
export type PathMap = ReadonlyMap<string, ReadonlyMap<string, Mounted>>;

/** @throws {Error} when two endpoints claim one path and method. */
export function pathMap(mounted: readonly Mounted[]): PathMap {
  const paths = new Map<string, Map<string, Mounted>>();
  for (const one of mounted) {
    const methods = paths.get(one.path) ?? new Map<string, Mounted>();
    if (methods.has(one.endpoint.method)) throw new Error(`two endpoints claim ${one.endpoint.method} ${one.path}`);
    methods.set(one.endpoint.method, one);
    paths.set(one.path, methods);
  }
  return paths;
}
