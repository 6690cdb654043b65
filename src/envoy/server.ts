/**
 * The transport of Checks: gRPC over HTTP/2, raw bytes both ways, on @grpc/grpc-js. It knows nothing of what the bytes mean.
 * Who may connect is `listener.ts`; another transport can take this one's place.
 */
import type { Buffer } from 'node:buffer';
import {
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { CheckListener } from '../config/schema.ts';
import type { CheckHandler } from './check-handler.ts';
import { createHealth } from './health.ts';
import { listen } from './listener.ts';

export interface CheckServer {
  /** Where it listens: `host:port` or `unix:/path`. */
  readonly address: string;
  /** What the health service says. */
  setServing(isServing: boolean): void;
  /** Stops accepting, says GOAWAY, lets calls in flight end. @returns false when some had to be cut off. */
  drain(timeoutMs: number): Promise<boolean>;
}

export interface CheckServerOptions {
  readonly listener: CheckListener;
  /** Bytes of the largest message: `envoy.maxRequestBytes` and what a Check has besides the body. */
  readonly maxMessageBytes: number;
  readonly handle: CheckHandler;
  /** A certificate was read: when it ends, unix ms. */
  onCertificate(notAfterMs: number): void;
  /** A changed certificate could not be read; the one before stays. */
  onCertificateError(error: unknown): void;
}

/** @throws {Error} with one line that says what to do, when the address is taken or the certificate can't be read. */
export async function createCheckServer(options: CheckServerOptions): Promise<CheckServer> {
  const { listener, maxMessageBytes, handle } = options;
  const health = createHealth();
  const server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_concurrent_streams': listener.maxConcurrentStreams,
    ...(listener.maxConnectionAge !== null && { 'grpc.max_connection_age_ms': listener.maxConnectionAge }),
    'grpc.max_connection_age_grace_ms': 5000,
    'grpc-node.max_session_memory': 64,
    'grpc-node.flow_control_window': 1024 * 1024,
    'grpc.enable_channelz': 0,
  });
  server.addService(CHECK_SERVICE, { Check: unary(handle) });
  server.addService(HEALTH_SERVICE, health.handlers as unknown as UntypedServiceImplementation);

  // Connections are ours, so that modes of sockets, TLS versions and names in certificates are judged before gRPC sees a byte.
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const door = await listen(listener, {
    onConnection: (connection) => injector.injectConnection(connection),
    onCertificate: (notAfterMs) => options.onCertificate(notAfterMs),
    onCertificateError: (error) => options.onCertificateError(error),
  });

  return {
    address: door.address,
    setServing: (isServing) => health.setServing(isServing),
    async drain(timeoutMs) {
      health.setServing(false);
      door.close();
      health.close();
      const wasQuiet = await shutDown(server, timeoutMs);
      door.destroy();
      return wasQuiet;
    },
  };
}

function unary(handle: CheckHandler) {
  return (call: ServerUnaryCall<Buffer, Uint8Array>, callback: sendUnaryData<Uint8Array>): void => {
    const cancelled = {
      get aborted() {
        return call.cancelled;
      },
    };
    const tryMs = Number(call.metadata.get('x-envoy-expected-rq-timeout-ms')[0] ?? Number.NaN);
    const deadline = call.getDeadline();
    const totalMs = (typeof deadline === 'number' ? deadline : deadline.getTime()) - Date.now();
    void handle(call.request, {
      totalMs: Number.isFinite(totalMs) ? totalMs : undefined,
      tryMs: Number.isFinite(tryMs) ? tryMs : undefined,
      cancelled,
    }).then((answer) => callback(null, answer));
  };
}

function shutDown(server: Server, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => {
      server.forceShutdown();
      resolve(false);
    }, timeoutMs);
    server.tryShutdown(() => {
      clearTimeout(cut);
      resolve(true);
    });
  });
}

const RAW = {
  requestStream: false,
  requestSerialize: (value: Buffer) => value,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Uint8Array) => bytes as Buffer,
  responseDeserialize: (bytes: Buffer) => bytes,
} as const;

const CHECK_SERVICE = {
  Check: { ...RAW, path: '/envoy.service.auth.v3.Authorization/Check', responseStream: false },
};

const HEALTH_SERVICE = {
  Check: { ...RAW, path: '/grpc.health.v1.Health/Check', responseStream: false },
  Watch: { ...RAW, path: '/grpc.health.v1.Health/Watch', responseStream: true },
};
