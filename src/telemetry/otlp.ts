/**
 * Sends spans to an OpenTelemetry collector: OTLP over HTTP, as JSON, which every collector takes. Where to is said by the `OTEL_*`
 * variables of the OpenTelemetry specification. Nobody waits for it: what can't be sent in time is dropped.
 */
import type { Span } from './tracing.ts';

export interface Exporter {
  send(spans: readonly Span[]): void;
  /** Sends what is left, at most so long. */
  close(withinMs: number): Promise<void>;
}

export type OtelEnvironment = Readonly<Record<string, string | undefined>>;

const FLUSH_MS = 1000;
const SEND_MS = 5000;
/** Some requests of a second; a collector that is away must not cost memory. */
const MAX_WAITING = 2048;
const MAX_BATCH = 512;
const DEFAULT_ENDPOINT = 'http://localhost:4318';

/** @param version of countersign. */
export function createExporter(env: OtelEnvironment, version: string): Exporter {
  const url = endpointOf(env);
  const headers = { ...pairs(env['OTEL_EXPORTER_OTLP_HEADERS']), 'content-type': 'application/json' };
  const resource = {
    attributes: attributes({
      'service.name': 'countersign',
      'service.version': version,
      ...pairs(env['OTEL_RESOURCE_ATTRIBUTES']),
      ...(env['OTEL_SERVICE_NAME'] !== undefined && { 'service.name': env['OTEL_SERVICE_NAME'] }),
    }),
  };
  const waiting: Span[] = [];
  let sending: Promise<void> | undefined;

  async function post(spans: readonly Span[]): Promise<void> {
    const body = JSON.stringify({
      resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'countersign' }, spans }] }],
    });
    try {
      const answer = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(SEND_MS) });
      await answer.body?.cancel();
    } catch {
      // Dropped: a trace is never worth a second try, let alone a Check.
    }
  }

  async function sendWaiting(): Promise<void> {
    while (waiting.length > 0) await post(waiting.splice(0, MAX_BATCH));
  }

  /** One request at a time: batches that queue up behind a collector that hangs would have no end. */
  function flush(): Promise<void> {
    sending ??= sendWaiting().finally(() => {
      sending = undefined;
    });
    return sending;
  }

  const timer = setInterval(() => void flush(), FLUSH_MS).unref();
  return {
    send(spans) {
      if (waiting.length + spans.length <= MAX_WAITING) waiting.push(...spans);
    },
    async close(withinMs) {
      clearInterval(timer);
      const late = Promise.withResolvers<void>();
      const cut = setTimeout(late.resolve, withinMs);
      await Promise.race([flush(), late.promise]);
      clearTimeout(cut);
    },
  };
}

function endpointOf(env: OtelEnvironment): string {
  const { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: whole, OTEL_EXPORTER_OTLP_ENDPOINT: base } = env;
  if (whole !== undefined && whole !== '') return whole;
  return `${(base === undefined || base === '' ? DEFAULT_ENDPOINT : base).replace(/\/$/, '')}/v1/traces`;
}

/** `key=value,key=value`, values percent-encoded. */
function pairs(text = ''): Record<string, string> {
  return Object.fromEntries(
    text
      .split(',')
      .map((pair) => /^\s*([^=\s]+)\s*=(.*)$/.exec(pair))
      .flatMap((match) => (match?.[1] === undefined ? [] : [[match[1], decode((match[2] ?? '').trim())] as const])),
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function attributes(values: Readonly<Record<string, string>>): object[] {
  return Object.entries(values).map(([key, stringValue]) => ({ key, value: { stringValue } }));
}
