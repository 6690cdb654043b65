/**
 * A deployment in one process for the client library: a real HTTP server that discovers, issues and judges by a scheme's world, and
 * answers as the service behind Envoy would. Targets and bodies are those that came over the wire.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Denial, wireCode } from '../../src/core/decision.ts';
import { problemBody } from '../../src/core/problem.ts';
import { newCheckId, type RequestParts } from './auth-request.ts';
import type { SchemeWorld } from './scheme-world.ts';

export interface Gateway {
  readonly url: string;
  /** Requests that were judged, in order. */
  readonly judged: RequestParts[];
  /** Calls of issuer endpoints, by path. */
  readonly issued: string[];
  /** Runs before a request is judged. */
  beforeJudging: (parts: RequestParts) => Promise<void>;
  /** Answers in place of the server, when it returns true. */
  instead: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Answers what was allowed. */
  upstream: (parts: RequestParts, response: ServerResponse) => void;
  close(): Promise<void>;
}

const PREFIX = '/auth';

export async function openGateway(world: SchemeWorld): Promise<Gateway> {
  const { name, discovery, endpoints } = world.scheme;
  const paths = Object.fromEntries(endpoints.map(({ path }) => [path, `${PREFIX}/${name}/${path}`]));
  const document = {
    timeMs: world.clock.nowMs(),
    audiences: [],
    schemes: { [name]: { ...discovery, endpoints: paths } },
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readAll(request);
    if (gateway.instead(request, response)) return;
    if (request.url === '/.well-known/countersign') return json(response, 200, document);
    const tail = Object.keys(paths).find((path) => paths[path] === request.url);
    if (tail !== undefined) {
      gateway.issued.push(tail);
      return json(response, 200, await world.post(tail, JSON.parse(new TextDecoder().decode(body)) as object));
    }
    const parts = partsOf(request, body, new URL(gateway.url).host);
    await gateway.beforeJudging(parts);
    gateway.judged.push(parts);
    const { replyHeaders = [] } = await world.judge(parts);
    for (const [header, value] of replyHeaders) response.appendHeader(header, value);
    gateway.upstream(parts, response);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((thrown: unknown) => refuse(world, response, thrown));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const gateway: Gateway = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    judged: [],
    issued: [],
    beforeJudging: async () => {},
    instead: () => false,
    upstream: (parts, response) => json(response, 200, { target: parts.target }),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return gateway;
}

function refuse(world: SchemeWorld, response: ServerResponse, thrown: unknown): void {
  const check = newCheckId();
  if (!(thrown instanceof Denial)) {
    response.setHeader('retry-after', '1');
    return problem(response, 503, problemBody(503, 'unavailable', { check }));
  }
  const { status } = thrown.form;
  const refused = { denial: thrown, nowMs: world.clock.nowMs() };
  if (status === 401)
    response.setHeader('www-authenticate', [
      'Basic realm="other"',
      ...world.scheme.challenges(world.policy(), refused),
    ]);
  if (thrown.code === 'stale' || thrown.code === 'not_yet_valid')
    response.setHeader('auth-server-time', String(world.clock.nowMs()));
  if (thrown.options.retryAfterSeconds !== undefined)
    response.setHeader('retry-after', String(thrown.options.retryAfterSeconds));
  return problem(response, status, problemBody(status, wireCode(thrown.code), { check }));
}

export function problem(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/problem+json' }).end(body);
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function partsOf(request: IncomingMessage, body: Uint8Array, authority: string): RequestParts {
  const headers: [string, string][] = [];
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    headers.push([(request.rawHeaders[at] ?? '').toLowerCase(), request.rawHeaders[at + 1] ?? '']);
  }
  const { method = '', url: target = '' } = request;
  return { method, scheme: 'http', authority, target, headers, body: { kind: 'complete', bytes: body } };
}

async function readAll(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk as Uint8Array);
  return new Uint8Array(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}
