/** `countersign health`: for exec probes. Asks the admin listener, and with `--grpc` the check listener's health service. */
import { connect } from 'node:http2';
import { Buffer } from 'node:buffer';
import { connect as connectSocket } from 'node:net';
import { adminUrl, request } from './admin-api.ts';
import { CommandError, EXIT, optional, print, printJson, type Command } from './command.ts';

const WAIT_MS = 2000;
const SERVING = 1;

export const health: Command = {
  summary: 'exit 0 when the service is ready',
  usage: '[--admin URL] [--grpc host:port|unix:/path]',
  options: { admin: { type: 'string' }, grpc: { type: 'string' } },
  words: 0,
  async run(values) {
    const grpc = optional(values, 'grpc');
    const isReady = grpc === undefined ? await askAdmin(adminUrl(values)) : await askCheck(grpc);
    if (values['json'] === true) printJson({ ready: isReady });
    else print(isReady ? 'ready' : 'not ready');
    return isReady ? EXIT.ok : EXIT.checkFailed;
  },
};

async function askAdmin(admin: URL): Promise<boolean> {
  return (await request(new URL('/readyz', admin))).ok;
}

function askCheck(address: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => reject(new CommandError(EXIT.unreachable, `${address}: no answer`, { cause }));
    const session = connect('http://countersign', { createConnection: () => connectSocket(target(address)) });
    session.setTimeout(WAIT_MS, () => {
      session.destroy();
      fail(undefined);
    });
    session.on('error', fail);
    const call = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const chunks: Uint8Array[] = [];
    call.on('error', fail);
    call.on('data', (chunk: Uint8Array) => chunks.push(chunk));
    call.on('end', () => {
      session.close();
      const answer = Buffer.concat(chunks);
      resolve(answer[5] === 0x08 && answer[6] === SERVING);
    });
    call.end(Buffer.alloc(5)); // An empty HealthCheckRequest in gRPC framing.
  });
}

function target(address: string): { path: string } | { host: string; port: number } {
  if (address.startsWith('unix:')) return { path: address.slice('unix:'.length) };
  const [, host, port] = /^(.+):([0-9]+)$/.exec(address) ?? [];
  if (host === undefined)
    throw new CommandError(EXIT.usage, `--grpc: expected host:port or unix:/path, got "${address}"`);
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}
