/** A front with given endpoints on a real socket, its events written down. */
import { randomBytes } from '../../src/crypto/random.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { Endpoint } from '../../src/core/scheme.ts';
import { pathMap } from '../../src/http/mounted.ts';
import { createHttpServer, type HttpOptions, type HttpServer } from '../../src/http/server.ts';

export interface Rig extends HttpServer {
  readonly url: string;
  readonly requests: { scheme?: string; endpoint: string; status: number }[];
  readonly faults: unknown[];
  /** In place of the subject `unreadable` where the body was. */
  readonly charges: [path: string, source: string, subject: string | undefined][];
}

const opened: Rig[] = [];

export async function openFront(endpoints: readonly Endpoint[], options: Partial<HttpOptions> = {}): Promise<Rig> {
  const requests: Rig['requests'] = [];
  const faults: unknown[] = [];
  const charges: Rig['charges'] = [];
  const paths = pathMap(endpoints.map((endpoint) => ({ path: endpoint.path, endpoint, scheme: 'example' })));
  const server = await createHttpServer({
    address: '127.0.0.1:0',
    setting: 'listeners.issuer.address',
    headersTimeoutMs: 500,
    requestTimeoutMs: 1_000,
    keepAliveTimeoutMs: 1_000,
    maxConnections: 50,
    mounted: () => paths,
    bodyBytes: () => 1024,
    trustedHops: () => 0,
    clock: systemClock,
    random: randomBytes,
    charge: ({ path }, source, subject) => void charges.push([path, source, subject]),
    chargeUnreadable: ({ path }, source) => void charges.push([path, source, 'unreadable']),
    events: {
      request: ({ endpoint, status, scheme }) =>
        void requests.push({ endpoint, status, ...(scheme !== undefined && { scheme }) }),
      fault: (_reason, cause) => void faults.push(cause),
    },
    ...options,
  });
  const rig = { ...server, url: `http://${server.address}`, requests, faults, charges };
  opened.push(rig);
  return rig;
}

/** For `afterEach`. */
export async function closeFronts(): Promise<void> {
  await Promise.all(opened.splice(0).map((rig) => rig.close(0)));
}
