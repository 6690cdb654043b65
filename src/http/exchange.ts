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
  request(request: { scheme?: string; endpoint: string; status: number; durationMs: number }): void;
  fault(reason: FaultReason, cause: unknown): void;
}

const OWNER_BYTES = 16;

/** @throws what writing the answer throws. */
export async function respond(
  options: ExchangeOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const startMs = options.clock.monotonicMs();
  const owner = encodeBase64url(options.random(OWNER_BYTES));
  const target = request.url ?? '/';
  const methods = options.mounted().get(target) ?? options.mounted().get(target.split('?', 1)[0] ?? '');
  const mounted = methods?.get(request.method === 'HEAD' ? 'GET' : (request.method ?? ''));
  const common = crossOriginHeaders(options, request);
  try {
    if (request.method === 'OPTIONS' && common.length > 0) {
      write(request, response, { status: 204, body: {}, headers: common });
      return;
    }
    const answer = await answerTo(options, request, owner, methods, mounted);
    write(request, response, { ...answer, headers: [...common, ...(answer.headers ?? [])] });
  } catch (thrown) {
    const refusal = refusalOf(thrown, options, mounted);
    write(request, response, {
      ...problem(refusal, mounted?.endpoint, owner),
      headers: [...common, ...refusal.headers],
    });
  } finally {
    if (mounted !== undefined) {
      options.events.request({
        ...(mounted.scheme !== undefined && { scheme: mounted.scheme }),
        endpoint: mounted.endpoint.path,
        status: response.statusCode,
        durationMs: options.clock.monotonicMs() - startMs,
      });
    }
  }
}

async function answerTo(
  options: ExchangeOptions,
  request: IncomingMessage,
  owner: string,
  methods: ReadonlyMap<string, Mounted> | undefined,
  mounted: Mounted | undefined,
): Promise<Answer> {
  const header = (name: string) => singleHeader(request, name);
  await options.authorize?.(request.url ?? '/', header);
  if (methods === undefined) throw new HttpProblem('not_found', 'no endpoint has this path');
  if (mounted === undefined) throw new MethodRefused([...methods.keys()]);

  const { endpoint } = mounted;
  const source = sourceOf(
    request.socket.remoteAddress ?? '',
    request.headersDistinct['x-forwarded-for'] ?? [],
    options.trustedHops(),
  );
  const { raw, body } = await read(options, request, mounted, source);
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
  request: IncomingMessage,
  mounted: Mounted,
  source: string,
): Promise<{ raw: Uint8Array; body: unknown }> {
  try {
    const raw = await readBody(request, options.bodyBytes());
    const schema = mounted.endpoint.body;
    if (schema === undefined) return { raw, body: undefined };
    requireJson(request);
    const result = v.safeParse(schema, parseStrictJson(raw));
    return result.success ? { raw, body: result.output } : deny('malformed', 'members that the endpoint does not take');
  } catch (thrown) {
    options.chargeUnreadable?.(mounted, source);
    throw thrown;
  }
}

function requireJson(request: IncomingMessage): void {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/json') throw new HttpProblem('unsupported_media_type', 'expected application/json');
}

/** Undefined when absent; a header that occurs twice is nobody's. */
function singleHeader(request: IncomingMessage, name: string): string | undefined {
  const values = request.headersDistinct[name];
  return values?.length === 1 ? values[0] : undefined;
}

function crossOriginHeaders({ crossOrigin }: ExchangeOptions, request: IncomingMessage): readonly Header[] {
  const origin = singleHeader(request, 'origin');
  return origin === undefined ? [] : (crossOrigin?.(origin) ?? []);
}
