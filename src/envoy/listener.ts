/**
 * The door of the check listener: TCP, a unix socket, or mutual TLS 1.3 with a list of client names. What comes through may call
 * Check, so it is judged here, before gRPC sees a byte.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { CheckListener } from '../config/schema.ts';
import { addressOf } from '../core/address.ts';
import type { Attach } from '../listener/bind.ts';
import { followTlsFiles, type CertificateEvents } from '../listener/tls-files.ts';

type Tls = NonNullable<CheckListener['tls']>;

export interface Door {
  readonly address: string;
  /** Accepts no more. */
  close(): void;
  /** Ends what is still connected. */
  destroy(): void;
}

const HANDSHAKE_MS = 5000;
/** Connections come from proxies' threads, so they are few. */
const MAX_CONNECTIONS = 4096;

/** @throws {Error} with one line that says what to do. */
export async function listen(
  listener: CheckListener,
  onConnection: (connection: Socket) => void,
  certificates: CertificateEvents,
  attach: Attach,
): Promise<Door> {
  const sockets = new Set<Socket>();
  const admit = (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setNoDelay(true);
    onConnection(socket);
  };
  const { server, stopWatching } =
    listener.tls === undefined ? plain(admit) : mutualTls(listener.tls, admit, certificates);
  server.maxConnections = MAX_CONNECTIONS;

  let address: string;
  try {
    const place = { ...listener, address: addressOf(listener.address, 1), setting: 'listeners.check.address' };
    address = await attach(server, place);
  } catch (thrown) {
    stopWatching();
    throw thrown;
  }
  return {
    address,
    close() {
      stopWatching();
      server.close();
    },
    destroy() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

interface Listening {
  readonly server: Server;
  readonly stopWatching: () => void;
}

function plain(admit: (socket: Socket) => void): Listening {
  return { server: createServer(admit), stopWatching: () => undefined };
}

/** Anything below 1.3, any certificate of another authority, and any name outside the list ends at the handshake. */
function mutualTls(tls: Tls, admit: (socket: Socket) => void, certificates: CertificateEvents): Listening {
  const fixed = { requestCert: true, rejectUnauthorized: true, ALPNProtocols: ['h2'], handshakeTimeout: HANDSHAKE_MS };
  const server = createTlsServer(fixed, (socket) => {
    if (socket.alpnProtocol === 'h2' && hasAllowedName(socket, tls.allowedSans)) admit(socket);
    else socket.destroy();
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  return { server, stopWatching: followTlsFiles(server, tls, { minVersion: 'TLSv1.3' }, certificates) };
}

/** Whole names only. A name that holds a NUL or is quoted by the parser equals none of the list, since the list holds neither. */
function hasAllowedName(socket: TLSSocket, allowed: readonly string[]): boolean {
  const names = socket.getPeerX509Certificate()?.subjectAltName ?? '';
  if (names.includes('\0') || names.includes('"')) return false;
  return names.split(', ').some((name) => allowed.includes(name.replace(/^(DNS|URI|IP Address|email):/, '')));
}
