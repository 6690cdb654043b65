/** Defaults that depend on another key. Written into the tree before validation, so that they are judged and shown like any value. */
import { isRawMap, type RawMap, type Tree } from './tree.ts';

export function applyDependentDefaults(tree: Tree): void {
  const { root } = tree;
  if (root['deployment'] === 'standalone') {
    // A memory store can't be shared: then one process it is.
    if (at(root, 'store')['type'] !== 'memory') tree.derive(['process', 'model'], 'multi');
    if (at(root, 'process')['model'] === 'multi') tree.derive(['process', 'checkWorkers'], 'auto');
    tree.derive(['process', 'drainDelay'], '5s');
    tree.derive(['readiness', 'requireStore'], true);
  }
  const redis = at(at(root, 'store'), 'redis');
  const mode = redis['mode'];
  if (mode === 'cluster') tree.derive(['store', 'redis', 'lanes'], 64);
  if (mode === 'cluster' || mode === 'sentinel') tree.derive(['store', 'redis', 'durable', 'replicas'], 1);
  copy(tree, at(root, 'clock')['skew'], ['clock', 'maxStoreOffset']);
  if (isRawMap(at(root, 'schemes')['client-challenge']))
    copy(tree, at(root, 'issuer')['audiences'], ['schemes', 'client-challenge', 'audiences']);
  for (const route of Object.keys(at(root, 'routes'))) {
    copy(tree, at(root, 'envoy')['stripCredentials'], ['routes', route, 'stripCredentials']);
    copy(tree, at(root, 'issuer')['audiences'], ['routes', route, 'audience']);
  }
}

function copy(tree: Tree, value: unknown, to: readonly string[]): void {
  if (value !== undefined) tree.derive(to, value);
}

/** A member that is a map; an empty one where there is none. */
function at(map: RawMap, key: string): RawMap {
  const value = map[key];
  return isRawMap(value) ? value : {};
}
