/** Who may call Check at all: sockets and their files, and clients by the names in their certificates. */
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { CheckServer } from '../../src/envoy/server.ts';
import { createAuthority } from '../support/certificates.ts';
import type { Certificate, CertificateRequest } from '../support/certificates.ts';
import { startServer } from './check-server.ts';
import { framed, openCaller } from './grpc-caller.ts';

let folder: string;
const servers: CheckServer[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-listener-'));
});

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.drain(1000)));
  rmSync(folder, { recursive: true });
});

async function start(...options: Parameters<typeof startServer>): Promise<CheckServer> {
  const server = await startServer(...options);
  servers.push(server);
  return server;
}

const at = (name: string) => ({ listener: { address: `unix:${join(folder, name)}` } });

/** Whether a call is answered. */
async function answers(address: string, options = {}): Promise<boolean> {
  try {
    const caller = await openCaller(address, options);
    const { grpcStatus } = await caller.call([framed(Uint8Array.of(1))]);
    await caller.close();
    return grpcStatus === '0';
  } catch {
    return false;
  }
}

describe('a unix socket', () => {
  test.each(['0660', '0600', '0777'])('serves calls and has mode %s', async (socketMode) => {
    const server = await start({ listener: { ...at('s').listener, socketMode } });
    expect(await answers(server.address)).toBe(true);
    expect((statSync(join(folder, 's')).mode & 0o777).toString(8)).toBe(socketMode.slice(1));
  });

  test('takes the place of one whose process died', async () => {
    const path = join(folder, 's');
    const { spawnSync } = await import('node:child_process');
    spawnSync(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ]);
    expect(statSync(path).isSocket()).toBe(true);
    expect(await answers((await start(at('s'))).address)).toBe(true);
  });

  test('never takes the place of one that somebody answers at', async () => {
    const first = await start(at('s'));
    await expect(startServer(at('s'))).rejects.toThrow(/another process answers there/);
    expect(await answers(first.address)).toBe(true);
  });

  test('never removes what is no socket', async () => {
    writeFileSync(join(folder, 's'), 'mine');
    await expect(startServer(at('s'))).rejects.toThrow(/exists and is no socket/);
    expect(existsSync(join(folder, 's'))).toBe(true);
  });

  test('in a folder that is not there says so in one line', async () => {
    await expect(startServer(at('no/s'))).rejects.toThrow(
      /^listeners\.check\.address: unix:.* can't be bound \(E[A-Z]+\)$/,
    );
  });

  test('is gone after a drain', async () => {
    const server = await start(at('s'));
    await server.drain(1000);
    expect(existsSync(join(folder, 's'))).toBe(false);
  });
});

test('a port that is taken is named in one line', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => {
    other.listen(0, '127.0.0.1', resolve);
  });
  const { port } = other.address() as { port: number };
  await expect(startServer({ listener: { address: `127.0.0.1:${port}` } })).rejects.toThrow(
    /is taken; stop what listens there or choose another/,
  );
  other.close();
});

