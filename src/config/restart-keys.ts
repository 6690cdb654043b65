/** Which keys a running process can't change. A reload that changes one is refused as a whole: never half a configuration. */
import { Secret } from '../core/secret.ts';
import { formatPath, type Path } from './config-error.ts';
import type { Config } from './schema.ts';

/** A key stands for all below it. */
export const RESTART_KEYS: readonly string[] = [
  'listeners.check.address',
  'listeners.check.socketMode',
  'listeners.check.maxConcurrentStreams',
  'listeners.check.maxConnectionAge',
  'listeners.check.meshTls',
  'listeners.check.tls', // Which files, and who may ask; the files themselves are read anew.
  'listeners.issuer.enabled',
  'listeners.issuer.address',
  'listeners.issuer.pathPrefix',
  'listeners.issuer.tls',
  'listeners.issuer.headersTimeout',
  'listeners.issuer.requestTimeout',
  'listeners.issuer.keepAliveTimeout',
  'listeners.issuer.maxConnections',
  'listeners.admin.address',
  'process.model',
  'process.checkWorkers',
  'process.opaqueWorkers',
  'process.verify',
  'metrics.grpcCompat', // Its series are counted among those of the process at the start.
  'store',
  'clock',
  'insecure.freshMemoryStore', // Read once, when the store is made.
];

/** Keys that need a restart, of those that differ: for `restart required: listeners.check.address`. */
export function restartRequired(before: Config, after: Config): string[] {
  return changedKeys(before, after).filter((path) =>
    RESTART_KEYS.some((key) => path === key || path.startsWith(`${key}.`)),
  );
}

/** Paths of all settings that differ; of one that only one side has, the path of the whole. Compared as values: `1s` is `1000ms`. */
export function changedKeys(before: Config, after: Config): string[] {
  return differences(before, after, []).map(formatPath);
}

function differences(before: unknown, after: unknown, path: Path): Path[] {
  if (isMap(before) && isMap(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) => differences(before[key], after[key], [...path, key]));
  }
  return isEqual(before, after) ? [] : [path];
}

function isEqual(before: unknown, after: unknown): boolean {
  // A secret's JSON says nothing about it.
  if (before instanceof Secret && after instanceof Secret) return before.reveal() === after.reveal();
  return JSON.stringify(before) === JSON.stringify(after);
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Secret);
}
