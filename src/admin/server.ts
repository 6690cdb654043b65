/**
 * The front for operators: metrics and health for everybody who reaches the port, and behind a bearer token whatever changes or tells
 * more. Without a token the API does not exist.
 */
import { setTimeout as pause } from 'node:timers/promises';
import * as v from 'valibot';
import type { Clock } from '../core/clock.ts';
import { HttpProblem } from '../core/http.ts';
import { defineEndpoint, type Answer, type Endpoint } from '../core/scheme.ts';
import { duration } from '../core/settings.ts';
import type { Secret } from '../core/secret.ts';
import { sha256 } from '../crypto/digest.ts';
import { constantTimeEqual } from '../crypto/equal.ts';
import { utf8 } from '../encoding/bytes.ts';
import type { HttpEvents } from '../http/exchange.ts';
import { pathMap, type Mounted, type PathMap } from '../http/mounted.ts';
import { createHttpServer, type HttpServer } from '../http/server.ts';
import type { Attach } from '../listener/bind.ts';

export interface AdminOptions {
  readonly address: string;
  /** Read anew each time, so that it can rotate; undefined: there is no API. @throws when the file can't be read. */
  token(): Secret<string> | undefined;
  mounted(): PathMap;
  readonly clock: Clock;
  random(bytes: number): Uint8Array;
  readonly events: HttpEvents;
  /** Default: `bind`. */
  readonly attach?: Attach;
}

/** What answers without a token. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/metrics', '/healthz', '/readyz']);

const MAX_BODY_BYTES = 64 * 1024;
/** Of a call, wherever it is answered. */
export const ADMIN_LIMITS = { requestTimeoutMs: 10_000, bodyBytes: () => MAX_BODY_BYTES, trustedHops: () => 0 };
/** A wrong token is told no faster than a right one. */
const REFUSAL_MS = 10;

export function createAdmin(options: AdminOptions): Promise<HttpServer> {
  const { token, ...rest } = options;
  return createHttpServer({
    ...rest,
    ...ADMIN_LIMITS,
    setting: 'listeners.admin.address',
    headersTimeoutMs: 5000,
    keepAliveTimeoutMs: 5000,
    maxConnections: 256,
    async authorize(path, header) {
      if (OPEN_PATHS.has(path.split('?', 1)[0] ?? path)) return;
      const expected = token();
      if (expected === undefined) throw new HttpProblem('not_found', 'the admin API is off');
      const [, given] = /^Bearer ([\x21-\x7e]{1,4096})$/.exec(header('authorization') ?? '') ?? [];
      if (given !== undefined && constantTimeEqual(sha256(utf8(given)), sha256(utf8(expected.reveal())))) return;
      await pause(REFUSAL_MS);
      throw new HttpProblem('unauthorized', 'no token, or another one');
    },
  });
}

export interface AdminFacts {
  exposition(): Promise<{ contentType: string; text: string }>;
  isAlive(): boolean;
  readiness(): Readonly<Record<string, boolean>>;
  status(): object;
  keys(): object;
  /** @returns undefined when applied, else why not. */
  reload(): Promise<string | undefined>;
  /** Absent where one process does everything: there is nothing to replace. */
  replaceWorkers?(): void;
  setLogLevel(level: 'error' | 'warn' | 'info' | 'debug', ttlMs: number): void;
  /** Awaited before the answer. @param target whom or what the call names. */
  readonly audit: (action: string, target?: string) => Promise<void>;
}

/** @param calls of users, invitations and schemes; their paths are absolute or get `/admin/v1/<scheme>/` before them. */
export function mountAdmin(facts: AdminFacts, calls: readonly { endpoint: Endpoint; scheme?: string }[]): PathMap {
  const own = ownEndpoints(facts).map((endpoint): Mounted => ({ path: endpoint.path, endpoint }));
  const others = calls.map(({ endpoint, scheme }): Mounted => ({
    path: endpoint.path.startsWith('/') ? endpoint.path : `/admin/v1/${scheme ?? ''}/${endpoint.path}`,
    endpoint: endpoint.path.startsWith('/') ? endpoint : audited(endpoint, scheme ?? '', facts),
    ...(scheme !== undefined && { scheme }),
  }));
  return pathMap([...own, ...others]);
}

/** A scheme's own call, which has no log to write to. The shared calls say whom they are about and write their own line. */
function audited(endpoint: Endpoint, scheme: string, { audit }: AdminFacts): Endpoint {
  if (endpoint.method === 'GET') return endpoint;
  return {
    ...endpoint,
    async handle(call) {
      const answer = await endpoint.handle(call);
      await audit(`${scheme}.${endpoint.path}`, endpoint.subject?.(call.body));
      return answer;
    },
  };
}

function ownEndpoints(facts: AdminFacts): Endpoint[] {
  const { replaceWorkers } = facts;
  const ready = () => Object.values(facts.readiness()).every(Boolean);
  return [
    get('/metrics', async () => {
      const { contentType, text } = await facts.exposition();
      return { status: 200, body: utf8(text), headers: [['content-type', contentType]] };
    }),
    get('/healthz', () => plain(facts.isAlive() ? 200 : 503)),
    get('/readyz', () => plain(ready() ? 200 : 503)),
    get('/readyz?verbose', () => ({ status: ready() ? 200 : 503, body: facts.readiness() })),
    get('/admin/v1/status', () => ({ status: 200, body: facts.status() })),
    get('/admin/v1/keys', () => ({ status: 200, body: facts.keys() })),
    defineEndpoint({
      listener: 'admin',
      method: 'POST',
      path: '/admin/v1/reload',
      bucket: 'own',
      body: v.strictObject({}),
      async handle() {
        const refused = await facts.reload();
        await facts.audit('reload');
        return refused === undefined
          ? { status: 200, body: { result: 'applied' } }
          : { status: 409, body: { result: 'refused', reason: refused } };
      },
    }),
    ...(replaceWorkers === undefined ? [] : [replaceEndpoint(replaceWorkers, facts.audit)]),
    defineEndpoint({
      listener: 'admin',
      method: 'PUT',
      path: '/admin/v1/log-level',
      bucket: 'own',
      body: v.strictObject({
        level: v.picklist(['error', 'warn', 'info', 'debug']),
        ttl: duration({ min: '1s', max: '1h' }),
      }),
      async handle({ body: { level, ttl } }) {
        facts.setLogLevel(level, ttl);
        await facts.audit('log-level');
        return { status: 200, body: { level, ttlMs: ttl } };
      },
    }),
  ];
}

function replaceEndpoint(replaceWorkers: () => void, audit: AdminFacts['audit']): Endpoint {
  return defineEndpoint({
    listener: 'admin',
    method: 'POST',
    path: '/admin/v1/workers/replace',
    bucket: 'own',
    body: v.strictObject({}),
    async handle() {
      await audit('workers.replace');
      replaceWorkers();
      return { status: 202, body: { result: 'started' } };
    },
  });
}

function get(path: string, handle: () => Answer | Promise<Answer>): Endpoint {
  return { listener: 'admin', method: 'GET', path, bucket: 'own', handle };
}

function plain(status: number): Answer {
  return {
    status,
    body: utf8(status === 200 ? 'ok\n' : 'not ready\n'),
    headers: [['content-type', 'text/plain; charset=utf-8']],
  };
}
