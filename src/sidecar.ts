/**
 * Puts everything together: concrete stores and fronts, and what outlives a reload. What a configuration decides is the graph of
 * `graph.ts`, built whole beside the one in force and swapped by one assignment. Signals, files and exit codes are `supervisor.ts`.
 */
import { pid } from 'node:process';
import { ADMIN_LIMITS, createAdmin } from './admin/server.ts';
import type { Loaded } from './config/load.ts';
import { restartRequired } from './config/restart-keys.ts';
import type { Config } from './config/schema.ts';
import { readSecretFile } from './config/secret-files.ts';
import { systemClock as clock } from './core/clock.ts';
import type { Answer } from './core/scheme.ts';
import type { Secret } from './core/secret.ts';
import type { Store, StoreState } from './core/store.ts';
import { randomBytes } from './crypto/random.ts';
import { createSignatures } from './crypto/signatures.ts';
import { createCheckHandler } from './envoy/check-handler.ts';
import { createCheckServer } from './envoy/server.ts';
import { buildGraph, type Graph } from './graph.ts';
import { exchange, type HttpEvents, type Received } from './http/exchange.ts';
import type { PathMap } from './http/mounted.ts';
import { createIssuer } from './issuer/server.ts';
import type { Attach } from './listener/bind.ts';
import type { CertificateEvents } from './listener/tls-files.ts';
import { createReadiness } from './readiness.ts';
import { createMemoryStore } from './store/memory.ts';
import { createRedisStore } from './store/redis.ts';
import { createEventLoopDelay } from './telemetry/event-loop-delay.ts';
import type { Events } from './telemetry/events.ts';
import { INSECURE_SETTINGS } from './telemetry/metrics.ts';

/** What the supervisor needs of the service, be it one process or several. */
export interface Running {
  /** Puts another configuration in force, whole or not at all. @throws {Error} whose message says why not. */
  apply(loaded: Loaded): Promise<void>;
  /** New processes in place of the old ones; nothing where there is only this one. */
  replace(): Promise<void>;
  /** Stops taking traffic and ends. @returns false when calls had to be cut off. */
  drain(): Promise<boolean>;
  /** Before a crash ends the process: refuses what is in flight, and what still comes. */
  denyAll(): void;
}

export interface Sidecar extends Running {
  /** Builds another configuration whole beside the one in force. @throws {Error} whose message says why not. */
  prepare(loaded: Loaded): Promise<Prepared>;
  /** From now on: not ready. Calls are answered as before. */
  leave(): void;
  /** Ends so many connections of proxies after their calls, so that others get them. */
  retireConnections(count: number): void;
  /** What this process knows of itself. */
  facts(): SidecarFacts;
  /** A request to the admin front that came to another process. */
  answerAdmin(received: Received): Promise<Answer>;
}

export interface Prepared {
  commit(): void;
  cancel(): void;
}

export interface SidecarFacts {
  readonly isReady: boolean;
  readonly conditions: Readonly<Record<string, boolean>>;
  readonly store: { readonly state: StoreState; readonly horizonMs: number };
  readonly keys: ReturnType<NonNullable<Graph['keyring']>['describe']>;
  readonly adminPaths: PathMap;
}

/** The fronts that a process has, each with how it comes by its connections. */
export interface Fronts {
  readonly check?: Attach;
  readonly issuer?: Attach;
  readonly admin?: Attach;
}

export interface SidecarOptions {
  readonly loaded: Loaded;
  readonly events: Events;
  readonly version: string;
  readonly fronts: Fronts;
  /** Reads the file again and applies it. @returns undefined when applied, else why not. */
  reload(): Promise<string | undefined>;
}

const SERVING_LOOK_MS = 200;
/** A loop that is late with so few Checks in flight is late for another reason: turning them away would help nobody. */
const FEW_CHECKS = 16;
const HTTP_GRACE_MS = 2000;

