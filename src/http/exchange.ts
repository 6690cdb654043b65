/** One request to issuer or admin, from its path to its answer: the form is judged here, what a call means is its endpoint's. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import * as v from 'valibot';
import type { Clock } from '../core/clock.ts';
import { deny, type Header } from '../core/decision.ts';
import type { FaultReason } from '../core/fault.ts';
import { HttpProblem } from '../core/http.ts';
import type { Answer, EndpointCall } from '../core/scheme.ts';
import { sourceOf } from '../core/source.ts';
import { encodeBase64url } from '../encoding/base64url.ts';
import { parseStrictJson } from '../encoding/strict-json.ts';
import { MethodRefused, problem, refusalOf, write } from './answers.ts';
import { readBody } from './body.ts';
import type { Mounted, PathMap } from './mounted.ts';

export interface ExchangeOptions {
  readonly requestTimeoutMs: number;
  /** Asked at each request, so that a reload swaps them. */
  mounted(): PathMap;
  bodyBytes(): number;
  trustedHops(): number;
  readonly clock: Clock;
  random(bytes: number): Uint8Array;
  /** Before it is told whether the path exists, let alone the body read. @throws {HttpProblem} */
  authorize?(path: string, header: (name: string) => string | undefined): void | Promise<void>;
  /** Once the body is read. @param subject of the request, when its endpoint names one. @throws {Denial} `rate_limited` */
  charge?(mounted: Mounted, source: string, subject: string | undefined): void;
  /** In place of `charge` for a body that can't be read, which no endpoint sees to charge for. @throws {Denial} `rate_limited` */
  chargeUnreadable?(mounted: Mounted, source: string): void;
  /** Headers of every answer, by the request's `origin`; a preflight is answered with them alone. */
  crossOrigin?(origin: string): readonly Header[] | undefined;
  readonly events: HttpEvents;
}

export interface HttpEvents {
  /** @param request.endpoint as the endpoint names itself: a closed set, and without the prefix. */
  request(request: {
    scheme?: string;
    endpoint: string;
    status: number;
    durationMs: number;
    /** As the client sent it. */
    traceparent: string | undefined;
  }): void;
  fault(reason: FaultReason, cause: unknown): void;
}

/** A request as it came, from a socket or from another process. */
export interface Received {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** Undefined when absent; a header that occurs twice is nobody's. */
  header(name: string): string | undefined;
  /** @throws {HttpProblem} `too_large`. */
  body(maxBytes: number): Promise<Uint8Array>;
  /** Of the connection. */
  readonly address: string;
  readonly forwardedFor: readonly string[];
}

const OWNER_BYTES = 16;

/** @throws what writing a refusal throws. */
export function respond(options: ExchangeOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const received: Received = {
    method: request.method ?? '',
    target: request.url ?? '/',
    header: (name) => singleHeader(request, name),
    body: (maxBytes) => readBody(request, maxBytes),
    address: request.socket.remoteAddress ?? '',
    forwardedFor: request.headersDistinct['x-forwarded-for'] ?? [],
  };
  return exchange(options, received, (answer) => write(request, response, answer));
}

/** @param deliver of the answer. When it throws, it gets a refusal in its place. */
export async function exchange(
  options: ExchangeOptions,
  received: Received,
  deliver: (answer: Answer) => void,
): Promise<void> {
  const startMs = options.clock.monotonicMs();
  const owner = encodeBase64url(options.random(OWNER_BYTES));
  const { target, method } = received;
  const methods = options.mounted().get(target) ?? options.mounted().get(target.split('?', 1)[0] ?? '');
  const mounted = methods?.get(method === 'HEAD' ? 'GET' : method);
  const common = crossOriginHeaders(options, received);
  let status = 0;
  const give = (answer: Answer) => {
    ({ status } = answer);
    deliver({ ...answer, headers: [...common, ...(answer.headers ?? [])] });
  };
  try {
    if (method === 'OPTIONS' && common.length > 0) return give({ status: 204, body: {} });
    give(await handle(options, received, owner, methods, mounted));
  } catch (thrown) {
    const refusal = refusalOf(thrown, options, mounted);
    give({ ...problem(refusal, mounted?.endpoint, owner), headers: refusal.headers });
  } finally {
    if (mounted !== undefined) {
      options.events.request({
        ...(mounted.scheme !== undefined && { scheme: mounted.scheme }),
        endpoint: mounted.endpoint.path,
        status,
        durationMs: options.clock.monotonicMs() - startMs,
        traceparent: received.header('traceparent'),
      });
    }
  }
}

async function handle(
  options: ExchangeOptions,
  received: Received,
  owner: string,
  methods: ReadonlyMap<string, Mounted> | undefined,
  mounted: Mounted | undefined,
): Promise<Answer> {
  const { header } = received;
  await options.authorize?.(received.target, header);
  if (methods === undefined) throw new HttpProblem('not_found', 'no endpoint has this path');
  if (mounted === undefined) throw new MethodRefused([...methods.keys()]);

  const { endpoint } = mounted;
  const source = sourceOf(received.address, received.forwardedFor, options.trustedHops());
  const { raw, body } = await read(options, received, mounted, source);
  const call: EndpointCall = {
    body,
    raw,
    header,
    source,
    owner,
    receivedAtMs: options.clock.nowMs(),
    signal: AbortSignal.timeout(options.requestTimeoutMs),
  };
  options.charge?.(mounted, source, endpoint.body === undefined ? undefined : endpoint.subject?.(body));
  return endpoint.handle(call);
}

/** Bytes, and the members that the endpoint takes, undefined where it takes none. A body that can't be read costs its sender all the same. */
async function read(
  options: ExchangeOptions,
  received: Received,
  mounted: Mounted,
  source: string,
): Promise<{ raw: Uint8Array; body: unknown }> {
  try {
    const raw = await received.body(options.bodyBytes());
    const schema = mounted.endpoint.body;
    if (schema === undefined) return { raw, body: undefined };
    requireJson(received);
    const result = v.safeParse(schema, parseStrictJson(raw));
    return result.success ? { raw, body: result.output } : deny('malformed', 'members that the endpoint does not take');
  } catch (thrown) {
    options.chargeUnreadable?.(mounted, source);
    throw thrown;
  }
}

function requireJson({ header }: Received): void {
  const type = (header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/json') throw new HttpProblem('unsupported_media_type', 'expected application/json');
}

function singleHeader(request: IncomingMessage, name: string): string | undefined {
  const values = request.headersDistinct[name];
  return values?.length === 1 ? values[0] : undefined;
}

function crossOriginHeaders({ crossOrigin }: ExchangeOptions, { header }: Received): readonly Header[] {
  const origin = header('origin');
  return origin === undefined ? [] : (crossOrigin?.(origin) ?? []);
}
