/** The HTTP fronts: what is refused before an endpoint hears of it, and how every refusal looks (CT-12 to CT-14). */
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { DENIAL_CODES, type DenialCode, Denial } from '../../src/core/decision.ts';
import { Fault, StoreFault } from '../../src/core/fault.ts';
import { HTTP_PROBLEMS, HttpProblem, type HttpProblemCode } from '../../src/core/http.ts';
import { defineEndpoint, type Endpoint } from '../../src/core/scheme.ts';
import { pathMap } from '../../src/http/mounted.ts';
import { closeFronts, openFront, type Rig } from './rig.ts';

afterEach(closeFronts);

const JSON_TYPE = { 'content-type': 'application/json' };
const echo = defineEndpoint({
  listener: 'issuer',
  method: 'POST',
  path: '/echo',
  bucket: 'issuer',
  body: v.strictObject({ user: v.string() }),
  subject: ({ user }) => user,
  handle: ({ body, source }) => ({ status: 200, body: { ...body, source } }),
});
const throwing = (thrown: unknown): Endpoint => ({
  listener: 'issuer',
  method: 'POST',
  path: '/throw',
  bucket: 'issuer',
  handle: () => {
    throw thrown as Error;
  },
});

const post = (
  rig: Rig,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = JSON_TYPE,
  path = '/echo',
) => fetch(rig.url + path, { method: 'POST', body, headers });

test('a right request reaches its endpoint, is charged with its subject, and is never stored', async () => {
  const rig = await openFront([echo]);
  const answer = await post(rig, '{"user":"alice"}', { 'content-type': 'application/json; charset=utf-8' });
  expect([answer.status, await answer.json()]).toEqual([200, { user: 'alice', source: '127.0.0.1' }]);
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(rig.charges).toEqual([['/echo', '127.0.0.1', 'alice']]);
  expect(rig.requests).toEqual([{ endpoint: '/echo', status: 200, scheme: 'example' }]);
});

describe('refuses', () => {
  test.each<[string, string, number, string]>([
    ['not JSON', '{', 400, 'malformed'],
    ['nothing', '', 400, 'malformed'],
    ['a list', '[]', 400, 'malformed'],
    ['a duplicate member', '{"user":"a","user":"b"}', 400, 'malformed'],
    ['an unknown member', '{"user":"a","role":"admin"}', 400, 'malformed'],
    ['__proto__', '{"user":"a","__proto__":{}}', 400, 'malformed'],
    ['a wrong type', '{"user":1}', 400, 'malformed'],
    ['trailing bytes', '{"user":"a"} x', 400, 'malformed'],
    ['more bytes than are read', JSON.stringify({ user: 'a'.repeat(2000) }), 413, 'too_large'],
  ])('%s, and charges the address', async (_title, body, status, code) => {
    const rig = await openFront([echo]);
    const answer = await post(rig, body);
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([status, code]);
    expect(rig.charges).toEqual([['/echo', '127.0.0.1', 'unreadable']]);
  });

  test.each([
    undefined,
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonp',
    'multipart/form-data; application/json',
  ])('the media type %s with unsupported_media_type', async (type) => {
    const rig = await openFront([echo]);
    const answer = await post(rig, '{"user":"a"}', type === undefined ? {} : { 'content-type': type });
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([415, 'unsupported_media_type']);
  });

  test('a body over the limit with too_large, by its length and without one, and closes the connection', async () => {
    const rig = await openFront([echo]);
    const exact = `{"user":"${'a'.repeat(1024 - 11)}"}`;
    expect((await post(rig, exact)).status).toBe(200);
    const answer = await post(rig, `${exact} `);
    expect([answer.status, answer.headers.get('connection')]).toEqual([413, 'close']);
    const chunked = httpRequest(`${rig.url}/echo`, {
      method: 'POST',
      headers: { ...JSON_TYPE, 'transfer-encoding': 'chunked' },
    });
    chunked.on('error', () => undefined);
    chunked.write('a'.repeat(2000));
    const [response] = (await once(chunked, 'response')) as [{ statusCode: number }];
    expect(response.statusCode).toBe(413);
    chunked.destroy();
  });

  test('a path that is not there, and another method with the ones there are', async () => {
    const rig = await openFront([echo]);
    for (const path of [
      '/',
      '/ECHO',
      '/echo/',
      '/echo/x',
      '//echo',
      '/%65cho',
      '/echo%2f',
      '/__proto__',
      '/constructor',
    ]) {
      expect([path, (await post(rig, '{"user":"a"}', JSON_TYPE, path)).status]).toEqual([path, 404]);
    }
    const answer = await fetch(`${rig.url}/echo`);
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
    expect(
      (await fetch(`${rig.url}/echo`, { method: 'OPTIONS', headers: { origin: 'https://evil.example.com' } })).status,
    ).toBe(405);
  });
});

