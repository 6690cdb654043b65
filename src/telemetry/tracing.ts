/**
 * Spans of Checks and issuer calls. They are made when all is over, from what the event knows then, so that a Check which is not
 * sampled costs one look at a header. The trace is that of the checked request, not of the gRPC call. Sending them is `otlp.ts`.
 */
import type { Clock } from '../core/clock.ts';
import { STAGES, type Stage } from '../core/scheme.ts';
import { toHex } from '../encoding/bytes.ts';

/** As OTLP's JSON has it. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue: string } }[];
  readonly status: { readonly code: number };
}

export interface TracedCheck {
  /** Of the checked request, as it came. */
  readonly traceparent: string | undefined;
  readonly outcome: string;
  readonly scheme: string;
  readonly route: string;
  readonly code: string;
  readonly durationMs: number;
  /** Milliseconds spent in each stage. */
  readonly stages: Readonly<Partial<Record<Stage, number>>>;
}

export interface TracedCall {
  readonly traceparent: string | undefined;
  readonly endpoint: string;
  readonly scheme: string;
  readonly status: number;
  readonly durationMs: number;
}

export interface Tracing {
  readonly enabled: boolean;
  /** Share of the traces begun here; of those that come along, their own flag says. */
  readonly sampleRatio: number;
}

export interface Tracer {
  configure(tracing: Tracing): void;
  isOn(): boolean;
  /** It has just been decided. @returns the id of its trace, undefined when it is not sampled. */
  check(check: TracedCheck): string | undefined;
  /** It has just been answered. */
  call(call: TracedCall): void;
}

export interface TracerParts {
  readonly clock: Clock;
  random(bytes: number): Uint8Array;
  /** Never throws. */
  send(spans: readonly Span[]): void;
}

const SERVER = 2;
const INTERNAL = 1;
const STATUS = { unset: 0, error: 2 } as const;
/** Stages that are over when the decision falls; the rest is not the scheme's. */
const JUDGING: readonly Stage[] = STAGES.filter((stage) => stage !== 'decode' && stage !== 'encode');

export function createTracer({ clock, random, send }: TracerParts): Tracer {
  let tracing: Tracing = { enabled: false, sampleRatio: 0 };
  const id = (bytes: number) => toHex(random(bytes));

  function traceOf(traceparent: string | undefined): { traceId: string; parentSpanId?: string } | undefined {
    if (!tracing.enabled) return undefined;
    const parent = parseTraceparent(traceparent);
    if (parent !== undefined) return parent.isSampled ? parent : undefined;
    return Math.random() < tracing.sampleRatio ? { traceId: id(16) } : undefined;
  }

  return {
    configure(next) {
      tracing = next;
    },
    isOn: () => tracing.enabled,
    check({ traceparent, outcome, scheme, route, code, durationMs, stages }) {
      const trace = traceOf(traceparent);
      if (trace === undefined) return undefined;
      const endMs = clock.nowMs();
      const whole: Span = {
        traceId: trace.traceId,
        spanId: id(8),
        ...(trace.parentSpanId !== undefined && { parentSpanId: trace.parentSpanId }),
        name: 'ext_authz.check',
        kind: SERVER,
        startTimeUnixNano: nanos(endMs - durationMs),
        endTimeUnixNano: nanos(endMs),
        attributes: attributes({
          'ext_authz.decision': outcome,
          'ext_authz.auth_type': scheme,
          'countersign.route': route,
          'countersign.code': code,
        }),
        status: { code: outcome === 'fault' ? STATUS.error : STATUS.unset },
      };
      let atMs = endMs - durationMs + (stages.decode ?? 0);
      const parts = JUDGING.flatMap((stage): Span[] => {
        const ms = stages[stage];
        if (ms === undefined) return [];
        const startMs = atMs;
        atMs += ms;
        return [
          {
            traceId: whole.traceId,
            spanId: id(8),
            parentSpanId: whole.spanId,
            name: `countersign.${stage}`,
            kind: INTERNAL,
            startTimeUnixNano: nanos(startMs),
            endTimeUnixNano: nanos(atMs),
            attributes: [],
            status: { code: STATUS.unset },
          },
        ];
      });
      send([whole, ...parts]);
      return trace.traceId;
    },
    call({ traceparent, endpoint, scheme, status, durationMs }) {
      const trace = traceOf(traceparent);
      if (trace === undefined) return;
      const endMs = clock.nowMs();
      send([
        {
          traceId: trace.traceId,
          spanId: id(8),
          ...(trace.parentSpanId !== undefined && { parentSpanId: trace.parentSpanId }),
          name: `issuer.${endpoint}`,
          kind: SERVER,
          startTimeUnixNano: nanos(endMs - durationMs),
          endTimeUnixNano: nanos(endMs),
          attributes: attributes({ 'countersign.scheme': scheme, 'http.response.status_code': String(status) }),
          status: { code: status >= 500 ? STATUS.error : STATUS.unset },
        },
      ]);
    },
  };
}

/** W3C Trace Context, version 00 and what may come after it. @returns undefined for anything that is none. */
function parseTraceparent(
  text: string | undefined,
): { traceId: string; parentSpanId: string; isSampled: boolean } | undefined {
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.{0,256})?$/.exec(text ?? '');
  const [, version, traceId = '', parentSpanId = '', flags = '', more] = match ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(parentSpanId)) return undefined;
  return { traceId, parentSpanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

function nanos(ms: number): string {
  return String(BigInt(Math.round(ms * 1000)) * 1000n);
}

function attributes(values: Readonly<Record<string, string>>): Span['attributes'] {
  return Object.entries(values).map(([key, stringValue]) => ({ key, value: { stringValue } }));
}
