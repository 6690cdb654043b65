/**
 * One function per event, which does its metric and its line together, so that neither can be forgotten. No event throws:
 * telemetry must never turn into a verdict. Metrics are named in `metrics.ts`, lines written by `logger.ts`.
 */
import type { Clock } from '../core/clock.ts';
import type { FaultReason, StoreFaultReason } from '../core/fault.ts';
import { KEY_USES } from '../core/keyring.ts';
import type { BucketName } from '../core/limits.ts';
import type { Stage } from '../core/scheme.ts';
import { STORE_STATES, type StoreObserver, type StoreResult, type StoreState, type StoreVerb } from '../core/store.ts';
import { createDecisionEvent, type DecidedCheck, type DecisionLogging } from './decision.ts';
import { describeError } from './describe-error.ts';
import { subjectHash } from './id-hash.ts';
import type { LogFields } from './line.ts';
import type { Logger, LogLevel } from './logger.ts';
import { NONE, type GrpcCode, type InsecureSetting, type Metrics, type RestartReason } from './metrics.ts';
import { registerReadings, type KeyFact, type Live } from './readings.ts';
import { expositionOf, type Snapshot } from './together.ts';
import type { Tracer, Tracing } from './tracing.ts';

export interface Change {
  /** Who: `admin` for the admin API, else the part that acted by itself. */
  readonly actor: string;
  /** Constant text such as `users.revoke`. */
  readonly action: string;
  /** Subject, key id or the like; written as its hash. */
  readonly target?: string;
  /** Constant text, for what came of it. */
  readonly outcome?: string;
}

export interface Events extends StoreObserver {
  /** Exactly once per Check. */
  decision(check: DecidedCheck): void;
  /** A call of gRPC has ended, whatever was answered. Counted with `metrics.grpcCompat` only. */
  grpcCall(code: GrpcCode, ms: number): void;
  /** A stage that ends after the decision: `encode`. */
  stage(stage: Stage, ms: number): void;
  /** A request of the HTTP fronts could not be judged. */
  fault(reason: FaultReason, cause: unknown): void;
  /** The answer's bytes were not what was decided; a prepared deny went out instead. */
  encodeAssertionFailed(): void;
  shed(reason: 'delay' | 'in_flight'): void;
  rateLimited(bucket: BucketName): void;
  misconfiguredProxy(what: string): void;
  issuerRequest(request: {
    scheme?: string;
    endpoint: string;
    status: number;
    durationMs: number;
    traceparent?: string | undefined;
  }): void;
  /** A counter of a scheme's own. @throws {RangeError} for one that no scheme defines. */
  count(counter: string, labels: Readonly<Record<string, string>>): void;
  /** A value for a histogram of a scheme's own. @throws {RangeError} for one that no scheme defines. */
  observeValue(histogram: string, labels: Readonly<Record<string, string>>, value: number): void;
  /** A gauge of a scheme's own. @throws {RangeError} for one that no scheme defines. */
  level(gauge: string, value: number): void;
  /** An event of a scheme's own. @param msg constant text. */
  notice(scheme: string, event: string, msg: string, subject: string): void;
  cacheLookup(cache: string, result: 'hit' | 'miss'): void;

  start(configHash: string, warnings: readonly string[]): void;
  ready(): void;
  /** All that are on; those that were on before and are missing now are off. */
  insecureSettings(names: readonly InsecureSetting[]): void;
  reload(outcome: { applied: true; configHash: string } | { applied: false; error: string }): void;
  keysChanged(keys: readonly KeyFact[]): void;
  /** The ring, a certificate or another secret could not be read; what was loaded before stays. */
  keysFailed(error: unknown): void;
  certificate(listener: 'check' | 'issuer', notAfterMs: number): void;
  drain(phase: 'started' | 'finished' | 'cut_off'): void;
  /** Another process of this service changed its state. */
  worker(state: WorkerState, process: { role: string; pid: number; detail?: string }): void;
  workerRestarted(reason: RestartReason): void;
  /** Await it before the change is answered. @throws when the line can't be written. */
  audit(change: Change): Promise<void>;
  /** Await it before the process ends; at most a second. */
  crash(kind: 'exception' | 'rejection', thrown: unknown): Promise<void>;

  /** What `/metrics` reads when it is scraped. */
  observe(
    readings: Partial<Pick<Live, 'checksInFlight' | 'memoryStoreEntries' | 'loopDelay' | 'caches' | 'workers'>>,
  ): void;
  setTracing(tracing: Tracing): void;
  setLogging(logging: DecisionLogging & { readonly level: LogLevel }): void;
  /** For a while; the configuration's level comes back by itself. */
  overrideLogLevel(level: LogLevel, ttlMs: number): void;
  /** Prometheus text. @param others of the processes that belong to this service, as they told them. */
  exposition(others?: readonly Snapshot[]): Promise<{ contentType: string; text: string }>;
  /** What this process would expose, for another to add up. */
  snapshot(): Promise<Snapshot>;
  close(): Promise<void>;
}

