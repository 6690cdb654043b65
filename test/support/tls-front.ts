/** Ends TLS before a server that has none: the Valkey of the tests comes without. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { Certificate } from './certificates.ts';

export interface TlsFront {
  readonly url: string;
  /** Bytes the server was sent after the handshake. */
  received(): number;
  use(certificate: Certificate): void;
  cut(): void;
  stop(): Promise<void>;
}

export interface TlsFrontOptions {
  /** Of the server behind, on loopback. */
  readonly port: number;
  readonly certificate: Certificate;
  /** PEM: then a client certificate of this authority is asked for. */
  readonly clientCa?: string;
}

export async function startTlsFront({ port, certificate, clientCa }: TlsFrontOptions): Promise<TlsFront> {
  const sockets = new Set<TLSSocket>();
  let received = 0;
  const server: Server = createServer({
    key: certificate.key,
    cert: certificate.certificate,
    ...(clientCa !== undefined && { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
  });
  server.on('secureConnection', (socket) => {
    sockets.add(socket);
    const target = connect(port, '127.0.0.1');
    socket.on('data', (chunk) => (received += chunk.length));
    for (const end of [socket, target]) end.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      target.destroy();
    });
    target.on('close', () => socket.destroy());
    socket.pipe(target).pipe(socket);
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, 'localhost');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `rediss://localhost:${address.port}`,
    received: () => received,
    use: ({ key, certificate: cert }) => server.setSecureContext({ key, cert }),
    cut,
    async stop() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
