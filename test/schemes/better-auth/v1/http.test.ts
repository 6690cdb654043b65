/** What public clients find at the paths of v1, over real sockets (BA-33, section 4.5). */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../../src/core/clock.ts';
import { createHttpServer, type HttpServer } from '../../../../src/http/server.ts';
import { mountIssuer } from '../../../../src/issuer/server.ts';
import type { SchemeWorld } from '../../../support/scheme-world.ts';
import { betterAuthWorld, vectors } from '../world.ts';
import { createMessage, newActor } from './actor.ts';

const RESPONSE_KEY = vectors.keys['response-server'].publicKey;

let world: SchemeWorld;
let server: HttpServer;
let url: string;
let requestTimeoutMs = 5000;

beforeAll(async () => {
  world = betterAuthWorld({ clock: systemClock });
  const facts = { audiences: [], nowMs: () => Date.now(), jwks: () => ({ members: {}, headers: [] }) };
  const policy = world.policy();
  const paths = mountIssuer('/auth', [{ scheme: world.scheme, endpoints: world.scheme.endpoints, policy }], facts);
  server = await createHttpServer({
    address: '127.0.0.1:0',
    setting: 'listeners.issuer.address',
    headersTimeoutMs: 5000,
    requestTimeoutMs,
    keepAliveTimeoutMs: 1000,
    maxConnections: 100,
    mounted: () => paths,
    bodyBytes: () => 65_536,
    trustedHops: () => 0,
    clock: systemClock,
    random: (count) => world.resources.random(count),
    events: { request: () => undefined, fault: () => undefined },
  });
  url = `http://${server.address}`;
});

afterAll(() => server.close(0));

const post = (path: string, body: string, headers: Record<string, string> = {}) =>
  fetch(`${url}${path}`, { method: 'POST', body, headers });

/** Bytes in, bytes out. */
async function raw(text: string): Promise<string> {
  const [host = '', port = ''] = server.address.split(':');
  const socket = connect(Number(port), host);
  let answer = '';
  socket.on('data', (chunk) => (answer += String(chunk)));
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

describe('/key/response', () => {
  test.each([
    ['GET', {}],
    ['POST', {}],
    ['POST', { body: '', headers: { 'content-type': 'application/json' } }],
    ['POST', { body: '{}', headers: { 'content-type': 'application/json' } }],
    ['POST', { body: 'not json', headers: { 'content-type': 'text/weird' } }],
  ])('%s %j: 48 characters, no quotes, no line feed', async (method, init) => {
    const answer = await fetch(`${url}/key/response`, { method, ...init });
    expect([answer.status, await answer.text()]).toEqual([200, RESPONSE_KEY]);
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(RESPONSE_KEY).toHaveLength(48);
  });

  test('HEAD has its headers and no body', async () => {
    const answer = await fetch(`${url}/key/response`, { method: 'HEAD' });
    expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([200, '48', '']);
  });
});

test('/better-auth/keys tells all public keys, for five minutes', async () => {
  const answer = await fetch(`${url}/better-auth/keys`);
  expect(answer.headers.get('cache-control')).toBe('max-age=300');
  expect(await answer.text()).toBe(
    `{"access":[{"publicKey":"${vectors.keys['access-server'].publicKey}","state":"active"}],` +
      `"response":[{"publicKey":"${RESPONSE_KEY}","publicKeyDigest":"${vectors.derived[0]?.value}","state":"active"}]}`,
  );
});

test.each([undefined, 'application/json', 'text/plain', 'application/json; charset=utf-8'])(
  'content type %s is taken, and no other header is asked for',
  async (type) => {
    const answer = await post(
      '/account/create',
      createMessage(newActor()),
      type === undefined ? {} : { 'content-type': type },
    );
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/json']);
    expect(answer.headers.get('set-cookie')).toBeNull();
    expect(await answer.text()).toMatch(/^\{"payload":/);
  },
);

test('an offer of h2c is answered in HTTP/1.1', async () => {
  const body = createMessage(newActor());
  const answer = await raw(
    `POST /account/create HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings, close\r\nupgrade: h2c\r\n` +
      `http2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(answer).toContain('{"payload":');
});

test('another method is 405 with what is allowed', async () => {
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
    const answer = await fetch(`${url}/account/create`, { method });
    expect([method, answer.status, answer.headers.get('allow')]).toEqual([method, 405, 'POST']);
    const text = await answer.text();
    if (method !== 'HEAD') expect(JSON.parse(text)).not.toHaveProperty('payload');
  }
});

test.each([
  ['{}', 400, 'BA101', 'Message structure is invalid or malformed'],
  ['x'.repeat(32_769), 413, 'CS413', 'Message too large'],
  ['x'.repeat(65_537), 413, 'CS413', 'Message too large'],
  [
    createMessage(newActor(), {
      nonce: '0AAAAAAAAAAAAAAAAAAAAAAA',
      authentication: { identity: `E${'A'.repeat(43)}` },
    }),
    400,
    'BA102',
    'Identity verification failed',
  ],
])('a refusal has the body of the public protocol: %#', async (body, status, code, message) => {
  const answer = await post('/account/create', body);
  expect([answer.status, answer.headers.get('content-type')]).toEqual([status, 'application/json']);
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(await answer.json()).toEqual({ error: { code, message, context: {} } });
});

test('a failed authentication names our way in, a fault says when to come again', async () => {
  const text = createMessage(newActor());
  const wrong = text.replace(/"signature":"0I(.)/, (_, c: string) => `"signature":"0I${c === 'A' ? 'B' : 'A'}`);
  const refused = await post('/account/create', wrong);
  expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
    401,
    'BetterAuth realm="countersign", error="signature_invalid"',
  ]);
  const { ring } = world;
  world.ring = [];
  const answer = await post('/account/create', text);
  world.ring = ring;
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
  expect(await answer.json()).toEqual({ error: { code: 'CS503', message: 'Temporarily unavailable', context: {} } });
});

test('a body that never comes to its end is cut off', async () => {
  requestTimeoutMs = 5000;
  const [host = '', port = ''] = server.address.split(':');
  const socket = connect(Number(port), host);
  socket.write('POST /account/create HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"payload":');
  await once(socket, 'close');
  expect(socket.destroyed).toBe(true);
}, 20_000);