describe('mutual TLS', () => {
  const authority = createAuthority('ca');
  const allowedSans = ['envoy.mesh.example.com', 'spiffe://cluster.local/ns/istio-ingress/sa/ingress', '10.1.2.3'];

  function write(certificate: Certificate, ca = authority.certificate) {
    const files = {
      certFile: join(folder, 'tls.crt'),
      keyFile: join(folder, 'tls.key'),
      clientCaFile: join(folder, 'ca.crt'),
    };
    writeFileSync(files.certFile, certificate.certificate);
    writeFileSync(files.keyFile, certificate.key);
    writeFileSync(files.clientCaFile, ca);
    chmodSync(files.keyFile, 0o600);
    return files;
  }

  async function serve(options: Parameters<typeof startServer>[0] = {}): Promise<CheckServer> {
    const files = write(authority.issue({ dns: ['localhost'] }));
    return start({ ...options, listener: { tls: { ...files, allowedSans } } });
  }

  const clientWith = (request: CertificateRequest, by = authority) => {
    const { certificate, key } = by.issue(request);
    return { ca: authority.certificate, cert: certificate, key, servername: 'localhost' };
  };

  test.each<[string, CertificateRequest]>([
    ['DNS', { dns: ['envoy.mesh.example.com'] }],
    ['URI', { uri: ['spiffe://cluster.local/ns/istio-ingress/sa/ingress'] }],
    ['IP address', { ip: [[10, 1, 2, 3]] }],
    ['one of several', { dns: ['other.example.com', 'envoy.mesh.example.com'] }],
  ])('lets in a client by an allowed name: %s', async (_kind, request) => {
    expect(await answers((await serve()).address, clientWith(request))).toBe(true);
  });

  test.each<[string, CertificateRequest]>([
    ['another name', { dns: ['other.example.com'] }],
    ['an allowed name with more behind it', { dns: ['envoy.mesh.example.com.evil.example.com'] }],
    ['an allowed name with more before it', { dns: ['evil-envoy.mesh.example.com'] }],
    ['an allowed name and a NUL', { dns: ['envoy.mesh.example.com\0.evil.example.com'] }],
    ['an allowed name and a NUL beside an allowed name', { dns: ['envoy.mesh.example.com', 'x\0y'] }],
    ['a list in one name', { dns: ['x, DNS:envoy.mesh.example.com'] }],
    ['a wildcard', { dns: ['*.mesh.example.com'] }],
    ['an allowed name in another case', { dns: ['ENVOY.mesh.example.com'] }],
    ['no name', {}],
    ['a certificate that has ended', { dns: ['envoy.mesh.example.com'], notAfterMs: Date.now() - 1000 }],
  ])('refuses a client with %s', async (_what, request) => {
    const server = await serve();
    expect(await answers(server.address, clientWith(request))).toBe(false);
    expect(await answers(server.address, clientWith({ dns: ['envoy.mesh.example.com'] }))).toBe(true);
  });

  test('refuses a client without a certificate, and one of another authority', async () => {
    const server = await serve();
    expect(await answers(server.address, { ca: authority.certificate, servername: 'localhost' })).toBe(false);
    expect(await answers(server.address, clientWith({ dns: ['envoy.mesh.example.com'] }, createAuthority('ca')))).toBe(
      false,
    );
  });

  test('refuses TLS 1.2, and a client that does not speak h2', async () => {
    const { address } = await serve();
    const client = clientWith({ dns: ['envoy.mesh.example.com'] });
    expect(await answers(address, { ...client, maxVersion: 'TLSv1.2' })).toBe(false);
    const [host = '', port] = address.split(':');
    for (const ALPNProtocols of [['http/1.1'], []]) {
      const socket = connectTls({ ...client, host, port: Number(port), ALPNProtocols }).resume();
      socket.on('error', () => undefined);
      await new Promise((resolve) => {
        socket.on('close', resolve);
      });
    }
  });

  test('refuses plaintext', async () => {
    expect(await answers((await serve()).address)).toBe(false);
  });

  test('takes a changed certificate, tells when it ends, and keeps the one before when the new one is broken', async () => {
    const ends: number[] = [];
    const errors: unknown[] = [];
    const server = await serve({
      onCertificate: (ms) => ends.push(ms),
      onCertificateError: (error) => errors.push(error),
    });
    const client = clientWith({ dns: ['envoy.mesh.example.com'] });
    writeFileSync(join(folder, 'tls.crt'), 'broken');
    await until(() => errors.length > 0);
    expect(await answers(server.address, client)).toBe(true);
    const next = authority.issue({ dns: ['localhost'], notAfterMs: Date.now() + 7_200_000 });
    write(next);
    await until(() => ends.at(-1) === next.notAfterMs);
    expect(await answers(server.address, client)).toBe(true);
  }, 60_000);

  test('with files that can not be read does not start', async () => {
    const files = write(authority.issue({ dns: ['localhost'] }));
    rmSync(files.keyFile);
    await expect(startServer({ listener: { tls: { ...files, allowedSans } } })).rejects.toThrow(/ENOENT/);
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 50));
}