describe('every refusal', () => {
  test.each(Object.keys(DENIAL_CODES) as DenialCode[])('%s has its status and one form', async (code) => {
    const { answer, text, members } = await told(new Denial(code, 'SECRET DETAIL'));
    expect(answer.status).toBe(DENIAL_CODES[code].issuer);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(Object.keys(members)).toEqual(['type', 'title', 'status', 'code', 'request']);
    expect(members['code']).toBe(code === 'unknown_credential' ? 'signature_invalid' : code);
    expect(members['request']).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(text.length).toBeLessThanOrEqual(512);
    expect(text).not.toContain('SECRET');
    expect(answer.headers.has('auth-server-time')).toBe(code === 'stale' || code === 'not_yet_valid');
  });

  test('unknown_credential and signature_invalid differ in the request id alone (CT-13)', async () => {
    const forms = [];
    for (const code of ['unknown_credential', 'signature_invalid'] as const) {
      const { answer, text } = await told(new Denial(code, 'x'));
      const headers = [...answer.headers].filter(([name]) => name !== 'date');
      forms.push([answer.status, headers, text.replace(/"request":"[^"]*"/, '')]);
    }
    expect(forms[1]).toEqual(forms[0]);
  });

  test('a size is 413, a wait is told in seconds', async () => {
    expect((await told(new Denial('malformed', 'x', { oversized: true }))).answer.status).toBe(413);
    const { answer } = await told(new Denial('rate_limited', 'x', { retryAfterSeconds: 7 }));
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '7']);
  });

  test.each(Object.keys(HTTP_PROBLEMS) as HttpProblemCode[])('%s of the front', async (code) => {
    const { answer, members } = await told(new HttpProblem(code, 'SECRET'));
    expect([answer.status, members['code']]).toEqual([HTTP_PROBLEMS[code], code]);
  });

  test.each<[string, unknown, string]>([
    ['a store fault', new StoreFault('down', 'SECRET'), '1'],
    ['a fault with a wait', new Fault('recovering', 'SECRET', { retryAfterSeconds: 4 }), '4'],
    ['a bug', new TypeError('SECRET'), '1'],
    ['something that is no error', 'SECRET', '1'],
    ['nothing', undefined, '1'],
  ])('%s is 503 with retry-after, counted as a fault (CT-14)', async (_title, thrown, seconds) => {
    const { rig, answer, text, members } = await told(thrown);
    expect([answer.status, members['code'], answer.headers.get('retry-after')]).toEqual([503, 'unavailable', seconds]);
    expect(text).not.toContain('SECRET');
    expect(rig.faults).toEqual([thrown]);
  });

  test('an endpoint with a form of its own is told in it, the refusals by the front too', async () => {
    const own: Endpoint = { ...echo, problem: (status, code) => ({ error: code, status }) };
    const rig = await openFront([own]);
    const answer = await post(rig, '{');
    expect([answer.status, answer.headers.get('content-type'), await answer.json()]).toEqual([
      400,
      'application/json',
      { error: 'malformed', status: 400 },
    ]);
  });
});

describe('origins', () => {
  test('a listed one gets its headers on answers, refusals and the preflight; others get none', async () => {
    const rig = await openFront([echo], { crossOrigin });
    expect(allowed(await post(rig, '{"user":"a"}', from('https://app.example.com')))).toBe('https://app.example.com');
    expect(allowed(await post(rig, '{', from('https://app.example.com')))).toBe('https://app.example.com');
    const preflight = await fetch(`${rig.url}/echo`, {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example.com' },
    });
    expect([preflight.status, allowed(preflight)]).toEqual([204, 'https://app.example.com']);
    for (const origin of ['https://evil.example.com', 'https://app.example.com.evil.com', 'null']) {
      expect(allowed(await post(rig, '{"user":"a"}', from(origin)))).toBeNull();
    }
  });
});

