/**
 * Puts everything together: the only file that names concrete stores, fronts and the list of schemes. What a configuration decides is
 * a graph, built whole beside the one in force and swapped by one assignment; what outlives a reload is made once.
 * Signals, files and exit codes are `supervisor.ts`.
 */
import { pid } from 'node:process';
import { createAuthenticate, type Authenticate } from './authenticate.ts';
import { createAdmin, mountAdmin } from './admin/server.ts';
import type { Loaded } from './config/load.ts';
import { restartRequired } from './config/restart-keys.ts';
import { createRouteTable } from './config/routes.ts';
import type { Config } from './config/schema.ts';
import { readSecretFile } from './config/secret-files.ts';
import { systemClock as clock } from './core/clock.ts';
import type { Keyring } from './core/keyring.ts';
import { Fault } from './core/fault.ts';
import type { Endpoint, Resources, Scheme, SchemeDefinition } from './core/scheme.ts';
import type { Store } from './core/store.ts';
import { randomBytes } from './crypto/random.ts';
import { createSignatures } from './crypto/signatures.ts';
import { scopedStoreKey } from './crypto/store-key.ts';
import { createCheckHandler } from './envoy/check-handler.ts';
import { createCheckServer } from './envoy/server.ts';
import type { HttpEvents, PathMap } from './http/server.ts';
import { jwks } from './issuer/jwks.ts';
import { createIssuer, mountIssuer, type IssuerGraph } from './issuer/server.ts';
import { openKeyring, type OpenKeyring } from './keys/key-ring.ts';
import { createLimits } from './limits.ts';
import { createReadiness } from './readiness.ts';
import { schemes as allSchemes } from './schemes/index.ts';
import { createMemoryStore } from './store/memory.ts';
import { createRedisStore } from './store/redis.ts';
import { createEventLoopDelay } from './telemetry/event-loop-delay.ts';
import type { Events } from './telemetry/events.ts';
import { INSECURE_SETTINGS } from './telemetry/metrics.ts';
import { invitationCall, keyCalls, userCalls, type AdminCallParts } from './users/admin-calls.ts';
import { createDirectory, type UserRecords } from './users/directory.ts';
import { enrolmentEndpoint } from './users/enrolment.ts';
import { readUserFile } from './users/file.ts';
import { createInvitations } from './users/invitations.ts';
import { createUserKeys } from './users/keys-of-users.ts';

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

