/**
 * What issuer and admin share: node:http, an exact-path map, bounded bodies, strict JSON, one way of answering. It judges the form of
 * a request; what a call means is its endpoint's.
 */
import type { Buffer } from 'node:buffer';
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import * as v from 'valibot';
import { parseAddress } from '../core/address.ts';
import type { Clock } from '../core/clock.ts';
import { Denial, deny, wireCode, type Header } from '../core/decision.ts';
import { Fault, type FaultReason } from '../core/fault.ts';
import { HttpProblem } from '../core/http.ts';
import { PROBLEM_TYPE, problemBody } from '../core/problem.ts';
import type { Answer, Endpoint, EndpointCall } from '../core/scheme.ts';
import { sourceOf } from '../core/source.ts';
import { encodeBase64url } from '../encoding/base64url.ts';
import { parseStrictJson } from '../encoding/strict-json.ts';
import { readBody } from './body.ts';

/** An endpoint and where it is reached. */
export interface Mounted {
  /** The whole path; may end in a query that is part of the name, `/readyz?verbose`. */
  readonly path: string;
  readonly endpoint: Endpoint;
  /** Name of the scheme, for metrics and buckets; absent for the front's own. */
  readonly scheme?: string;
  /** The scheme's `www-authenticate` values for a refusal with 401. */
  challenges?(refused: { denial: Denial; nowMs: number }): readonly string[];
}

export interface HttpOptions {
  /** `host:port`, `[v6]:port` or `unix:/path`. */
  readonly address: string;
  /** Of the setting, for messages. */
  readonly setting: string;
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly maxConnections: number;
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
  /** Headers of every answer, by the request's `origin`; a preflight is answered with them alone. */
  crossOrigin?(origin: string): readonly Header[] | undefined;
  readonly events: HttpEvents;
}

export interface HttpEvents {
  request(request: { scheme?: string; endpoint: string; status: number; durationMs: number }): void;
  fault(reason: FaultReason, cause: unknown): void;
}

export type PathMap = ReadonlyMap<string, ReadonlyMap<string, Mounted>>;

export interface HttpServer {
  readonly address: string;
  /** Accepts no more; what is in flight may end until then. */
  close(graceMs: number): Promise<void>;
}

/** @throws {Error} when two endpoints claim one path and method. */
export function pathMap(mounted: readonly Mounted[]): PathMap {
  const paths = new Map<string, Map<string, Mounted>>();
  for (const one of mounted) {
    const methods = paths.get(one.path) ?? new Map<string, Mounted>();
    if (methods.has(one.endpoint.method)) throw new Error(`two endpoints claim ${one.endpoint.method} ${one.path}`);
    methods.set(one.endpoint.method, one);
    paths.set(one.path, methods);
  }
  return paths;
}

const OWNER_BYTES = 16;
const MAX_HEADER_BYTES = 16 * 1024;

/** @throws {Error} with one line that says what to do, when the address is taken. */
export async function createHttpServer(options: HttpOptions): Promise<HttpServer> {
  const settings = {
    headersTimeout: options.headersTimeoutMs,
    requestTimeout: options.requestTimeoutMs,
    keepAliveTimeout: options.keepAliveTimeoutMs,
    connectionsCheckingInterval: 1000,
    maxHeaderSize: MAX_HEADER_BYTES,
  };
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    // Whatever an answer's own writing throws must not end the process: no answer is a refusal too.
    respond(options, request, response).catch(() => request.socket.destroy());
  };
  const server =
    options.tls === undefined
      ? createServer(settings, listener)
      : createTlsServer({ ...settings, ...options.tls }, listener);
  server.maxConnections = options.maxConnections;
  server.on('clientError', (_error, socket) => socket.destroy());
  const address = await listen(server, options);
  return {
    address,
    close: (graceMs) =>
      new Promise((resolve) => {
        const cut = setTimeout(() => server.closeAllConnections(), graceMs);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

async function respond(options: HttpOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
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
        endpoint: mounted.path,
        status: response.statusCode,
        durationMs: options.clock.monotonicMs() - startMs,
      });
    }
  }
}

async function answerTo(
  options: HttpOptions,
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
  const raw = await readBody(request, options.bodyBytes());
  const source = sourceOf(
    request.socket.remoteAddress ?? '',
    request.headersDistinct['x-forwarded-for'] ?? [],
    options.trustedHops(),
  );
  const call: EndpointCall = {
    body: undefined,
    raw,
    header,
    source,
    owner,
    receivedAtMs: options.clock.nowMs(),
    signal: AbortSignal.timeout(options.requestTimeoutMs),
  };
  if (endpoint.body === undefined) {
    options.charge?.(mounted, source, undefined);
    return endpoint.handle(call);
  }
  const body = readMembers(options, request, mounted, source, raw);
  options.charge?.(mounted, source, endpoint.subject?.(body));
  return endpoint.handle({ ...call, body });
}

