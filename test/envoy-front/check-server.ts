/** A check server on a free port of this machine, with a handler that a test chooses. */
import type { CheckListener } from '../../src/config/schema.ts';
import type { Clock } from '../../src/core/clock.ts';
import { systemClock } from '../../src/core/clock.ts';
import { preparedDeny } from '../../src/envoy/answer.ts';
import type { CheckHandler } from '../../src/envoy/check-handler.ts';
import { createCheckServer } from '../../src/envoy/server.ts';
import type { CheckServer } from '../../src/envoy/server.ts';

export interface ServerOptions {
  readonly listener?: Partial<CheckListener>;
  readonly handle?: CheckHandler['handle'];
  readonly maxMessageBytes?: number;
  readonly clock?: Clock;
  called?(code: string, ms: number): void;
  onCertificate?(notAfterMs: number): void;
  onCertificateError?(error: unknown): void;
}

/** Echoes the message; of a message that is none, its name. */
export const echo: CheckHandler['handle'] = async (message) =>
  Error.isError(message) ? new TextEncoder().encode(message.message) : Uint8Array.from(message);

export function startServer(options: ServerOptions = {}): Promise<CheckServer> {
  return createCheckServer({
    listener: {
      address: '127.0.0.1:0',
      socketMode: '0660',
      maxConcurrentStreams: 1024,
      maxConnectionAge: null,
      meshTls: false,
      ...options.listener,
    },
    handler: {
      handle: options.handle ?? echo,
      prepared: () => preparedDeny('denied'),
      maxMessageBytes: () => options.maxMessageBytes ?? 512 * 1024,
      inFlight: () => 0,
    },
    clock: options.clock ?? systemClock,
    ...(options.called !== undefined && { called: options.called }),
    certificates: {
      onCertificate: (notAfterMs) => options.onCertificate?.(notAfterMs),
      onCertificateError: (error) => options.onCertificateError?.(error),
    },
  });
}