export interface EventsOptions {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly logging: DecisionLogging;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
  /** Sends what spans are left. */
  closeTracing?(withinMs: number): Promise<void>;
}

const FLUSH_MS = 1000;

export function createEvents(options: EventsOptions): Events {
  const { metrics, logger, clock, logging: initialLogging, tracer, closeTracing } = options;
  let logging = initialLogging;
  const live = registerReadings(metrics, clock, () => logger.droppedLines());

  const decided = createDecisionEvent({
    metrics,
    logger,
    logging: () => logging,
    tracer,
    proxyClock: (offsetMs) => {
      live.proxyClockOffsetMs = offsetMs;
    },
    misconfiguredProxy,
    fault: ({ reason, cause }) => fault(reason, cause),
  });

  function misconfiguredProxy(what: string, key: string, fields: LogFields = {}): void {
    logger.repeated(
      'error',
      'misconfigured_proxy',
      'the proxy is configured otherwise than countersign',
      `misconfigured_proxy ${key}`,
      {
        ...fields,
        detail: what,
      },
    );
  }

  function fault(reason: FaultReason, cause: unknown): void {
    metrics.faults(reason).inc();
    logger.repeated('error', 'fault', 'a request could not be judged', `fault ${reason}`, {
      reason,
      error: describeError(cause),
    });
  }

  return {
    decision(check) {
      // A throw here would leave the Check without an answer.
      try {
        decided(check);
      } catch (thrown) {
        logger.repeated('error', 'fault', 'a decision could not be recorded', 'decision', {
          reason: 'internal',
          error: describeError(thrown),
        });
      }
    },
    grpcCall(code, ms) {
      metrics.grpc?.handled(code).inc();
      metrics.grpc?.seconds.observe(ms / 1000);
    },
    stage: (stage, ms) => metrics.stageSeconds(stage).observe(ms / 1000),
    fault,
    encodeAssertionFailed() {
      metrics.encodeAssertionFailures.inc();
      logger.repeated('error', 'fault', 'an answer was not what was decided; refused instead', 'encode', {
        reason: 'internal',
      });
    },
    shed: (reason) => metrics.shed(reason).inc(),
    rateLimited: (bucket) => metrics.rateLimited(bucket).inc(),
    misconfiguredProxy: (what) => misconfiguredProxy(what, what),
    issuerRequest({ scheme = NONE, endpoint, status, durationMs, traceparent }) {
      if (tracer?.isOn() === true) tracer.call({ scheme, endpoint, status, durationMs, traceparent });
      metrics.issuerRequests(scheme, endpoint, statusClass(status)).inc();
      metrics.issuerSeconds(scheme).observe(durationMs / 1000);
    },
    count(counter, labels) {
      defined(metrics.ofSchemes.counters, counter)(labels).inc();
    },
    observeValue: (histogram, labels, value) => defined(metrics.ofSchemes.histograms, histogram)(labels).observe(value),
    level: (gauge, value) => defined(metrics.ofSchemes.gauges, gauge).set(value),
    notice: (scheme, event, msg, subject) =>
      logger.write('warn', event, msg, {
        scheme,
        subject: logging.subjects === 'plain' ? subject : subjectHash(subject),
      }),
    cacheLookup: (cache, result) => metrics.cacheLookups(cache, result).inc(),

    start(configHash, warnings) {
      live.configHash = configHash;
      logger.write('info', 'start', 'countersign is starting', { config_hash: configHash });
      for (const warning of warnings) logger.write('warn', 'start', 'configuration warning', { detail: warning });
    },
    ready: () => logger.write('info', 'ready', 'countersign answers'),
    insecureSettings(names) {
      for (const name of names) {
        if (live.insecureSettings.includes(name)) continue;
        logger.write('warn', 'insecure_setting', 'an insecure setting is on', { detail: `insecure.${name}` });
      }
      live.insecureSettings = names;
    },
    reload(outcome) {
      metrics.configReloads(outcome.applied ? 'applied' : 'refused').inc();
      live.lastReloadSucceeded = outcome.applied;
      live.lastReloadMs = clock.nowMs();
      if (outcome.applied) {
        live.configHash = outcome.configHash;
        logger.write('info', 'reload', 'configuration applied', { config_hash: outcome.configHash });
      } else {
        logger.write('error', 'reload', 'configuration refused; the one before stays', {
          config_hash: live.configHash,
          error: outcome.error,
        });
      }
    },
    keysChanged(keys) {
      live.keys = keys;
      logger.write('info', 'keys_changed', 'keys loaded', { detail: summaryOf(keys) });
    },
    keysFailed: (error) =>
      logger.repeated('error', 'keys_changed', 'keys could not be read; those before stay', 'keys_changed', {
        error: describeError(error),
      }),
    certificate: (listener, notAfterMs) => metrics.certificateExpirySeconds(listener).set(notAfterMs / 1000),
    drain: (phase) => logger.write(phase === 'cut_off' ? 'warn' : 'info', 'drain', DRAIN_MESSAGES[phase]),
    worker: (state, { role, pid, detail }) =>
      logger.write(state === 'crashed' ? 'error' : 'info', 'worker', WORKER_MESSAGES[state], {
        detail: `${role} worker, process ${pid}${detail === undefined ? '' : `: ${detail}`}`,
      }),
    workerRestarted: (reason) => metrics.workerRestarts(reason).inc(),
    audit: ({ actor, action, target, outcome }) =>
      logger.audit('administrative change', {
        actor,
        action,
        outcome,
        target_hash: target === undefined ? undefined : subjectHash(target),
      }),
    async crash(kind, thrown) {
      logger.write('error', 'crash', kind === 'exception' ? 'uncaught exception' : 'unhandled rejection', {
        error: describeError(thrown),
      });
      await logger.flush(FLUSH_MS);
    },

    operation(verb: StoreVerb, result: StoreResult, seconds: number) {
      metrics.storeOperations(verb, result).inc();
      metrics.storeSeconds(verb).observe(seconds);
    },
    state(state: StoreState, reason: StoreFaultReason | 'ok') {
      const changed = live.storeState !== state;
      live.storeState = state;
      for (const each of STORE_STATES) metrics.storeState(each).set(each === state ? 1 : 0);
      if (!changed) return;
      logger.write(state === 'ok' ? 'info' : 'error', 'store_state', 'the state of the store has changed', {
        store: state,
        reason,
        horizon_ms: live.horizonMs,
        offset_ms: live.storeClockOffsetMs,
      });
    },
    breaker: (open) => metrics.storeBreakerOpen.set(open ? 1 : 0),
    clockOffset(offsetMs) {
      live.storeClockOffsetMs = offsetMs;
    },
    horizon(horizonMs, raised) {
      live.horizonMs = horizonMs;
      if (!raised) return;
      metrics.storeHorizonRaises.inc();
      logger.write('warn', 'horizon_raised', 'the store lost state: proofs made before the horizon are refused', {
        horizon_ms: horizonMs,
      });
    },
    connections: (role, count) => metrics.storeConnections(role).set(count),

    observe({ caches, ...readings }) {
      Object.assign(live, readings);
      live.caches = { ...live.caches, ...caches };
    },
    setTracing: (tracing) => tracer?.configure(tracing),
    setLogging(next) {
      logging = next;
      logger.setLevel(next.level);
    },
    overrideLogLevel: (level, ttlMs) => logger.overrideLevel(level, ttlMs),
    async exposition(others) {
      const { registry } = metrics;
      const text =
        others === undefined ? registry.metrics() : expositionOf([await registry.getMetricsAsJSON(), ...others]);
      return { contentType: registry.contentType, text: await text };
    },
    snapshot: () => metrics.registry.getMetricsAsJSON(),
    async close() {
      await closeTracing?.(FLUSH_MS);
      await logger.close(FLUSH_MS);
    },
  };
}

function defined<T>(metrics: ReadonlyMap<string, T>, name: string): T {
  const metric = metrics.get(name);
  if (metric === undefined) throw new RangeError(`no scheme defines the metric ${name}`);
  return metric;
}

const WORKER_MESSAGES = {
  starting: 'a worker is starting',
  up: 'a worker answers',
  draining: 'a worker is draining: its successor has taken its place',
  crashed: 'a worker has ended by itself',
  not_replaced: 'a worker could not be replaced; it goes on',
} as const;
type WorkerState = keyof typeof WORKER_MESSAGES;

const DRAIN_MESSAGES = {
  started: 'draining: no longer ready, calls in flight go on',
  finished: 'drained',
  cut_off: 'drained; calls in flight were cut off',
} as const;

function statusClass(status: number): string {
  if (status === 429) return '429';
  if (status >= 500) return '5xx';
  return status >= 400 ? '4xx' : '2xx';
}

function summaryOf(keys: readonly KeyFact[]): string {
  return KEY_USES.flatMap((use) => {
    const states = keys.filter((key) => key.use === use).map(({ state }) => state);
    return states.length === 0 ? [] : [`${use}: ${states.join(' ')}`];
  }).join('; ');
}
