/**
 * Puts everything together: concrete stores and fronts, and what outlives a reload. What a configuration decides is the graph of
 * `graph.ts`, built whole beside the one in force and swapped by one assignment. Signals, files and exit codes are `supervisor.ts`.
 */
import { pid } from 'node:process';
import { createAdmin } from './admin/server.ts';
import type { Loaded } from './config/load.ts';
import { restartRequired } from './config/restart-keys.ts';
import type { Config } from './config/schema.ts';
import { readSecretFile } from './config/secret-files.ts';
import { systemClock as clock } from './core/clock.ts';
import type { Store } from './core/store.ts';
import { randomBytes } from './crypto/random.ts';
import { createSignatures } from './crypto/signatures.ts';
import { createCheckHandler } from './envoy/check-handler.ts';
import { createCheckServer } from './envoy/server.ts';
import { buildGraph, type Graph } from './graph.ts';
import type { HttpEvents } from './http/exchange.ts';
import { createIssuer } from './issuer/server.ts';
import type { CertificateEvents } from './listener/tls-files.ts';
import { createReadiness } from './readiness.ts';
import { createMemoryStore } from './store/memory.ts';
import { createRedisStore } from './store/redis.ts';
import { createEventLoopDelay } from './telemetry/event-loop-delay.ts';
import type { Events } from './telemetry/events.ts';
import { INSECURE_SETTINGS } from './telemetry/metrics.ts';

export interface Sidecar {
  readonly addresses: { readonly check: string; readonly issuer: string | undefined; readonly admin: string };
  /** Puts another configuration in force, whole or not at all. @throws {Error} whose message says why not. */
  apply(loaded: Loaded): Promise<void>;
  /** Stops taking traffic and ends. @returns false when calls had to be cut off. */
  drain(): Promise<boolean>;
  /** Before a crash ends the process: refuses what is in flight. */
  denyInFlight(): void;
}

export interface SidecarOptions {
  readonly loaded: Loaded;
  readonly events: Events;
  readonly version: string;
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
async function start({ loaded, events, version, reload }: SidecarOptions, opened: (() => unknown)[]): Promise<Sidecar> {
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
    loopDelayP99Ms: () => eventLoop.p99Ms(),
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
    audit: (action: string) => events.audit({ actor: 'admin', action }),
  };

  async function build(next: Loaded, previous: Graph | undefined): Promise<Graph> {
    return buildGraph({ loaded: next, previous, store, signatures, events, adminFacts });
  }

  let graph = await build(loaded, undefined);
  opened.push(() => graph.close());
  const publish = () => {
    const { log, insecure } = graph.loaded.config;
    events.setLogging(log);
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
  const checks = await createCheckServer({
    listener: config.listeners.check,
    handler,
    clock,
    certificates: certificatesOf('check'),
  });
  opened.push(() => checks.drain(0));
  const issuer = config.listeners.issuer.enabled
    ? await createIssuer({
        graph: () => graph.issuer,
        clock,
        random: randomBytes,
        events: httpEvents,
        certificates: certificatesOf('issuer'),
      })
    : undefined;
  opened.push(() => issuer?.close(0));
  const admin = await createAdmin({
    address: config.listeners.admin.address,
    token: () => {
      const { tokenFile } = graph.loaded.config.listeners.admin;
      return tokenFile === undefined ? undefined : readSecretFile(tokenFile);
    },
    mounted: () => graph.adminPaths,
    clock,
    random: randomBytes,
    events: { ...httpEvents, request: () => undefined }, // Probes and scrapes are no requests of clients.
  });

  let wasReady = false;
  const look = () => {
    const isReady = readiness.isReady();
    checks.setServing(isReady);
    if (isReady && !wasReady) events.ready();
    wasReady = isReady;
  };
  look();
  const looking = setInterval(look, SERVING_LOOK_MS);

  return {
    addresses: { check: checks.address, issuer: issuer?.address, admin: admin.address },
    async apply(next) {
      const restart = restartRequired(graph.loaded.config, next.config);
      if (restart.length > 0) throw new Error(`restart required: ${restart.join(', ')}`);
      const before = graph;
      graph = await build(next, before);
      publish();
      before.close(graph);
    },
    async drain() {
      const { drainDelay, drainTimeout } = graph.loaded.config.process;
      readiness.drain();
      look();
      await new Promise((resolve) => setTimeout(resolve, drainDelay));
      const wasQuiet = await checks.drain(drainTimeout);
      await Promise.all([issuer?.close(HTTP_GRACE_MS), admin.close(HTTP_GRACE_MS)]);
      clearInterval(looking);
      graph.close();
      await store.close();
      eventLoop.close();
      return wasQuiet;
    },
    denyInFlight: () => checks.denyInFlight(),
  };
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