/** @throws what kept it from starting; then nothing stays open, or the process would live on as half a service. */
export async function startSidecar(options: SidecarOptions): Promise<Sidecar> {
  const opened: (() => unknown)[] = [];
  try {
    return await start(options, opened);
  } catch (thrown) {
    for (const close of opened.toReversed()) await close();
    throw thrown;
  }
}

/** @param opened gets what closes each thing that was opened. */
async function start(
  { loaded, events, version, fronts, reload }: SidecarOptions,
  opened: (() => unknown)[],
): Promise<Sidecar> {
  const { config } = loaded;
  const startedAtMs = clock.monotonicMs();
  const eventLoop = createEventLoopDelay();
  opened.push(() => eventLoop.close());
  const store = createStore(config, events);
  opened.push(() => store.close());
  const signatures = createSignatures({ mode: config.process.verify });
  const readiness = createReadiness({
    store,
    clock,
    loopDelayP99Ms: () => eventLoop.lastingP99Ms(),
    requireStore: () => graph.loaded.config.readiness.requireStore,
  });
  const httpEvents: HttpEvents = {
    request: (request) => events.issuerRequest(request),
    fault: (reason, cause) => events.fault(reason, cause),
  };
  const certificatesOf = (listener: 'check' | 'issuer'): CertificateEvents => ({
    onCertificate: (notAfterMs) => events.certificate(listener, notAfterMs),
    onCertificateError: (error) => events.keysFailed(error),
  });

  const adminFacts = {
    exposition: () => events.exposition(),
    isAlive: () => true, // Whoever answers this is alive: one loop does everything.
    readiness: () => readiness.conditions(),
    status: () => ({
      version,
      configHash: graph.loaded.hash,
      uptimeMs: Math.round(clock.monotonicMs() - startedAtMs),
      workers: [{ state: readiness.isReady() ? 'ready' : 'starting', pid }],
      store: { state: store.state(), horizonMs: store.horizonMs() },
      keys: graph.keyring?.describe() ?? [],
      insecure: Object.entries(graph.loaded.config.insecure).flatMap(([name, isOn]) => (isOn ? [name] : [])),
    }),
    keys: () => ({ keys: graph.keyring?.describe() ?? [] }),
    reload,
    setLogLevel: (level: 'error' | 'warn' | 'info' | 'debug', ttlMs: number) => events.overrideLogLevel(level, ttlMs),
    audit: (action: string, target?: string) =>
      events.audit({ actor: 'admin', action, ...(target !== undefined && { target }) }),
  };

  async function build(next: Loaded, previous: Graph | undefined): Promise<Graph> {
    return buildGraph({ loaded: next, previous, store, signatures, events, adminFacts });
  }

  let graph = await build(loaded, undefined);
  opened.push(() => graph.close());
  const publish = () => {
    const { log, insecure, tracing } = graph.loaded.config;
    events.setLogging(log);
    events.setTracing(tracing);
    events.observe({ caches: { ...graph.cacheEntries(), signature_keys: () => signatures.cachedKeys() } });
    events.insecureSettings(INSECURE_SETTINGS.filter((name) => insecure[name]));
  };
  publish();

  const handler = createCheckHandler({
    authenticate: () => graph.authenticate,
    settings: () => graph.loaded.config.envoy,
    maxInFlight: () => graph.loaded.config.process.maxInFlight,
    mustShed: () => handler.inFlight() > FEW_CHECKS && eventLoop.isOverloaded(graph.loaded.config.process.shedDelay),
    clock,
    events,
  });
  events.observe({
    loopDelay: () => eventLoop.take(),
    checksInFlight: () => handler.inFlight(),
    ...('entries' in store && { memoryStoreEntries: () => (store as ReturnType<typeof createMemoryStore>).entries() }),
  });

  // Fronts last: what can't be listened on ends the start before anything is answered.
  const checks =
    fronts.check &&
    (await createCheckServer({
      listener: config.listeners.check,
      handler,
      clock,
      certificates: certificatesOf('check'),
      attach: fronts.check,
      ...(config.metrics.grpcCompat && { called: (code, ms) => events.grpcCall(code, ms) }),
    }));
  opened.push(() => checks?.drain(0));
  const issuer =
    fronts.issuer && config.listeners.issuer.enabled
      ? await createIssuer({
          graph: () => graph.issuer,
          clock,
          random: randomBytes,
          events: httpEvents,
          certificates: certificatesOf('issuer'),
          attach: fronts.issuer,
        })
      : undefined;
  opened.push(() => issuer?.close(0));
  const adminExchange = {
    mounted: () => graph.adminPaths,
    clock,
    random: randomBytes,
    events: { ...httpEvents, request: () => undefined }, // Probes and scrapes are no requests of clients.
  };
  const admin =
    fronts.admin &&
    (await createAdmin({
      ...adminExchange,
      address: config.listeners.admin.address,
      token: () => adminToken(graph.loaded.config),
      attach: fronts.admin,
    }));

  let wasReady = false;
  const look = () => {
    const isReady = readiness.isReady();
    checks?.setServing(isReady);
    if (isReady && !wasReady) events.ready();
    wasReady = isReady;
  };
  look();
  const looking = setInterval(look, SERVING_LOOK_MS);

  async function prepare(next: Loaded): Promise<Prepared> {
    requireReloadable(graph.loaded.config, next.config);
    const before = graph;
    const prepared = await build(next, before);
    return {
      commit() {
        graph = prepared;
        publish();
        before.close(graph);
      },
      cancel: () => prepared.close(before),
    };
  }
  function leave(): void {
    readiness.drain();
    look();
  }

  return {
    prepare,
    apply: async (next) => (await prepare(next)).commit(),
    replace: () => Promise.resolve(),
    leave,
    retireConnections: (count) => checks?.retire(count),
    facts: () => ({
      isReady: readiness.isReady(),
      conditions: readiness.conditions(),
      store: { state: store.state(), horizonMs: store.horizonMs() },
      keys: graph.keyring?.describe() ?? [],
      adminPaths: graph.adminPaths,
    }),
    answerAdmin: (received) =>
      new Promise((resolve, reject) => {
        exchange({ ...adminExchange, ...ADMIN_LIMITS }, received, resolve).catch(reject);
      }),
    async drain() {
      leave();
      const { drainDelay, drainTimeout } = graph.loaded.config.process;
      await new Promise((resolve) => setTimeout(resolve, fronts.admin === undefined ? 0 : drainDelay));
      const wasQuiet = (await checks?.drain(drainTimeout)) ?? true;
      await Promise.all([issuer?.close(HTTP_GRACE_MS), admin?.close(HTTP_GRACE_MS)]);
      clearInterval(looking);
      graph.close();
      await store.close();
      eventLoop.close();
      return wasQuiet;
    },
    denyAll: () => checks?.denyAll(),
  };
}

/** @throws {Error} that names the settings which a running process can't change. */
export function requireReloadable(before: Config, after: Config): void {
  const restart = restartRequired(before, after);
  if (restart.length > 0) throw new Error(`restart required: ${restart.join(', ')}`);
}

/** Read anew each time, so that it can rotate. */
export function adminToken({ listeners: { admin } }: Config): Secret<string> | undefined {
  return admin.tokenFile === undefined ? undefined : readSecretFile(admin.tokenFile);
}

function createStore({ store, clock: { skew, maxStoreOffset }, insecure }: Config, events: Events): Store {
  if (store.type === 'memory') {
    return createMemoryStore({
      clock,
      skewMs: skew,
      maxEntries: store.memory.maxEntries,
      fresh: insecure.freshMemoryStore,
      observer: events,
    });
  }
  return createRedisStore({
    settings: store.redis,
    skewMs: skew,
    maxStoreOffsetMs: maxStoreOffset,
    clock,
    readSecret: (file) => readSecretFile(file).reveal(),
    observer: events,
  });
}