describe('connections', () => {
  test.each<[string, string[]]>([
    ['silence', []],
    ['half a request line', ['POST /ec']],
    ['headers without end', ['POST /echo HTTP/1.1\r\nhost: x\r\n', 'x-a: b\r\n']],
    [
      'a body that does not come',
      ['POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{'],
    ],
  ])('are closed by the server on %s (OP-17)', async (_title, pieces) => {
    const rig = await openFront([echo]);
    await dribble(rig, pieces);
    expect(rig.faults).toEqual([]); // Strangers must not be able to raise an alarm.
    expect((await post(rig, '{"user":"a"}')).status).toBe(200);
  });

  test.each<[string, string]>([
    [
      'both lengths',
      'POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /echo HTTP/1.1\r\n\r\n',
    ],
    ['two lengths', 'POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef'],
    ['a bare line feed in a header', 'POST /echo HTTP/1.1\r\nhost: x\r\nx: a\n b\r\n\r\n'],
    ['headers above 16 KiB', `POST /echo HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`],
  ])('are closed on what may be smuggling: %s', async (_title, bytes) => {
    const rig = await openFront([echo]);
    await dribble(rig, [bytes]);
    expect(rig.requests.filter(({ status }) => status === 200)).toEqual([]);
  });

  test('one that is cut in the middle of a body is no fault of ours', async () => {
    const rig = await openFront([echo]);
    const [host = '', port = ''] = rig.address.split(':');
    const socket = connect(Number(port), host);
    await once(socket, 'connect');
    const head = 'POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{';
    await new Promise((resolve) => socket.write(head, resolve));
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.resetAndDestroy();
    while (rig.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(rig.faults).toEqual([]);
  });

  test('the trusted hop of x-forwarded-for is the source, what a client put before it is not', async () => {
    const rig = await openFront([echo], { trustedHops: () => 1 });
    const answer = await post(rig, '{"user":"a"}', { ...JSON_TYPE, 'x-forwarded-for': '198.51.100.1, 203.0.113.5' });
    expect(await answer.json()).toMatchObject({ source: '203.0.113.5' });
    const plain = await openFront([echo]);
    const other = await post(plain, '{"user":"a"}', { ...JSON_TYPE, 'x-forwarded-for': '198.51.100.1' });
    expect(await other.json()).toMatchObject({ source: '127.0.0.1' });
  });

  test('a unix socket is for owner and group alone', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cs-'));
    const path = join(folder, 's');
    const rig = await openFront([echo], { address: `unix:${path}` });
    expect((await stat(path)).mode & 0o777).toBe(0o660);
    await rig.close(0);
    await rm(folder, { recursive: true });
  });

  test('an address that is taken says which setting', async () => {
    const rig = await openFront([echo]);
    await expect(openFront([echo], { address: rig.address })).rejects.toThrow(
      `listeners.issuer.address: ${rig.address} is taken`,
    );
  });
});

test('two endpoints on one path and method are refused when mounted', () => {
  const mounted = { path: '/echo', endpoint: echo };
  expect(() => pathMap([mounted, mounted])).toThrow('two endpoints claim POST /echo');
});

async function told(thrown: unknown) {
  const rig = await openFront([throwing(thrown)]);
  const answer = await post(rig, '', {}, '/throw');
  const text = await answer.text();
  return { rig, answer, text, members: JSON.parse(text) as Record<string, unknown> };
}

const crossOrigin = (origin: string) =>
  origin === 'https://app.example.com' ? ([['access-control-allow-origin', origin]] as const) : undefined;

const from = (origin: string) => ({ ...JSON_TYPE, origin });
const allowed = (answer: Response) => answer.headers.get('access-control-allow-origin');

/** Bytes to write, one after the other with pauses; resolves when the server closes. */
async function dribble(rig: Rig, pieces: readonly string[]): Promise<void> {
  const [host = '', port = ''] = rig.address.split(':');
  const socket = connect(Number(port), host);
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  socket.resume();
  for (const piece of pieces) socket.write(piece);
  await closed;
}
