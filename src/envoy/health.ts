/** grpc.health.v1: whether this process should get Checks, for proxies that ask. Messages in, messages out; calls are `server.ts`. */

const NAMES: ReadonlySet<string> = new Set(['', 'envoy.service.auth.v3.Authorization']);

const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;

/** One for each thread of a few proxies. */
const MAX_WATCHERS = 1024;

export interface Watcher {
  /** A message about the service, then one for each change. */
  tell(message: Uint8Array): void;
  /** No more will follow. */
  end(): void;
}

export interface Health {
  setServing(isServing: boolean): void;
  /** @returns undefined for a service that is none of ours. */
  check(request: Uint8Array): Uint8Array | undefined;
  /** @returns how to stop watching; undefined when there are too many watchers. */
  watch(request: Uint8Array, watcher: Watcher): (() => void) | undefined;
  /** Ends all watches. */
  close(): void;
}

export function createHealth(): Health {
  let isServing = false;
  const watchers = new Map<Watcher, boolean>();
  const present = () => response(isServing ? SERVING : NOT_SERVING);

  return {
    setServing(next) {
      if (next === isServing) return;
      isServing = next;
      for (const [watcher, isKnown] of watchers) if (isKnown) watcher.tell(present());
    },
    check: (request) => (isOurs(request) ? present() : undefined),
    watch(request, watcher) {
      if (watchers.size >= MAX_WATCHERS) return undefined;
      const isKnown = isOurs(request);
      watchers.set(watcher, isKnown);
      watcher.tell(isKnown ? present() : response(SERVICE_UNKNOWN));
      return () => watchers.delete(watcher);
    },
    close() {
      for (const watcher of watchers.keys()) watcher.end();
      watchers.clear();
    },
  };
}

/** `HealthCheckRequest` has one field, `service` = 1; a request with anything else is about none of ours. */
function isOurs(request: Uint8Array): boolean {
  if (request.length === 0) return NAMES.has('');
  if (request[0] !== 0x0a || request[1] !== request.length - 2 || request.length > 127) return false;
  return NAMES.has(String.fromCharCode(...request.subarray(2)));
}

/** `HealthCheckResponse.status`, field 1. */
function response(status: number): Uint8Array {
  return Uint8Array.of(0x08, status);
}
