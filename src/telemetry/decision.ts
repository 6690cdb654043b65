/**
 * The event of one Check: its metrics and its line. Called once per Check on the hot path, so an allow that nobody wants logged
 * costs a few lookups; hashes and texts are made only for a line that is written.
 */
import type { Decision } from '../core/decision.ts';
import { CheckInvalid } from '../core/fault.ts';
import type { AuthRequest, BodyPolicy, HeaderList } from '../core/request.ts';
import { STAGES, type Stage } from '../core/scheme.ts';
import { describeError } from './describe-error.ts';
import { keyHash, pathHash, subjectHash } from './id-hash.ts';
import type { LogFields } from './line.ts';
import type { Logger } from './logger.ts';
import { NONE, type Metrics, type Outcome } from './metrics.ts';
import type { Tracer } from './tracing.ts';

/** What a Check has gone through. `authenticate.ts` hands over its `Course`. */
export interface DecidedCheck {
  readonly decision: Decision;
  /** Empty when the message could not be read. */
  readonly checkId: string;
  /** Undefined when the Check was refused before its route was known. */
  readonly route:
    | { readonly name: string; readonly label: string; readonly shadow: boolean; readonly body: BodyPolicy }
    | undefined;
  /** Undefined when the Check was refused before its request was read. */
  readonly request:
    | (Pick<AuthRequest, 'method' | 'authority' | 'path' | 'body'> & { readonly headers?: Pick<HeaderList, 'all'> })
    | undefined;
  /** Undefined when the message could not be read. */
  readonly arrival:
    | {
        readonly source: string;
        readonly receivedAtMs: number;
        readonly proxyTimeMs: number | null;
        readonly hasStreamId: boolean;
      }
    | undefined;
  /** Milliseconds spent in each stage. */
  readonly stages: Readonly<Partial<Record<Stage, number>>>;
  /** ms, negative when ahead; undefined when no proof was read. */
  readonly proofAgeMs: number | undefined;
  readonly durationMs: number;
}

export interface DecisionLogging {
  /** Which decisions get a line. */
  readonly decisions: 'all' | 'denials' | 'none';
  /** How subjects are written. */
  readonly subjects: 'hash' | 'plain';
}

export interface DecisionParts {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly tracer: Tracer | undefined;
  logging(): DecisionLogging;
  /** Proxy's clock minus ours, ms. */
  proxyClock(offsetMs: number): void;
  /** Something that only a wrong proxy configuration does; `key` says which, for counting. */
  misconfiguredProxy(what: string, key: string, fields: LogFields): void;
  fault(decision: Extract<Decision, { outcome: 'fault' }>): void;
}

export function createDecisionEvent(parts: DecisionParts): (check: DecidedCheck) => void {
  const { metrics, logger, tracer } = parts;

  function count(check: DecidedCheck, outcome: Outcome, code: string): void {
    const { decision, stages, proofAgeMs, arrival, route, request } = check;
    const scheme = decision.scheme ?? NONE;
    metrics.checks(route?.label ?? NONE, scheme, outcome, code).inc();
    metrics.checkSeconds(scheme, outcome).observe(check.durationMs / 1000);
    for (const stage of STAGES) {
      const ms = stages[stage];
      if (ms !== undefined) metrics.stageSeconds(stage).observe(ms / 1000);
    }
    if (proofAgeMs !== undefined && Number.isFinite(proofAgeMs))
      metrics.proofAgeSeconds(scheme).observe(proofAgeMs / 1000);
    if (decision.outcome === 'allow' && decision.identity.retried === true) metrics.retriesRecognised(scheme).inc();
    if (arrival !== undefined) lookAtProxy(arrival);
    // Where the policy is `none`, the proxy is right not to buffer.
    if (request?.body.kind === 'unverifiable' && route !== undefined && route.body !== 'none')
      unverifiable(request.body.why, route);
    if (decision.outcome === 'fault') {
      if (decision.cause instanceof CheckInvalid) invalid(decision.cause.why, decision.cause.message);
      parts.fault(decision);
    }
  }

  function lookAtProxy({ proxyTimeMs, receivedAtMs, hasStreamId }: NonNullable<DecidedCheck['arrival']>): void {
    if (proxyTimeMs !== null) parts.proxyClock(proxyTimeMs - receivedAtMs);
    if (!hasStreamId) invalid('no_stream_id', 'no stream id or time: retries of a Check will be refused as replays');
  }

  function invalid(why: CheckInvalid['why'], what: string): void {
    metrics.checkInvalid(why).inc();
    parts.misconfiguredProxy(what, why, { reason: why });
  }

  function unverifiable(why: string, route: NonNullable<DecidedCheck['route']>): void {
    metrics.bodyUnverifiable(why).inc();
    // A client's too large body, not the proxy's fault.
    if (why === 'partial') return;
    parts.misconfiguredProxy('the proxy does not send whole bodies on this route', `${why} ${route.name}`, {
      route: route.name,
      reason: why,
    });
  }

  function trace(check: DecidedCheck, outcome: Outcome, code: string): string | undefined {
    if (tracer?.isOn() !== true) return undefined;
    const [traceparent, second] = check.request?.headers?.all('traceparent') ?? [];
    return tracer.check({
      traceparent: second === undefined ? traceparent : undefined,
      outcome,
      code,
      scheme: check.decision.scheme ?? NONE,
      route: check.route?.label ?? NONE,
      durationMs: check.durationMs,
      stages: check.stages,
    });
  }

  function log(check: DecidedCheck, outcome: Outcome, code: string, traceId: string | undefined): void {
    const { decision, route, request, arrival } = check;
    const wanted = parts.logging();
    if (wanted.decisions === 'none' || (wanted.decisions === 'denials' && outcome === 'allow')) return;
    if (!logger.isOn('info')) return;
    const fields: { -readonly [Field in keyof LogFields]: LogFields[Field] } = {
      check_id: check.checkId,
      route: route?.name ?? NONE,
      scheme: decision.scheme ?? NONE,
      outcome,
      code,
      duration_us: Math.round(check.durationMs * 1000),
      trace_id: traceId,
    };
    if (decision.outcome === 'allow') {
      const { subject, keyId } = decision.identity;
      fields.key = keyHash(subject, keyId);
      fields.subject = wanted.subjects === 'plain' ? subject : subjectHash(subject);
    } else {
      fields.detail = decision.outcome === 'deny' ? decision.denial.detail : describeFault(decision.cause);
      fields.source = arrival?.source;
      fields.method = request?.method;
      fields.authority = request?.authority;
      if (request !== undefined) fields.path_hash = pathHash(request.path);
      if (logger.isOn('debug')) fields.path = request?.path;
    }
    logger.write('info', 'decision', MESSAGES[decision.outcome], fields);
  }

  return (check) => {
    const { decision } = check;
    const isShadow = check.route?.shadow === true && decision.outcome !== 'allow';
    const outcome: Outcome = isShadow
      ? decision.outcome === 'deny'
        ? 'shadow_deny'
        : 'shadow_fault'
      : decision.outcome;
    const code = codeOf(decision);
    count(check, outcome, code);
    log(check, outcome, code, trace(check, outcome, code));
  };
}

const MESSAGES = { allow: 'check allowed', deny: 'check refused', fault: 'check could not be judged' } as const;

function codeOf(decision: Decision): string {
  if (decision.outcome === 'allow') return 'ok';
  return decision.outcome === 'deny' ? decision.denial.code : decision.reason;
}

/** Without frames: the line of the fault itself has them. */
function describeFault(cause: unknown): string {
  return describeError(cause).split('\n', 1)[0] ?? '';
}
