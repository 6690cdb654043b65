/** The transport with nothing behind it: every Check is allowed by the same bytes. Never to be run in front of anything. */
import { createCheckServer } from '../src/envoy/server.ts';
import { systemClock } from '../src/core/clock.ts';

const ALLOW = Uint8Array.of(0x0a, 0x00, 0x1a, 0x00);

await createCheckServer({
  listener: {
    address: process.argv[2] ?? '',
    socketMode: '0660',
    maxConcurrentStreams: 1024,
    maxConnectionAge: null,
    meshTls: false,
  },
  handler: {
    handle: async () => ALLOW,
    prepared: () => ALLOW,
    maxMessageBytes: () => 2 * 1024 * 1024,
    inFlight: () => 0,
  },
  clock: systemClock,
  certificates: { onCertificate() {}, onCertificateError() {} },
});
