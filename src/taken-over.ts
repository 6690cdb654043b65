/**
 * What a reload takes over from the graph in force, because it would be the same anew but for what it remembers: an open key ring,
 * users in the cache, rate-limit buckets. Each is made anew as soon as what it was made from has changed.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Loaded } from './config/load.ts';
import type { Config } from './config/schema.ts';
import { systemClock as clock } from './core/clock.ts';
import type { UserRecord } from './core/directory.ts';
import type { KeyUse } from './core/keyring.ts';
import type { SchemeDefinition } from './core/scheme.ts';
import type { Store } from './core/store.ts';
import { openKeyring, type OpenKeyring } from './keys/key-ring.ts';
import { createLimits, type BoundedLimits } from './limits.ts';
import type { Events } from './telemetry/events.ts';
import { createDirectory, type UserRecords } from './users/directory.ts';
import { readUserFile } from './users/file.ts';

export interface TakenOver {
  readonly keyring: OpenKeyring | undefined;
  /** Uses that the ring refuses to be without. */
  readonly requiredUses: readonly KeyUse[];
  readonly limits: BoundedLimits;
  readonly directory: UserRecords;
  /** Of `directory.file`. */
  readonly fixedUsers: ReadonlyMap<string, UserRecord> | undefined;
}

interface Parts {
  readonly loaded: Loaded;
  /** In force. */
  readonly previous: (TakenOver & { readonly loaded: Loaded }) | undefined;
  readonly store: Store;
  readonly events: Events;
}

/** The one in force when it is to be had from the same file under the same rules: it reads itself anew. */
export async function keyringFor(
  { loaded: { config }, previous, events }: Parts,
  definitions: readonly SchemeDefinition[],
): Promise<Pick<TakenOver, 'keyring' | 'requiredUses'>> {
  const { ringFile, reloadInterval } = config.keys;
  const requiredUses = [...new Set(definitions.flatMap((definition) => usesOf(definition, config)))].toSorted();
  if (ringFile === undefined) return { keyring: undefined, requiredUses };
  const before = previous?.loaded.config.keys;
  if (
    previous?.keyring !== undefined &&
    before?.ringFile === ringFile &&
    before.reloadInterval === reloadInterval &&
    previous.requiredUses.join() === requiredUses.join()
  ) {
    return { keyring: previous.keyring, requiredUses };
  }
  const keyring = await openKeyring({
    file: ringFile,
    clock,
    reloadIntervalMs: reloadInterval,
    required: requiredUses,
    onChange: (keys) => events.keysChanged(keys.map(factOf)),
    onError: (error) => events.keysFailed(error),
  });
  return { keyring, requiredUses };
}

/** Those in force unless a limit changed: full buckets at each reload would be that many more guesses. */
export function limitsFor({ loaded: { config }, previous, events }: Parts): BoundedLimits {
  const before = previous?.loaded.config;
  const isSame =
    isDeepStrictEqual(config.rateLimit, before?.rateLimit) && isDeepStrictEqual(config.schemes, before?.schemes);
  if (previous !== undefined && isSame) return previous.limits;
  return createLimits({
    clock,
    maxBuckets: config.rateLimit.maxBuckets,
    perCredential: config.rateLimit.perCredential,
    onRefused: (bucket) => events.rateLimited(bucket),
  });
}

/**
 * The one in force when its settings and its file say the same: with an empty cache each reload would send all users to the store at
 * once. The file is read at each reload, since that is how a change of it comes into force.
 */
export function directoryFor(
  { loaded: { config }, previous, store, events }: Parts,
  publicKeySchemes: readonly string[],
): Pick<TakenOver, 'directory' | 'fixedUsers'> {
  const { file, cacheTtl, staleOnFault, dummyAlg } = config.directory;
  const fixedUsers = file === undefined ? undefined : readUserFile(file, publicKeySchemes);
  if (
    previous !== undefined &&
    isDeepStrictEqual(config.directory, previous.loaded.config.directory) &&
    isDeepStrictEqual(fixedUsers, previous.fixedUsers)
  ) {
    return { directory: previous.directory, fixedUsers };
  }
  const directory = createDirectory({
    store,
    clock,
    cacheTtlMs: cacheTtl,
    staleOnFaultMs: staleOnFault,
    dummyAlg,
    ...(fixedUsers !== undefined && { fixed: fixedUsers }),
    onLookup: (result) => events.cacheLookup('directory', result),
  });
  return { directory, fixedUsers };
}

/** What the scheme's settings need, and those that routes put over them. */
function usesOf({ name, keyUses }: SchemeDefinition, config: Config): readonly KeyUse[] {
  const all = [config.schemes[name], ...Object.values(config.routes).map((route) => route.settings[name])];
  // Each is what this definition's own schema gave, which the list of definitions can't say in types.
  return all.flatMap((settings) => (settings === undefined ? [] : keyUses(settings as never)));
}

export function factOf({ use, state, activateAtMs, createdAtMs }: ReturnType<OpenKeyring['describe']>[number]) {
  return { use, state, activateAtMs, ...(createdAtMs !== null && { createdAtMs }) };
}
