/**
 * The service in several processes: this one holds the listening sockets and the admin front and judges nothing, so it has no keys.
 * Its workers are `sidecar.ts` with one front each, started by `processes/`.
 */
import { pid } from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { createAdmin, mountAdmin, type AdminFacts } from './admin/server.ts';
import { systemClock as clock } from './core/clock.ts';
import { Fault } from './core/fault.ts';
import type { Answer, Endpoint } from './core/scheme.ts';
import { randomBytes } from './crypto/random.ts';
import type { PathMap } from './http/mounted.ts';
import { openDoors } from './processes/doors.ts';
import { createFleet, type Fleet } from './processes/fleet.ts';
import type { AdminPath } from './processes/messages.ts';
import { adminToken, requireReloadable, type Running, type SidecarOptions } from './sidecar.ts';
import { createEventLoopDelay } from './telemetry/event-loop-delay.ts';
import { INSECURE_SETTINGS } from './telemetry/metrics.ts';

export interface MultiOptions extends Omit<SidecarOptions, 'fronts'> {
  readonly set: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Connections of one worker: of proxies' threads, so they are few. */
const MAX_CHECK_CONNECTIONS = 4096;
const HTTP_GRACE_MS = 2000;
const ADMIN_CALL_MS = 10_000;

/** @throws what kept it from starting; then nothing stays open. */
export async function startMulti({ loaded, events, version, set, env, reload }: MultiOptions): Promise<Running> {
  const startedAtMs = clock.monotonicMs();
  let inForce = loaded;
  let isDraining = false;
  let wasReady = false;
  const eventLoop = createEventLoopDelay();
  let flush: () => void = () => undefined;
  const fleet = createFleet({ loaded, set, env, events, clock, onUp: () => flush() });

  const readiness = () => ({
    notDraining: !isDraining,
    checkWorkers: fleet.isReady(),
    fewCrashes: !fleet.tooManyCrashes(),
    ...conditionsOf(fleet),
  });
  const facts: AdminFacts = {
    exposition: async () => events.exposition(await fleet.snapshots()),
    isAlive: () => true, // Whoever answers this is alive, and a worker that has ended is on its way back.
    readiness,
    status: () => ({
      version,
      configHash: inForce.hash,
      uptimeMs: Math.round(clock.monotonicMs() - startedAtMs),
      workers: [{ role: 'supervisor', state: 'ready', pid }, ...fleet.describe()],
      store: storeOf(fleet),
      keys: fleet.issuer()?.facts()?.keys ?? [],
      insecure: Object.entries(inForce.config.insecure).flatMap(([name, isOn]) => (isOn ? [name] : [])),
    }),
    keys: () => ({ keys: fleet.issuer()?.facts()?.keys ?? [] }),
    reload,
    replaceWorkers: () => void replace(),
    setLogLevel(level, ttlMs) {
      events.overrideLogLevel(level, ttlMs);
      void fleet.setLogLevel(level, ttlMs);
    },
    audit: (action) => events.audit({ actor: 'admin', action }),
  };
  const mounted = mountedFor(facts, fleet);

  async function replace(): Promise<void> {
    try {
      await fleet.replace();
    } catch (thrown) {
      events.worker('not_replaced', { role: 'supervisor', pid, detail: messageOf(thrown) });
    }
  }
  const publish = () => {
    const { log, insecure } = inForce.config;
    events.setLogging(log);
    events.insecureSettings(INSECURE_SETTINGS.filter((name) => insecure[name]));
  };
  publish();
  events.observe({ loopDelay: () => eventLoop.take(), workers: () => fleet.rows() });

  // Metrics and health are there from the start: the start itself is what they are asked about.
  const admin = await createAdmin({
    address: loaded.config.listeners.admin.address,
    token: () => adminToken(inForce.config),
    mounted,
    clock,
    random: randomBytes,
    events: { request: () => undefined, fault: (reason, cause) => events.fault(reason, cause) },
  });
  let doors: Awaited<ReturnType<typeof openDoors>>;
  try {
    await fleet.start();
    const { maxConnections } = loaded.config.listeners.issuer;
    doors = await openDoors(loaded.config, (listener, slot, connection) => {
      const member = fleet.forConnection(listener, slot);
      if (member === undefined) return false;
      if (member.connections() < (listener === 'check' ? MAX_CHECK_CONNECTIONS : maxConnections))
        member.give(listener, connection);
      else connection.destroy();
      return true;
    });
  } catch (thrown) {
    eventLoop.close();
    await Promise.all([fleet.drain(), admin.close(0)]);
    throw thrown;
  }
  flush = () => doors.flush();

  const looking = setInterval(() => {
    const isReady = Object.values(readiness()).every(Boolean);
    if (isReady && !wasReady) events.ready();
    wasReady = isReady;
  }, READY_LOOK_MS);

  return {
    async apply(next) {
      requireReloadable(inForce.config, next.config);
      await fleet.apply(next);
      inForce = next;
      publish();
    },
    replace,
    async drain() {
      isDraining = true;
      await fleet.leave();
      await pause(inForce.config.process.drainDelay);
      doors.close();
      const wasQuiet = await fleet.drain();
      clearInterval(looking);
      eventLoop.close();
      await admin.close(HTTP_GRACE_MS);
      return wasQuiet;
    },
    denyAll: () => undefined, // Workers see this process end, and let their calls end before they follow.
  };
}

const READY_LOOK_MS = 200;

/** Each condition of a worker holds when it holds in one of them: one is enough to answer. */
function conditionsOf(fleet: Fleet): Readonly<Record<string, boolean>> {
  const all: Record<string, boolean> = {};
  for (const member of fleet.up()) {
    if (member.role !== 'check') continue;
    for (const [name, holds] of Object.entries(member.facts()?.conditions ?? {}))
      if (name !== 'notDraining') all[name] = holds || all[name] === true;
  }
  return all;
}

/** The worst state that a worker sees, and the latest horizon. */
function storeOf(fleet: Fleet): object {
  const seen = fleet.up().flatMap((member) => member.facts()?.store ?? []);
  return {
    state: seen.find(({ state }) => state !== 'ok')?.state ?? seen[0]?.state ?? 'down',
    horizonMs: Math.max(0, ...seen.map(({ horizonMs }) => horizonMs)),
  };
}

/** The calls of this process, and those that the issuer process has told of: a reload changes them. */
function mountedFor(facts: AdminFacts, fleet: Fleet): () => PathMap {
  const own = mountAdmin(facts, []);
  let known: readonly AdminPath[] | undefined;
  let paths = own;
  return () => {
    const told = fleet.issuer()?.facts()?.adminPaths ?? known;
    if (told === known || told === undefined) return paths;
    known = told;
    const handedOn = told.filter(({ path }) => !own.has(path)).map((one) => ({ endpoint: handOn(one, fleet) }));
    paths = mountAdmin(facts, handedOn);
    return paths;
  };
}

/** The issuer process judges the body, and writes the audit line. */
function handOn({ method, path }: AdminPath, fleet: Fleet): Endpoint {
  return {
    listener: 'admin',
    method: method as Endpoint['method'],
    path,
    bucket: 'own',
    async handle({ raw, header }): Promise<Answer> {
      const issuer = fleet.issuer();
      if (issuer === undefined) throw new Fault('overload', 'the issuer process is starting');
      return issuer.ask('admin', ADMIN_CALL_MS, { method, path, raw, contentType: header('content-type') });
    },
  };
}

function messageOf(thrown: unknown): string {
  return Error.isError(thrown) ? thrown.message : 'unknown error';
}
