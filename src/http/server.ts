/**
 * What issuer and admin share: node:http or node:https on an address of the configuration, with its limits of time and size. What
 * happens to a request is `exchange.ts`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Server as NetServer, type Socket } from 'node:net';
import { bind, type Attach } from '../listener/bind.ts';
import { followTlsFiles, type CertificateEvents, type TlsFiles } from '../listener/tls-files.ts';
import { respond, type ExchangeOptions } from './exchange.ts';

export interface HttpOptions extends ExchangeOptions {
  /** `host:port`, `[v6]:port` or `unix:/path`. */
  readonly address: string;
  /** Of the setting, for messages. */
  readonly setting: string;
  readonly tls?: { readonly files: TlsFiles; readonly events: CertificateEvents };
  readonly headersTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly maxConnections: number;
  /** Default: `bind`. */
  readonly attach?: Attach;
}

export interface HttpServer {
  readonly address: string;
  /** Accepts no more; what is in flight may end until then. */
  close(graceMs: number): Promise<void>;
}

const MAX_HEADER_BYTES = 16 * 1024;
/** How long a connection in use may take to bring the request whose answer says that it is the last. */
const IDLE_MS = 500;
const SOCKET_MODE = '0660';

/** @throws {Error} with one line that says what to do, when the address is taken or the certificate can't be read. */
export async function createHttpServer(options: HttpOptions): Promise<HttpServer> {
  const { server, stopWatching } = open(options);
  server.maxConnections = options.maxConnections;
  server.on('clientError', (_error, socket) => socket.destroy());
  const connections = new Set<Socket>();
  let onLast: () => void = () => undefined;
  server.on('connection', (connection: Socket) => {
    connections.add(connection);
    connection.on('close', () => {
      connections.delete(connection);
      if (connections.size === 0) onLast();
    });
  });
  let address: string;
  try {
    address = await (options.attach ?? bind)(server, { ...options, socketMode: SOCKET_MODE });
  } catch (thrown) {
    stopWatching();
    throw thrown;
  }
  return {
    address,
    async close(graceMs) {
      stopWatching();
      // Not the HTTP server's own close, which ends idle connections at once: a proxy may just be sending a request on one of them.
      NetServer.prototype.close.call(server);
      server.prependListener('request', (_request, response: ServerResponse) => {
        response.shouldKeepAlive = false;
      });
      const idle = setTimeout(() => server.closeIdleConnections(), Math.min(IDLE_MS, graceMs));
      const cut = setTimeout(() => {
        for (const connection of connections) connection.destroy();
      }, graceMs);
      // The server itself would wait only for connections that it has accepted.
      await new Promise<void>((resolve) => {
        onLast = resolve;
        if (connections.size === 0) resolve();
      });
      clearTimeout(idle);
      clearTimeout(cut);
      server.close();
    },
  };
}

function open(options: HttpOptions): { readonly server: Server; readonly stopWatching: () => void } {
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
  if (options.tls === undefined) return { server: createServer(settings, listener), stopWatching: () => undefined };
  const server = createTlsServer(settings, listener);
  return { server, stopWatching: followTlsFiles(server, options.tls.files, {}, options.tls.events) };
}
