/**
 * Every metric there is, with its labels and their closed sets. Nothing a client sends becomes a label.
 * How children are kept cheap and few is `series.ts`; when they count, `events.ts`.
 */
import { Registry } from 'prom-client';
import { DENIAL_CODES } from '../core/decision.ts';
import { CHECK_INVALID_REASONS, FAULT_REASONS, STORE_FAULT_REASONS } from '../core/fault.ts';
import { BUCKETS } from '../core/limits.ts';
import { UNVERIFIABLE_REASONS } from '../core/request.ts';
import { STAGES, type CounterDefinition, type HistogramDefinition } from '../core/scheme.ts';
import { STORE_STATES, STORE_VERBS } from '../core/store.ts';
import { registerProcessReadings } from './process-readings.ts';
import type { Distribution } from './histogram.ts';
import { createFamilies, type Count, type Families, type Family, type Level } from './series.ts';

const PREFIX = 'countersign_';

/** Seconds. A Check takes tens of microseconds: the usual floor of 5 ms would show nothing. */
const LATENCY_SECONDS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
/** Seconds; negative when the client's clock is ahead. */
const AGE_SECONDS = [-30, -5, -1, 0, 1, 5, 15, 30, 60, 120, 300];

export const OUTCOMES = ['allow', 'deny', 'fault', 'shadow_deny', 'shadow_fault'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export const INSECURE_SETTINGS = [
  'plaintextCheck',
  'plaintextRedis',
  'inlineSecrets',
  'allowShadow',
  'anyOrigin',
  'freshMemoryStore',
  'wideAdmin',
] as const;
export type InsecureSetting = (typeof INSECURE_SETTINGS)[number];

const RESTART_REASONS = ['crash', 'replace', 'oom'] as const;
export type RestartReason = (typeof RESTART_REASONS)[number];

/** Absent route or scheme of a Check, and scheme of what belongs to none. */
export const NONE = 'none';

const CODES = ['ok', ...Object.keys(DENIAL_CODES), ...FAULT_REASONS];
const STORE_RESULTS = ['ok', 'claimed', 'mine', 'taken', 'differs', ...STORE_FAULT_REASONS];

export interface SchemeMetrics {
  readonly name: string;
  readonly counters: Readonly<Record<string, CounterDefinition>>;
  readonly histograms?: Readonly<Record<string, HistogramDefinition>>;
  readonly gauges?: Readonly<Record<string, string>>;
}

export interface MetricsOptions {
  /** Every scheme that may ever be configured. */
  readonly schemes: readonly SchemeMetrics[];
  readonly build: { readonly version: string; readonly commit: string; readonly node: string };
  readonly role: string;
  /** `metrics.grpcCompat`. Default: false. */
  readonly grpcCompat?: boolean;
}

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics(options: MetricsOptions) {
  const registry = new Registry();
  const unprefixed = createFamilies(registry);
  registerProcessReadings(unprefixed);
  const families = prefixed(unprefixed);
  const { counter, gauge, reading, table, histogram } = families;
  const scheme = [...options.schemes.map(({ name }) => name), NONE];

  const metrics = {
    registry,
    role: options.role,
    reading,
    table,

    checks: counter('checks_total', 'Checks decided.', { route: null, scheme, outcome: OUTCOMES, code: CODES }),
    checkSeconds: histogram(
      'check_duration_seconds',
      'From the first byte of a Check to its decision.',
      { scheme, outcome: OUTCOMES },
      LATENCY_SECONDS,
    ),
    stageSeconds: histogram('check_stage_seconds', 'Parts of a Check.', { stage: STAGES }, LATENCY_SECONDS, 'none'),
    faults: counter('faults_total', 'Requests that could not be judged: answered 503.', { reason: FAULT_REASONS }),
    shed: counter('shed_total', 'Checks turned away unjudged.', { reason: ['delay', 'in_flight'] }),
    checkInvalid: counter('check_invalid_total', 'Checks of a shape that the proxy should not send.', {
      reason: CHECK_INVALID_REASONS,
    }),
    bodyUnverifiable: counter('body_unverifiable_total', 'Bodies that could not be proven whole.', {
      why: UNVERIFIABLE_REASONS,
    }),
    encodeAssertionFailures: counter(
      'encode_assertion_failures_total',
      'Answers replaced because their bytes were not what was decided.',
      {},
    )(),
    retriesRecognised: counter('retries_recognised_total', 'Repeated Checks of one request, passed again.', { scheme }),
    rateLimited: counter('rate_limited_total', 'Refusals by a bucket.', { bucket: BUCKETS }),
    proofAgeSeconds: histogram('proof_age_seconds', 'Age of proofs by their timestamp.', { scheme }, AGE_SECONDS),

    storeOperations: counter('store_operations_total', 'Verbs of the store.', {
      verb: STORE_VERBS,
      result: STORE_RESULTS,
    }),
    storeSeconds: histogram('store_operation_seconds', 'Verbs of the store.', { verb: STORE_VERBS }, LATENCY_SECONDS),
    storeState: gauge('store_state', '1 for the present state.', { state: STORE_STATES }, 'max'),
    storeBreakerOpen: gauge('store_breaker_open', '1 while the store is not asked.', {}, 'max')(),
    storeHorizonRaises: counter(
      'store_horizon_raises_total',
      'Times that the store was found to have lost state.',
      {},
    )(),
    storeConnections: gauge('store_connections', 'Connections to the store.', {
      role: ['request', 'durable', 'sentinel'],
    }),

    issuerRequests: counter('issuer_requests_total', 'Requests to the issuer.', {
      scheme,
      endpoint: null,
      status: ['2xx', '4xx', '429', '5xx'],
    }),
    issuerSeconds: histogram('issuer_request_duration_seconds', 'Requests to the issuer.', { scheme }, LATENCY_SECONDS),

    certificateExpirySeconds: gauge(
      'tls_certificate_expiry_timestamp_seconds',
      'When the certificate ends, unix time.',
      { listener: ['check', 'issuer'] },
      'min',
    ),
    cacheLookups: counter('cache_lookups_total', 'Lookups in a cache.', { cache: null, result: ['hit', 'miss'] }),

    workerRestarts: counter('worker_restarts_total', 'Workers that another took the place of.', {
      reason: RESTART_REASONS,
    }),
    configReloads: counter('config_reloads_total', 'Reloads of the configuration.', { result: ['applied', 'refused'] }),
  };

  const grpc = options.grpcCompat === true ? createGrpcMetrics(unprefixed) : undefined;
  const { version, commit, node } = options.build;
  table('build_info', 'Always 1.', ['version', 'commit', 'node'], () => [[[version, commit, node], 1]], 'first');
  for (const stage of STAGES) metrics.stageSeconds(stage);
  return { ...metrics, grpc, ofSchemes: registerSchemeMetrics(families, options.schemes) };
}

/** What a call of gRPC can end with here, as its dashboards spell it. */
const GRPC_CODES = ['OK', 'Canceled', 'NotFound', 'ResourceExhausted', 'Unimplemented', 'Internal'] as const;
export type GrpcCode = (typeof GRPC_CODES)[number];

/** The names of other gRPC servers, without our prefix. */
function createGrpcMetrics({ counter, histogram }: Families) {
  const handled = counter('grpc_server_handled_total', 'Calls that have ended.', {
    grpc_method: ['Check'],
    grpc_code: GRPC_CODES,
  });
  const seconds = histogram(
    'grpc_server_handling_seconds',
    'Calls, from their headers to their end.',
    { grpc_method: ['Check'] },
    LATENCY_SECONDS,
    'none',
  )('Check');
  return { handled: (code: GrpcCode) => handled('Check', code), seconds };
}

function prefixed(families: Families): Families {
  return {
    counter: (name, ...rest) => families.counter(PREFIX + name, ...rest),
    gauge: (name, ...rest) => families.gauge(PREFIX + name, ...rest),
    reading: (name, ...rest) => families.reading(PREFIX + name, ...rest),
    table: (name, ...rest) => families.table(PREFIX + name, ...rest),
    histogram: (name, ...rest) => families.histogram(PREFIX + name, ...rest),
  };
}

type ByLabels<Child> = (labels: Readonly<Record<string, string>>) => Child;

/** By the metric's name. */
export interface OfSchemes {
  readonly counters: ReadonlyMap<string, ByLabels<Count>>;
  readonly histograms: ReadonlyMap<string, ByLabels<Distribution>>;
  readonly gauges: ReadonlyMap<string, Level>;
}

function registerSchemeMetrics(families: Families, schemes: readonly SchemeMetrics[]): OfSchemes {
  const counters = new Map<string, ByLabels<Count>>();
  const histograms = new Map<string, ByLabels<Distribution>>();
  const gauges = new Map<string, Level>();
  for (const scheme of schemes) {
    for (const [name, { help, labels }] of Object.entries(scheme.counters))
      counters.set(name, byLabels(labels, families.counter(name, help, labels)));
    for (const [name, { help, labels, buckets }] of Object.entries(scheme.histograms ?? {}))
      histograms.set(name, byLabels(labels, families.histogram(name, help, labels, buckets)));
    for (const [name, help] of Object.entries(scheme.gauges ?? {})) gauges.set(name, families.gauge(name, help, {})());
  }
  return { counters, histograms, gauges };
}

function byLabels<Child>(labels: CounterDefinition['labels'], family: Family<Child>): ByLabels<Child> {
  const names = Object.keys(labels);
  return (given) => family(...names.map((label) => given[label] ?? NONE));
}
