/**
 * The door of the check listener: TCP, a unix socket, or mutual TLS 1.3 with a list of client names. What comes through may call
 * Check, so it is judged here, before gRPC sees a byte.
 */
import { chmodSync, lstatSync, readFileSync, unlinkSync, watchFile, unwatchFile } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls';
import type { CheckListener } from '../config/schema.ts';
import { parseAddress } from '../core/address.ts';
import { certificateEndsMs } from '../crypto/certificate.ts';

type TlsFiles = NonNullable<CheckListener['tls']>;

export interface DoorEvents {
  onConnection(connection: Socket): void;
  /** Unix ms. */
  onCertificate(notAfterMs: number): void;
  onCertificateError(error: unknown): void;
}

export interface Door {
  readonly address: string;
  /** Accepts no more. */
  close(): void;
  /** Ends what is still connected. */
  destroy(): void;
}

const CERTIFICATE_LOOK_MS = 1000;
const HANDSHAKE_MS = 5000;
/** Connections come from proxies' threads, so they are few. */
const MAX_CONNECTIONS = 4096;

/** @throws {Error} with one line that says what to do. */
export async function listen(listener: CheckListener, events: DoorEvents): Promise<Door> {
  const address = parseAddress(listener.address);
  if (address === undefined) throw new Error(`listeners.check.address: expected an address, got "${listener.address}"`);
  const sockets = new Set<Socket>();
  const admit = (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setNoDelay(true);
    events.onConnection(socket);
  };
  const { server, stopWatching } = listener.tls === undefined ? plain(admit) : mutualTls(listener.tls, admit, events);
  server.maxConnections = MAX_CONNECTIONS;

  if (address.kind === 'unix') await removeStaleSocket(address.path);
  await started(
    server,
    address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port },
    listener.address,
  );
  if (address.kind === 'unix') chmodSync(address.path, Number.parseInt(listener.socketMode, 8));

  return {
    address: address.kind === 'unix' ? listener.address : boundAddress(server),
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
function mutualTls(files: TlsFiles, admit: (socket: Socket) => void, events: DoorEvents): Listening {
  const first = readContext(files);
  events.onCertificate(first.notAfterMs);
  const fixed = { requestCert: true, rejectUnauthorized: true, ALPNProtocols: ['h2'], handshakeTimeout: HANDSHAKE_MS };
  const server = createTlsServer({ ...first.options, ...fixed }, (socket) => {
    if (socket.alpnProtocol === 'h2' && hasAllowedName(socket, files.allowedSans)) admit(socket);
    else socket.destroy();
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());

  const watched = [files.certFile, files.keyFile, files.clientCaFile];
  const reread = () => {
    try {
      const next = readContext(files);
      server.setSecureContext(next.options);
      events.onCertificate(next.notAfterMs);
    } catch (error) {
      events.onCertificateError(error);
    }
  };
  for (const file of watched) watchFile(file, { interval: CERTIFICATE_LOOK_MS, persistent: false }, reread);
  return {
    server,
    stopWatching() {
      for (const file of watched) unwatchFile(file, reread);
    },
  };
}

function readContext(files: TlsFiles): { options: TlsOptions; notAfterMs: number } {
  const cert = readFileSync(files.certFile);
  const options = {
    cert,
    key: readFileSync(files.keyFile),
    ca: readFileSync(files.clientCaFile),
    minVersion: 'TLSv1.3' as const,
  };
  return { options, notAfterMs: certificateEndsMs(cert) };
}

/** Whole names only. A name that holds a NUL or is quoted by the parser equals none of the list, since the list holds neither. */
function hasAllowedName(socket: TLSSocket, allowed: readonly string[]): boolean {
  const names = socket.getPeerX509Certificate()?.subjectAltName ?? '';
  if (names.includes('\0') || names.includes('"')) return false;
  return names.split(', ').some((name) => allowed.includes(name.replace(/^(DNS|URI|IP Address|email):/, '')));
}

/** A socket that nobody answers at is left of a process that died. Anything else at that path is not ours to remove. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new Error(`listeners.check.address: unix:${path} exists and is no socket; remove it or choose another path`);
  const answer = await knock(path);
  if (answer === 'connected')
    throw new Error(
      `listeners.check.address: unix:${path} is taken: another process answers there; stop it or choose another path`,
    );
  if (answer !== 'ECONNREFUSED')
    throw new Error(`listeners.check.address: unix:${path} can't be looked at (${answer})`);
  unlinkSync(path);
}

/** @returns `connected`, or the error's code. */
function knock(path: string): Promise<string> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.on('connect', () => {
      probe.destroy();
      resolve('connected');
    });
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'));
  });
}

function started(
  server: Server,
  where: { path: string } | { host: string; port: number },
  text: string,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      const what =
        error.code === 'EADDRINUSE'
          ? 'is taken; stop what listens there or choose another'
          : `can't be bound (${error.code})`;
      reject(new Error(`listeners.check.address: ${text} ${what}`, { cause: error }));
    };
    server.once('error', failed);
    server.listen(where, () => {
      server.off('error', failed);
      server.on('error', () => undefined); // Accepting can fail for lack of descriptors; the next attempt may not.
      resolve();
    });
  });
}

function boundAddress(server: Server): string {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('a TCP server without an address');
  return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}
