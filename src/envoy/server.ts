/**
 * The transport of Checks: gRPC over HTTP/2, bytes in and bytes out. It knows nothing of what the bytes mean, so another transport
 * can take its place. Who may connect is `listener.ts`, one call `grpc-call.ts`, sessions and their end `sessions.ts`.
 */
import { constants } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { CheckListener } from '../config/schema.ts';
import type { Clock } from '../core/clock.ts';
import { Denial } from '../core/decision.ts';
import { Fault } from '../core/fault.ts';
import { parseGrpcTimeout, parseMilliseconds } from './budget.ts';
import type { CheckHandler } from './check-handler.ts';
import { whenCallEnds } from './call-end.ts';
import { httpRefusal, openAnswer, readMessage, sendHttpStatus, sendMessage, sendStatus } from './grpc-call.ts';
import type { Held, Unreadable } from './grpc-call.ts';
import { frame, GRPC_STATUS } from './grpc-framing.ts';
import type { GrpcCode } from '../telemetry/metrics.ts';
import { createHealth } from './health.ts';
import type { Health } from './health.ts';
import { listen } from './listener.ts';
import { bind, type Attach } from '../listener/bind.ts';
import type { CertificateEvents } from '../listener/tls-files.ts';
import { createSessions } from './sessions.ts';

export interface CheckServer {
  /** Where it listens: `host:port` or `unix:/path`. */
  readonly address: string;
  /** What the health service says. */
  setServing(isServing: boolean): void;
  /** Ends so many connections after their calls: their proxies open others, which may come to another process. */
  retire(count: number): void;
  /** Stops accepting, says GOAWAY, lets calls in flight end. @returns false when some had to be cut off. */
  drain(timeoutMs: number): Promise<boolean>;
  /** Before a crash: what waits for its verdict is denied, and what still comes, as far as that can still be written. */
  denyAll(): void;
}

export interface CheckServerOptions {
  readonly listener: CheckListener;
  readonly handler: CheckHandler;
  readonly clock: Clock;
  readonly certificates: CertificateEvents;
  /** Told of each Check's call, whatever was answered. */
  readonly called?: (code: GrpcCode, ms: number) => void;
  /** Default: `bind`. */
  readonly attach?: Attach;
}

const CHECK = '/envoy.service.auth.v3.Authorization/Check';
const HEALTH_CHECK = '/grpc.health.v1.Health/Check';
const HEALTH_WATCH = '/grpc.health.v1.Health/Watch';

/** A request of the health service holds one short name. */
const MAX_HEALTH_BYTES = 1024;

/** @throws {Error} with one line that says what to do, when the address is taken or the certificate can't be read. */
export async function createCheckServer(options: CheckServerOptions): Promise<CheckServer> {
  const { listener } = options;
  const health = createHealth();
  const checks = createCheckMethod(options);
  const held: Held = { bytes: 0 };

  const sessions = createSessions(listener, (stream, headers) => {
    const refusal = httpRefusal(headers);
    if (refusal !== undefined) sendHttpStatus(stream, refusal);
    else if (headers[':path'] === CHECK) {
      if (options.called !== undefined) whenCallEnds(stream, options.clock, options.called);
      checks.call(stream, headers, held);
    } else if (headers[':path'] === HEALTH_CHECK) checkHealth(stream, headers, held, health);
    else if (headers[':path'] === HEALTH_WATCH) watchHealth(stream, headers, held, health);
    else sendStatus(stream, GRPC_STATUS.unimplemented, 'unknown method');
  });
  const open = (connection: Socket) => sessions.open(connection);
  const door = await listen(listener, open, options.certificates, options.attach ?? bind);

  return {
    address: door.address,
    setServing: (isServing) => health.setServing(isServing),
    retire: (count) => sessions.retire(count),
    async drain(timeoutMs) {
      health.setServing(false);
      door.close();
      health.close();
      const wasQuiet = await sessions.drain(timeoutMs);
      door.destroy();
      return wasQuiet;
    },
    denyAll: () => checks.denyAll(),
  };
}

function createCheckMethod({ handler, clock }: CheckServerOptions) {
  /** Calls that were handed over and have no answer yet. */
  const waiting = new Set<ServerHttp2Stream>();
  /** A process whose state nobody knows any more judges nothing. */
  let deniesAll = false;

  async function answer(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    message: Uint8Array | Unreadable,
    receivedAtMs: number,
  ) {
    if (deniesAll) return sendMessage(stream, handler.prepared());
    waiting.add(stream);
    const input = typeof message === 'string' ? UNREADABLE[message]() : message;
    const bytes = await handler.handle(input, {
      receivedAtMs,
      totalMs: parseGrpcTimeout(single(headers['grpc-timeout'])),
      thisTryMs: parseMilliseconds(single(headers['x-envoy-expected-rq-timeout-ms'])),
      cancelled: {
        get aborted() {
          return stream.closed || stream.destroyed;
        },
      },
    });
    waiting.delete(stream);
    sendMessage(stream, bytes);
  }

  return {
    call(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, held: Held) {
      const receivedAtMs = clock.nowMs();
      const take = (message: Uint8Array | Unreadable) => {
        // A stream that can't be answered is ended: one broken call must not end the process.
        answer(stream, headers, message, receivedAtMs).catch(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
      };
      readMessage(stream, headers, { maxBytes: handler.maxMessageBytes(), held, take });
    },
    denyAll() {
      deniesAll = true;
      for (const stream of waiting) sendMessage(stream, handler.prepared());
    },
  };
}

/** Answered with a verdict, since the proxy knows what to do with one. */
const UNREADABLE: Readonly<Record<Unreadable, () => Denial | Fault>> = {
  oversized: () => new Denial('malformed', 'a Check over the size limit', { oversized: true }),
  overload: () => new Fault('overload', 'too many bytes of Checks at once'),
};

function checkHealth(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, held: Held, health: Health): void {
  const take = (request: Uint8Array | Unreadable) => {
    const response = typeof request === 'string' ? undefined : health.check(request);
    if (response === undefined) sendStatus(stream, GRPC_STATUS.notFound, 'unknown service');
    else sendMessage(stream, response);
  };
  readMessage(stream, headers, { maxBytes: MAX_HEALTH_BYTES, held, take });
}

function watchHealth(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, held: Held, health: Health): void {
  const take = (request: Uint8Array | Unreadable) => {
    if (typeof request === 'string') return sendStatus(stream, GRPC_STATUS.notFound, 'unknown service');
    const tell = (message: Uint8Array) => {
      if (!stream.headersSent) openAnswer(stream);
      stream.write(frame(message));
    };
    const stop = health.watch(request, { tell, end: () => stream.end() });
    if (stop === undefined) return sendStatus(stream, GRPC_STATUS.resourceExhausted, 'too many watchers');
    stream.on('close', stop);
  };
  readMessage(stream, headers, { maxBytes: MAX_HEALTH_BYTES, held, take });
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
