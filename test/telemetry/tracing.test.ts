/** Traces: whose they are, what they tell, what they never tell, and that a collector gets them, one that is away costs nothing. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { StoreFault } from '../../src/core/fault.ts';
import { createEvents } from '../../src/telemetry/events.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createExporter } from '../../src/telemetry/otlp.ts';
import { createTracer, type Span, type Tracing } from '../../src/telemetry/tracing.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { allowed, failed, refused } from './checks.ts';
import { createLogFile, NOW_MS } from './rig.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const SAMPLED = `00-${TRACE}-${PARENT}-01`;
const REQUEST = {
  method: 'POST',
  authority: 'api.example.com',
  path: '/secret-path',
  body: { kind: 'absent' },
} as const;

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

function rig(tracing: Tracing) {
  const clock = createFakeClock(NOW_MS);
  const file = createLogFile();
  const logger = createLogger({ clock, level: 'info', role: 'single', version: '1.2.3', fd: file.fd });
  const spans: Span[] = [];
  let drawn = 0;
  const random = (bytes: number) => new Uint8Array(bytes).fill((drawn += 1));
  const tracer = createTracer({ clock, random, send: (some) => spans.push(...some) });
  const build = { version: '1.2.3', commit: 'c', node: 'v26' };
  const metrics = createMetrics({ schemes: [], build, role: 'single', grpcCompat: false });
  const events = createEvents({ metrics, logger, clock, logging: { decisions: 'all', subjects: 'plain' }, tracer });
  events.setTracing(tracing);
  closing.push(
    () => file.remove(),
    () => events.close(),
  );
  const lines = async () => {
    await logger.flush(1000);
    return file.lines();
  };
  const tell = (...traceparents: string[]) =>
    events.decision(allowed({ subject: 'alice', request: { ...REQUEST, headers: { all: () => traceparents } } }));
  return { spans, events, lines, tell };
}

describe('a Check', () => {
  test("is a span of the request's own trace, its stages are spans below, and its line names the trace", async () => {
    const { spans, tell, lines } = rig({ enabled: true, sampleRatio: 0 });
    tell(SAMPLED);
    const [whole, ...parts] = spans;
    expect(whole).toMatchObject({
      traceId: TRACE,
      parentSpanId: PARENT,
      name: 'ext_authz.check',
      startTimeUnixNano: String(BigInt(NOW_MS) * 1_000_000n - 500_000n),
      endTimeUnixNano: String(BigInt(NOW_MS) * 1_000_000n),
      status: { code: 0 },
    });
    expect(Object.fromEntries(whole?.attributes.map(({ key, value }) => [key, value.stringValue]) ?? [])).toEqual({
      'ext_authz.decision': 'allow',
      'ext_authz.auth_type': 'challenge-signature',
      'countersign.route': 'api',
      'countersign.code': 'ok',
    });
    expect(parts.map(({ name }) => name)).toEqual(['countersign.parse', 'countersign.verify', 'countersign.store']);
    expect(parts.every(({ parentSpanId, traceId }) => parentSpanId === whole?.spanId && traceId === TRACE)).toBe(true);
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
    expect((await lines()).at(-1)).toMatchObject({ event: 'decision', trace_id: TRACE });
  });

  test('tells no subject, path, header or address', () => {
    const { spans, events, tell } = rig({ enabled: true, sampleRatio: 1 });
    tell(SAMPLED);
    events.decision(
      refused('signature_invalid', 'detail', { request: { ...REQUEST, headers: { all: () => [SAMPLED] } } }),
    );
    expect(JSON.stringify(spans)).not.toMatch(/alice|secret-path|192\.0\.2|api\.example|detail|k1/);
  });

  test('that could not be judged is an error', () => {
    const { spans, events } = rig({ enabled: true, sampleRatio: 1 });
    events.decision(failed('down', new StoreFault('down', 'gone')));
    expect(spans[0]).toMatchObject({ status: { code: 2 } });
    expect(spans[0]?.parentSpanId).toBeUndefined();
  });

  test('is not traced when the request says so, and by the ratio when it says nothing or nonsense', () => {
    const unsampled = `00-${TRACE}-${PARENT}-00`;
    const nonsense = [
      '',
      'x',
      `00-${'0'.repeat(32)}-${PARENT}-01`,
      `00-${TRACE}-${'0'.repeat(16)}-01`,
      `ff-${TRACE}-${PARENT}-01`,
      `00-${TRACE}-${PARENT}-01-x`,
      SAMPLED.toUpperCase(),
    ];
    const all = rig({ enabled: true, sampleRatio: 1 });
    all.tell(unsampled);
    expect(all.spans).toEqual([]);
    for (const text of nonsense) all.tell(text);
    all.tell(SAMPLED, SAMPLED);
    const wholes = all.spans.filter(({ name }) => name === 'ext_authz.check');
    expect(wholes).toHaveLength(nonsense.length + 1);
    expect(wholes.some(({ traceId }) => traceId === TRACE)).toBe(false);
    const none = rig({ enabled: true, sampleRatio: 0 });
    for (const text of nonsense) none.tell(text);
    expect(none.spans).toEqual([]);
  });

  test('is not traced when tracing is off, whatever the request says; a reload turns it on', () => {
    const { spans, events, tell } = rig({ enabled: false, sampleRatio: 1 });
    tell(SAMPLED);
    expect(spans).toEqual([]);
    events.setTracing({ enabled: true, sampleRatio: 0 });
    tell(SAMPLED);
    expect(spans).not.toEqual([]);
  });

  test('with any text for a traceparent is decided, and its trace id is 32 hex digits', () => {
    const { spans, tell } = rig({ enabled: true, sampleRatio: 1 });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.stringMatching(/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.*$/),
        ),
        (text) => {
          tell(text);
        },
      ),
    );
    expect(spans.every(({ traceId }) => /^[0-9a-f]{32}$/.test(traceId))).toBe(true);
  });
});

test('a call of the issuer is a span of its own, an error when it was answered 5xx', () => {
  const { spans, events } = rig({ enabled: true, sampleRatio: 0 });
  const call = { scheme: 'challenge-signature', endpoint: 'challenge', durationMs: 1 };
  events.issuerRequest({ ...call, status: 200, traceparent: SAMPLED });
  events.issuerRequest({ ...call, status: 503, traceparent: SAMPLED });
  events.issuerRequest({ ...call, status: 200 });
  expect(spans.map(({ name, status, traceId }) => [name, status.code, traceId])).toEqual([
    ['issuer.challenge', 0, TRACE],
    ['issuer.challenge', 2, TRACE],
  ]);
});

describe('a collector', () => {
  const span: Span = {
    traceId: TRACE,
    spanId: PARENT,
    name: 'ext_authz.check',
    kind: 2,
    startTimeUnixNano: '1',
    endTimeUnixNano: '2',
    attributes: [],
    status: { code: 0 },
  };

  interface Received {
    readonly path: string | undefined;
    readonly headers: IncomingHttpHeaders;
    readonly resource: { readonly attributes: readonly { key: string; value: { stringValue: string } }[] };
    readonly spans: readonly Span[];
  }

  async function collector() {
    const seen: Received[] = [];
    const server = createServer((request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      request.on('end', () => {
        const [{ resource, scopeSpans }] = (
          JSON.parse(text) as { resourceSpans: [{ resource: Received['resource']; scopeSpans: [{ spans: Span[] }] }] }
        ).resourceSpans;
        seen.push({ path: request.url, headers: request.headers, resource, spans: scopeSpans[0].spans });
        response.end('{}');
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => server.close());
    return { seen, port: (server.address() as { port: number }).port };
  }

  test('gets spans as OTLP JSON, with the name and the headers that the variables say', async () => {
    const { seen, port } = await collector();
    const exporter = createExporter(
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}/`,
        OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20t, x-b = 2',
        OTEL_SERVICE_NAME: 'gate',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test,service.name=other',
      },
      '1.2.3',
    );
    exporter.send([span, span]);
    await exporter.close(2000);
    expect(seen).toHaveLength(1);
    expect(seen[0]?.path).toBe('/v1/traces');
    expect(seen[0]?.headers).toMatchObject({
      authorization: 'Bearer t',
      'x-b': '2',
      'content-type': 'application/json',
    });
    expect(seen[0]?.spans).toEqual([span, span]);
    const named = seen[0]?.resource.attributes.map(({ key, value }) => [key, value.stringValue]) ?? [];
    expect(Object.fromEntries(named)).toEqual({
      'service.name': 'gate',
      'service.version': '1.2.3',
      'deployment.environment': 'test',
    });
  });

  test('that is away loses what does not fit, and neither throws nor holds up the end', async () => {
    const exporter = createExporter({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:1/v1/traces' }, '1.2.3');
    for (let count = 0; count < 5000; count += 1) exporter.send([span]);
    await exporter.close(2000);
    await createExporter({ OTEL_EXPORTER_OTLP_ENDPOINT: 'no url' }, '1.2.3').close(10);
  });

  test('gets no more than 2048 spans that waited together', async () => {
    const { seen, port } = await collector();
    const exporter = createExporter({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` }, '1.2.3');
    for (let count = 0; count < 5000; count += 1) exporter.send([span]);
    await exporter.close(5000);
    const counts = seen.map(({ spans }) => spans.length);
    expect(counts).toEqual([512, 512, 512, 512]);
  });

  test('that takes requests and never answers holds one batch besides those that wait', async () => {
    const held: ServerResponse[] = [];
    let spans = 0;
    const server = createServer((request, response) => {
      request.setEncoding('utf8').on('data', (text: string) => (spans += text.split('"spanId"').length - 1));
      if (held.length === 0) held.push(response);
      else request.on('end', () => response.end('{}'));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => server.close());
    const { port } = server.address() as { port: number };
    const exporter = createExporter({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` }, '1.2.3');
    for (let round = 0; round < 4; round += 1) {
      for (let count = 0; count < 3000; count += 1) exporter.send([span]);
      await sleep(1000); // Its clock for sending ticks meanwhile.
    }
    held[0]?.end('{}');
    await exporter.close(5000);
    expect(spans).toBeLessThanOrEqual(2048 + 512);
  }, 20_000);
});