/** A body that can't be read is charged to its address all the same. */
function readMembers(
  options: HttpOptions,
  request: IncomingMessage,
  mounted: Mounted,
  source: string,
  raw: Uint8Array,
): unknown {
  try {
    requireJson(request);
    const result = v.safeParse(mounted.endpoint.body as v.GenericSchema, parseStrictJson(raw));
    return result.success ? result.output : deny('malformed', 'members that the endpoint does not take');
  } catch (thrown) {
    options.charge?.(mounted, source, undefined);
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

class MethodRefused extends HttpProblem {
  readonly allowed: string;

  constructor(methods: readonly string[]) {
    super('method_not_allowed', 'another method');
    this.allowed = methods.join(', ');
  }
}

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly headers: readonly Header[];
}

function refusalOf(thrown: unknown, { clock, events }: HttpOptions, mounted: Mounted | undefined): Refusal {
  if (thrown instanceof Denial) return denied(thrown, clock.nowMs(), mounted);
  if (thrown instanceof MethodRefused)
    return { status: thrown.status, code: thrown.code, headers: [['allow', thrown.allowed]] };
  if (thrown instanceof HttpProblem) {
    const headers: Header[] =
      thrown.code === 'unauthorized' ? [['www-authenticate', 'Bearer realm="countersign"']] : [];
    return { status: thrown.status, code: thrown.code, headers };
  }
  const fault = thrown instanceof Fault ? thrown : undefined;
  events.fault(fault?.reason ?? 'internal', thrown);
  return { status: 503, code: 'unavailable', headers: [['retry-after', String(fault?.retryAfterSeconds ?? 1)]] };
}

function denied(denial: Denial, nowMs: number, mounted: Mounted | undefined): Refusal {
  const { form, code, options } = denial;
  const headers: Header[] = [...(options.replyHeaders ?? [])];
  if (form.issuer === 401) {
    for (const line of mounted?.challenges?.({ denial, nowMs }) ?? []) headers.push(['www-authenticate', line]);
  }
  if (code === 'stale' || code === 'not_yet_valid') headers.push(['auth-server-time', String(nowMs)]);
  if (options.retryAfterSeconds !== undefined) headers.push(['retry-after', String(options.retryAfterSeconds)]);
  return { status: form.issuer, code: wireCode(code), headers };
}

function problem({ status, code }: Refusal, endpoint: Endpoint | undefined, owner: string): Answer {
  const own = endpoint?.problem?.(status, code);
  if (own !== undefined) return { status, body: own };
  return { status, body: new TextEncoder().encode(problemBody(status, code, { request: owner })) };
}

function crossOriginHeaders({ crossOrigin }: HttpOptions, request: IncomingMessage): readonly Header[] {
  const origin = singleHeader(request, 'origin');
  return origin === undefined ? [] : (crossOrigin?.(origin) ?? []);
}

function write(request: IncomingMessage, response: ServerResponse, { status, body, headers = [] }: Answer): void {
  if (response.headersSent) return;
  response.statusCode = status; // Also of an answer that nobody hears: it is counted.
  if (response.destroyed) return;
  for (const name of response.getHeaderNames()) response.removeHeader(name); // Of an answer that could not be written.
  const isBytes = ArrayBuffer.isView(body);
  const bytes = isBytes ? (body as Uint8Array) : new TextEncoder().encode(JSON.stringify(body));
  response.setHeader('cache-control', 'no-store');
  if (status !== 204 && status !== 304) {
    response.setHeader('content-type', isBytes && status >= 400 ? PROBLEM_TYPE : 'application/json');
    response.setHeader('content-length', bytes.length);
  }
  for (const [name, value] of headers) {
    if (name === 'www-authenticate') response.appendHeader(name, value);
    else response.setHeader(name, value);
  }
  // What was not read to its end would be taken for the next request.
  if (!request.complete) response.setHeader('connection', 'close');
  response.end(status === 204 || status === 304 || request.method === 'HEAD' ? undefined : bytes);
}

function listen(server: Server, { address: text, setting }: HttpOptions): Promise<string> {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${setting}: expected an address, got "${text}"`);
  if (address.kind === 'unix') {
    // Of an earlier process; whatever else lies there is not ours to remove.
    if (lstatSync(address.path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(address.path);
  }
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      const what =
        error.code === 'EADDRINUSE'
          ? 'is taken; stop what listens there or choose another'
          : `can't be bound (${error.code})`;
      reject(new Error(`${setting}: ${text} ${what}`, { cause: error }));
    };
    server.once('error', failed);
    server.listen(address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }, () => {
      server.off('error', failed);
      server.on('error', () => undefined); // Accepting can fail for lack of descriptors; the next attempt may not.
      if (address.kind === 'unix') chmodSync(address.path, 0o660);
      const bound = server.address();
      if (bound === null || typeof bound === 'string') resolve(text);
      else resolve(bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`);
    });
  });
}