/** All that a configuration decides and a reload may change. */
interface Graph {
  readonly loaded: Loaded;
  readonly authenticate: Authenticate;
  readonly issuer: IssuerGraph;
  readonly adminPaths: PathMap;
  readonly keyring: OpenKeyring | undefined;
  readonly directory: UserRecords;
  cacheEntries(): Readonly<Record<string, () => number>>;
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
  opened.push(() => graph.keyring?.close());
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
    onCertificate: (notAfterMs) => events.certificate('check', notAfterMs),
    onCertificateError: (error) => events.keysFailed(error),
  });
  opened.push(() => checks.drain(0));
  const issuer = config.listeners.issuer.enabled
    ? await createIssuer({ graph: () => graph.issuer, clock, random: randomBytes, events: httpEvents })
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
      if (before.keyring !== graph.keyring) before.keyring?.close();
      publish();
    },
    async drain() {
      const { drainDelay, drainTimeout } = graph.loaded.config.process;
      readiness.drain();
      look();
      await new Promise((resolve) => setTimeout(resolve, drainDelay));
      const wasQuiet = await checks.drain(drainTimeout);
      await Promise.all([issuer?.close(HTTP_GRACE_MS), admin.close(HTTP_GRACE_MS)]);
      clearInterval(looking);
      graph.keyring?.close();
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

interface GraphParts {
  readonly loaded: Loaded;
  readonly previous: Graph | undefined;
  readonly store: Store;
  readonly signatures: Resources['signatures'];
  readonly events: Events;
  readonly adminFacts: Parameters<typeof mountAdmin>[0];
}

async function buildGraph({ loaded, previous, store, signatures, events, adminFacts }: GraphParts): Promise<Graph> {
  const { config } = loaded;
  const definitions = allSchemes.filter(({ name }) => config.schemes[name] !== undefined);
  const limits = createLimits({
    clock,
    maxBuckets: config.rateLimit.maxBuckets,
    perCredential: config.rateLimit.perCredential,
    onRefused: (bucket) => events.rateLimited(bucket),
  });
  const keyring = await keyringFor(config, definitions, previous, events);
  const publicKeySchemes = definitions.filter(({ publicKeys }) => publicKeys).map(({ name }) => name);
  const directory = createDirectory({
    store,
    clock,
    cacheTtlMs: config.directory.cacheTtl,
    staleOnFaultMs: config.directory.staleOnFault,
    dummyAlg: config.directory.dummyAlg,
    ...(config.directory.file !== undefined && { fixed: readUserFile(config.directory.file, publicKeySchemes) }),
    onLookup: (result) => events.cacheLookup('directory', result),
  });
  const keys = createUserKeys(directory, () => clock.nowMs());
  const invitations = createInvitations({ store, clock, random: randomBytes });

  const created = definitions.map((definition): { definition: SchemeDefinition; scheme: Scheme } => ({
    definition,
    scheme: definition.create(config.schemes[definition.name] as never, {
      store,
      storeKey: scopedStoreKey(definition.name),
      clock,
      random: randomBytes,
      keyring: keyring ?? NO_KEYRING,
      directory,
      users: keys,
      invitations,
      signatures,
      limits,
      count: (counter, labels) => events.count(counter, labels),
      skewMs: config.clock.skew,
    }),
  }));
  const routes = createRouteTable(config, new Map(created.map(({ scheme }) => [scheme.name, scheme])));

  const enrolmentOf = ({ name, publicKeys }: SchemeDefinition): Endpoint[] =>
    publicKeys
      ? [
          enrolmentEndpoint({
            scheme: name,
            audiences: config.issuer.audiences,
            keys,
            invitations,
            signatures,
            audit: (action, target) => events.audit({ actor: 'client', action, target }),
          }),
        ]
      : [];
  const adminParts: AdminCallParts = {
    records: directory,
    keys,
    invitations,
    schemes: definitions,
    audit: (action, target) => events.audit({ actor: 'admin', action, target }),
  };

  return {
    loaded,
    authenticate: createAuthenticate({
      routes,
      clock,
      limits,
      perSource: config.rateLimit.perSource,
      decided: (course) => events.decision(course),
    }),
    issuer: {
      paths: mountIssuer(
        config.listeners.issuer.pathPrefix,
        created.map(({ definition, scheme }) => {
          const policy = routes.routes.flatMap((route) => route.schemes).find((one) => one.scheme === scheme)?.policy;
          return {
            scheme,
            endpoints: [...scheme.endpoints, ...enrolmentOf(definition)],
            ...(policy !== undefined && { policy }),
          };
        }),
        { audiences: config.issuer.audiences, nowMs: () => clock.nowMs(), jwks: () => jwks(keyring) },
      ),
      limits,
      issuerLimit: config.rateLimit.issuer,
      listener: config.listeners.issuer,
    },
    adminPaths: mountAdmin(adminFacts, [
      ...userCalls(adminParts).map((endpoint) => ({ endpoint })),
      { endpoint: invitationCall(adminParts) },
      ...publicKeySchemes.flatMap((scheme) => keyCalls(scheme, adminParts).map((endpoint) => ({ endpoint, scheme }))),
      ...created.flatMap(({ scheme }) =>
        scheme.endpoints
          .filter(({ listener }) => listener === 'admin')
          .map((endpoint) => ({ endpoint, scheme: scheme.name })),
      ),
    ]),
    keyring,
    directory,
    cacheEntries: () => ({ directory: () => directory.entries(), buckets: () => limits.entries() }),
  };
}

/** The one in force when the file is the same: it reads itself anew. */
async function keyringFor(
  config: Config,
  definitions: readonly SchemeDefinition[],
  previous: Graph | undefined,
  events: Events,
): Promise<OpenKeyring | undefined> {
  const { ringFile, reloadInterval } = config.keys;
  if (ringFile === undefined) return undefined;
  const settingsOf = (name: string) => [
    config.schemes[name],
    ...Object.values(config.routes).map((route) => route.settings[name]),
  ];
  const required = definitions.flatMap((definition) =>
    settingsOf(definition.name).flatMap((settings) =>
      settings === undefined ? [] : definition.keyUses(settings as never),
    ),
  );
  const before = previous?.loaded.config.keys;
  const missing = (ring: OpenKeyring) => required.filter((use) => ring.usable(use).length === 0);
  if (
    previous?.keyring !== undefined &&
    before?.ringFile === ringFile &&
    before.reloadInterval === reloadInterval &&
    missing(previous.keyring).length === 0
  ) {
    return previous.keyring;
  }
  const ring = await openKeyring({
    file: ringFile,
    clock,
    reloadIntervalMs: reloadInterval,
    required,
    onChange: (keys) => events.keysChanged(keys.map(factOf)),
    onError: (error) => events.keysFailed(error),
  });
  events.keysChanged(ring.describe().map(factOf));
  return ring;
}

function factOf({ use, state, activateAtMs, createdAtMs }: ReturnType<OpenKeyring['describe']>[number]) {
  return { use, state, activateAtMs, ...(createdAtMs !== null && { createdAtMs }) };
}

/** Configurations whose schemes need no key have no ring: the loader has seen to that. */
const NO_KEYRING: Keyring = {
  active: (use) => {
    throw new Fault('key_source', `there is no key ring, so no key of use ${use}`);
  },
  usable: () => [],
};
