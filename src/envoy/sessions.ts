/**
 * The HTTP/2 sessions of the check listener: what a connection may ask of us, how long a call may stall, and how sessions end without
 * losing a Check. Calls are `server.ts`; connections come from `listener.ts`.
 */
import { once } from 'node:events';
import { constants, performServerHandshake } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream, ServerOptions } from 'node:http2';
import type { Socket } from 'node:net';
import { finished } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { CheckListener } from '../config/schema.ts';

export interface Sessions {
  open(connection: Socket): void;
  /** Ends so many, the newest, after their calls: their proxies open others. */
  retire(count: number): void;
  /** Says GOAWAY to all and waits until every call has ended and its answer is sent, at most so long. @returns whether all calls have. */
  drain(timeoutMs: number): Promise<boolean>;
}

const WINDOW_BYTES = 1024 * 1024;
const MAX_HEADER_LIST_BYTES = 32 * 1024;
/** Of one session, MB. */
const MAX_SESSION_MEMORY = 64;
/** How long a call may take to bring its message, and to take its answer. */
const STALL_MS = 5000;
const LOOK_MS = 1000;
/** How long calls in flight may take after a session was closed for its age. */
const AGE_GRACE_MS = 5000;
/** How long a peer may take to end its side. Closed before, it could lose an answer that it has not read yet. */
const PEER_GRACE_MS = 500;

export function createSessions(
  { maxConcurrentStreams, maxConnectionAge }: Pick<CheckListener, 'maxConcurrentStreams' | 'maxConnectionAge'>,
  onCall: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
): Sessions {
  const options: ServerOptions = {
    maxSessionMemory: MAX_SESSION_MEMORY,
    settings: {
      maxConcurrentStreams,
      maxHeaderListSize: MAX_HEADER_LIST_BYTES,
      initialWindowSize: WINDOW_BYTES,
      enablePush: false,
    },
  };
  const sessions = new Map<ServerHttp2Session, Socket>();
  let openCalls = 0;
  const stalls = createStallWatch();
  let isDraining = false;

  return {
    open(connection) {
      // One whose TLS handshake took long comes when all others have been told to go.
      const session = isDraining ? undefined : handshake(connection, options);
      if (session === undefined) {
        connection.destroy();
        return;
      }
      sessions.set(session, connection);
      session.on('error', () => session.destroy());
      session.on('stream', (stream, headers) => {
        stream.on('error', () => undefined); // A reset call ends by 'close'.
        openCalls += 1;
        stream.on('close', () => (openCalls -= 1));
        stalls.watch(stream);
        onCall(stream, headers);
      });
      const silence = setTimeout(() => session.destroy(), STALL_MS).unref();
      session.once('remoteSettings', () => clearTimeout(silence));
      const age =
        maxConnectionAge === null ? undefined : setTimeout(() => retire(session), withJitter(maxConnectionAge)).unref();
      session.on('close', () => {
        sessions.delete(session);
        clearTimeout(silence);
        clearTimeout(age);
      });
    },
    retire(count) {
      for (const session of [...sessions.keys()].slice(-count)) retire(session);
    },
    async drain(timeoutMs) {
      isDraining = true;
      // One GOAWAY with the last call that was taken: later ones come back to the proxy as refused, to be asked again elsewhere.
      // The usual announcement before it, "all streams", can't be used: Node would drop calls that it promises to serve.
      for (const session of sessions.keys()) session.close();
      const ended = Array.from(sessions.values(), hasEnded);
      let timer: NodeJS.Timeout | undefined;
      const timeout = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, timeoutMs);
      });
      await Promise.race([Promise.all(ended), timeout]);
      clearTimeout(timer);
      stalls.stop();
      return openCalls === 0;
    },
  };
}

/** @returns undefined for a connection that is gone already: it must not end the process. */
function handshake(connection: Socket, options: ServerOptions): ServerHttp2Session | undefined {
  try {
    const session = performServerHandshake(connection, options);
    session.setLocalWindowSize(WINDOW_BYTES);
    return session;
  } catch {
    return undefined;
  }
}

/** All that it was to be told is sent, and its peer has ended its side as well, or has had time to: nobody waits long for that. */
async function hasEnded(connection: Socket): Promise<void> {
  await finished(connection, { readable: false }).catch(() => undefined);
  if (connection.destroyed) return;
  const closed = once(connection, 'close').catch(() => undefined);
  await Promise.race([closed, pause(PEER_GRACE_MS, undefined, { ref: false })]);
}

function retire(session: ServerHttp2Session): void {
  session.close();
  setTimeout(() => session.destroy(), AGE_GRACE_MS).unref();
}

/** So that connections made at once don't end at once. */
function withJitter(ms: number): number {
  return ms * (0.9 + Math.random() * 0.2);
}

/** Ends calls whose message does not come, and those whose answer is not taken. How long a verdict may take is not its business. */
function createStallWatch(): { watch(stream: ServerHttp2Stream): void; stop(): void } {
  const waits = new Map<ServerHttp2Stream, { state: 'message' | 'verdict' | 'delivery'; looks: number }>();
  const timer = setInterval(() => {
    for (const [stream, wait] of waits) {
      const state =
        !stream.readableEnded && !stream.headersSent ? 'message' : stream.writableEnded ? 'delivery' : 'verdict';
      wait.looks = state === wait.state ? wait.looks + 1 : 0;
      wait.state = state;
      if (state !== 'verdict' && wait.looks * LOOK_MS >= STALL_MS) stream.close(constants.NGHTTP2_CANCEL);
    }
  }, LOOK_MS).unref();
  return {
    watch(stream) {
      waits.set(stream, { state: 'message', looks: 0 });
      stream.on('close', () => waits.delete(stream));
    },
    stop: () => clearInterval(timer),
  };
}
