/** Bytes that no client of ours would send: whatever comes, nothing passes by accident and the front goes on. */
import { afterEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { lstat, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import * as v from 'valibot';
import { defineEndpoint } from '../../src/core/scheme.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { closeFronts, openFront, type Rig } from './rig.ts';

afterEach(closeFronts);

let handled = 0;
const echo = defineEndpoint({
  listener: 'issuer',
  method: 'POST',
  path: '/echo',
  bucket: 'issuer',
  body: v.strictObject({ user: v.pipe(v.string(), v.regex(/^[a-z]{1,8}$/)) }),
  handle({ body }) {
    handled += 1;
    return { status: 200, body };
  },
});

async function send(rig: Rig, bytes: Uint8Array): Promise<string> {
  const [host = '', port = ''] = rig.address.split(':');
  const socket = connect(Number(port), host);
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.end(bytes);
  await once(socket, 'close');
  return text;
}

const post = (body: Uint8Array) =>
  Buffer.concat([
    Buffer.from(
      `POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
    ),
    body,
  ]);

test('any body is either the one form that the endpoint takes or refused with malformed', async () => {
  const rig = await openFront([echo]);
  const nearly = fc.constantFrom('{"user":"a"}', '{"user":"a","user":"b"}', '{"user":"a"} ', '{"user":"\\u0061"}');
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => Buffer.from(text)),
    fc.tuple(nearly, fc.nat(20), fc.nat(255)).map(([text, at, byte]) => {
      const bytes = Buffer.from(text);
      bytes[at % bytes.length] = byte;
      return bytes;
    }),
  );
  await fc.assert(
    fc.asyncProperty(bodies, async (body) => {
      const answer = await send(rig, post(body));
      const status = answer.slice(9, 12);
      if (status === '200') expect(JSON.parse(Buffer.from(body).toString())).toEqual({ user: expect.any(String) });
      else expect([status, answer]).toEqual(['400', expect.stringContaining('"code":"malformed"')]);
    }),
    { numRuns: 150 },
  );
  expect(rig.faults).toEqual([]);
});

test('arbitrary bytes on the socket reach no endpoint, raise no fault, and leave the front serving', async () => {
  const rig = await openFront([echo]);
  const pieces = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc
      .constantFrom(
        'POST /echo HTTP/1.1\r\n',
        'GET /',
        'host: x\r\n',
        'transfer-encoding: chunked\r\n',
        '\r\n\r\n',
        '0\r\n',
      )
      .map((text) => Buffer.from(text)),
  );
  const before = handled;
  await fc.assert(
    fc.asyncProperty(fc.array(pieces, { maxLength: 6 }), async (parts) => {
      expect(await send(rig, Buffer.concat(parts))).not.toMatch(/^HTTP\/1\.1 2/);
    }),
    { numRuns: 100 },
  );
  expect(handled).toBe(before);
  expect(rig.faults).toEqual([]);
  expect(await send(rig, post(Buffer.from('{"user":"a"}')))).toMatch(/^HTTP\/1\.1 200/);
});

test('an answer that can not be written is 503, with nothing of it left, and the next call is served', async () => {
  const broken = defineEndpoint({
    listener: 'issuer',
    method: 'GET',
    path: '/broken',
    bucket: 'own',
    handle: () => ({
      status: 200,
      body: {},
      headers: [
        ['etag', '"x"'],
        ['x-a', 'a\nb'],
      ],
    }),
  });
  const rig = await openFront([echo, broken]);
  const answer = await fetch(`${rig.url}/broken`);
  expect([answer.status, answer.headers.get('etag'), answer.headers.get('retry-after')]).toEqual([503, null, '1']);
  expect(await send(rig, post(Buffer.from('{"user":"a"}')))).toMatch(/^HTTP\/1\.1 200/);
});

test('a refusal whose own form can not be made closes the connection and nothing else', async () => {
  const broken = defineEndpoint({
    listener: 'issuer',
    method: 'POST',
    path: '/broken',
    bucket: 'own',
    problem: () => {
      throw new Error('no form');
    },
    handle: () => ({ status: 200, body: {} }),
  });
  const rig = await openFront([echo, broken]);
  await expect(fetch(`${rig.url}/broken`, { method: 'POST', body: 'x'.repeat(2000) })).rejects.toThrow('fetch failed');
  expect(await send(rig, post(Buffer.from('{"user":"a"}')))).toMatch(/^HTTP\/1\.1 200/);
});

test('a file that lies where the socket should is not removed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'front-'));
  const path = join(folder, 'socket');
  await writeFile(path, 'precious');
  await expect(openFront([echo], { address: `unix:${path}` })).rejects.toThrow('exists and is no socket');
  expect(await readFile(path, 'utf8')).toBe('precious');
  await rm(folder, { recursive: true });
});

test('a socket that a live process answers at stays its own; one that nobody answers at is taken over', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'front-'));
  const path = join(folder, 'socket');
  const first = await openFront([echo], { address: `unix:${path}` });
  await expect(openFront([echo], { address: `unix:${path}` })).rejects.toThrow('another process answers there');
  expect((await lstat(path)).isSocket()).toBe(true);
  await rename(path, `${path}.aside`);
  await first.close(0); // Removes what lies at its path: nothing. The socket aside is one that nobody answers at.
  await rename(`${path}.aside`, path);
  const second = await openFront([echo], { address: `unix:${path}` });
  expect(second.address).toBe(`unix:${path}`);
  await second.close(0);
  await rm(folder, { recursive: true });
});

test('the time of a call is when its body was complete: a held-back upload does not stay fresh', async () => {
  const clock = createFakeClock(1_700_000_000_000);
  const asked = Promise.withResolvers<void>();
  const when = defineEndpoint({
    listener: 'issuer',
    method: 'POST',
    path: '/when',
    bucket: 'own',
    handle: ({ receivedAtMs }) => ({ status: 200, body: { receivedAtMs } }),
  });
  const bodyBytes = () => {
    asked.resolve();
    return 1024;
  };
  const rig = await openFront([when], { clock, bodyBytes });
  const [host = '', port = ''] = rig.address.split(':');
  const socket = connect(Number(port), host);
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  socket.write('POST /when HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{');
  await asked.promise;
  clock.advance(9_000);
  socket.write('}');
  await once(socket, 'close');
  expect(text).toContain('"receivedAtMs":1700000009000');
});
