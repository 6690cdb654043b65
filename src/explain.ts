/**
 * Judges a kept Check once more, as the service would have at its time, and tells each step. Nothing is consumed: the store is only
 * read, and a claim says what it would have found. Nothing secret is told: details of refusals are constant phrases.
 */
import { openSync } from 'node:fs';
import { devNull } from 'node:os';
import type { Arrival, Outcome } from './authenticate.ts';
import type { Loaded } from './config/load.ts';
import type { Clock } from './core/clock.ts';
import type { Store } from './core/store.ts';
import { createSignatures } from './crypto/signatures.ts';
import { decodeCheck } from './envoy/decode-request.ts';
import { buildGraph } from './graph.ts';
import { schemes } from './schemes/index.ts';
import { createEvents } from './telemetry/events.ts';
import { createLogger } from './telemetry/logger.ts';
import { createMetrics } from './telemetry/metrics.ts';

export { readCapture } from './envoy/capture.ts';

export interface Explanation {
  /** `allow`, the code of a refusal, or the reason of a fault. */
  readonly verdict: string;
  readonly steps: readonly { readonly step: string; readonly found: string }[];
}

export interface ExplainOptions {
  readonly loaded: Loaded;
  /** Bytes of a `CheckRequest`. */
  readonly message: Uint8Array;
  /** When it is judged, unix ms; default: when the proxy received the request. */
  readonly atMs?: number | undefined;
  readonly store: Store;
  readonly clock: Clock;
}

const BUDGET_MS = 10_000;

/** @throws what keeps a service from starting with this configuration. */
export async function explain({ loaded, message, atMs, store, clock }: ExplainOptions): Promise<Explanation> {
  const logger = createLogger({ clock, level: 'error', role: 'explain', version: '', fd: openSync(devNull, 'w') });
  const metrics = createMetrics({ schemes, build: { version: '', commit: '', node: '' }, role: 'explain' });
  const events = createEvents({ metrics, logger, clock, logging: loaded.config.log });
  const graph = await buildGraph({
    loaded,
    previous: undefined,
    store: onlyReading(store),
    signatures: createSignatures({ mode: 'sync' }),
    events,
    adminFacts: NO_ADMIN,
  });
  try {
    let arrival: Arrival | undefined;
    const open = () => {
      const { proxyTimeMs } = decodeCheck(message, 0, loaded.config.envoy);
      arrival = decodeCheck(message, atMs ?? proxyTimeMs ?? clock.nowMs(), loaded.config.envoy);
      return arrival;
    };
    const outcome = await graph.authenticate(open, { budgetMs: BUDGET_MS, cancelled: { aborted: false } });
    return { verdict: verdictOf(outcome), steps: [...arrivalSteps(message, arrival), ...stepsOf(outcome)] };
  } finally {
    graph.close();
    await events.close();
  }
}

function verdictOf({ decision }: Outcome): string {
  if (decision.outcome === 'allow') return 'allow';
  return decision.outcome === 'deny' ? decision.denial.code : decision.reason;
}

function arrivalSteps(message: Uint8Array, arrival: Arrival | undefined): Explanation['steps'] {
  if (arrival === undefined) return [{ step: 'check', found: `${message.length} bytes that are no Check` }];
  const { checkId, receivedAtMs, source } = arrival;
  const at = new Date(receivedAtMs).toISOString();
  return [{ step: 'check', found: `${message.length} bytes, id ${checkId}, from ${source}, judged as of ${at}` }];
}

function stepsOf({ route, request, decision }: Outcome): Explanation['steps'] {
  const steps: { step: string; found: string }[] = [];
  if (route !== undefined) steps.push({ step: 'route', found: `${route.name}, body policy ${route.body}` });
  if (request !== undefined) {
    const { method, scheme, authority, path, query, body } = request;
    // A query may hold what nobody should read.
    const asked = `${method} ${scheme}://${authority}${path}${query === null ? '' : '?...'}`;
    steps.push({ step: 'request', found: asked }, { step: 'body', found: bodyText(body) });
    for (const { scheme: one } of route?.schemes ?? []) {
      if (one.name === decision.scheme) break;
      steps.push({ step: `scheme ${one.name}`, found: 'credentials_missing: none of its credentials' });
    }
  }
  const step = decision.scheme === undefined ? 'verdict' : `scheme ${decision.scheme}`;
  return [...steps, { step, found: outcomeText(decision) }];
}

function bodyText(body: NonNullable<Outcome['request']>['body']): string {
  if (body.kind === 'complete') return `complete, ${body.bytes.length} bytes`;
  return body.kind === 'absent' ? 'absent' : `unverifiable: ${body.why}`;
}

function outcomeText(decision: Outcome['decision']): string {
  if (decision.outcome === 'allow') return `allow, subject ${decision.identity.subject}`;
  if (decision.outcome === 'deny') return `${decision.denial.code}: ${decision.denial.detail}`;
  return `fault ${decision.reason}: ${Error.isError(decision.cause) ? decision.cause.message : 'unknown'}`;
}

/** Reads are the store's own; writes say what they would have found. */
function onlyReading(store: Store): Store {
  return {
    get: (key) => store.get(key),
    put: async () => undefined,
    async claim(key, owner) {
      const found = await store.get(key);
      return found === null ? 'claimed' : found === owner ? 'mine' : 'taken';
    },
    take: (key) => store.get(key),
    swap: async (key, expected) => (await store.get(key)) === expected,
    delete: async () => undefined,
    horizonMs: () => store.horizonMs(),
    state: () => store.state(),
    provenOnce: () => store.provenOnce(),
    close: () => store.close(),
  };
}

const NO_ADMIN: Parameters<typeof buildGraph>[0]['adminFacts'] = {
  exposition: () => Promise.resolve({ contentType: '', text: '' }),
  isAlive: () => true,
  readiness: () => ({}),
  status: () => ({}),
  keys: () => ({}),
  reload: () => Promise.resolve(undefined),
  replaceWorkers: () => undefined,
  setLogLevel: () => undefined,
  audit: () => Promise.resolve(),
};
