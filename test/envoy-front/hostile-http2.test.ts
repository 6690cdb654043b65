/** EU-12: Frames that only an attacker sends: the server stays up, closes what is too much, and does not grow. */
import { Buffer } from 'node:buffer';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { CheckServer } from '../../src/envoy/server.ts';
import { isLong } from '../support/long.ts';
import { echo, startServer } from './check-server.ts';
import { framed, openCaller } from './grpc-caller.ts';
import {
  CALL_FIELDS,
  callHeaders,
  dataFrame,
  fieldBlock,
  FLAG,
  FRAME,
  frameBytes,
  openRaw,
  settingsFrame,
} from './raw-http2.ts';
import type { Frame, RawConnection } from './raw-http2.ts';

const MANY = isLong ? 200_000 : 20_000;

let server: CheckServer;
let calls: number;
const open: RawConnection[] = [];

async function raw(settings?: readonly (readonly [number, number])[]): Promise<RawConnection> {
  const connection = await openRaw(server.address, settings);
  open.push(connection);
  return connection;
}

beforeEach(async () => {
  calls = 0;
  server = await startServer({
    handle: (message, call) => {
      calls += 1;
      return echo(message, call);
    },
  });
});

/** Whatever was done to it, the server answers others. */
afterEach(async () => {
  const caller = await openCaller(server.address);
  const { messages } = await caller.call([framed(Buffer.from('alive'))]);
  await caller.close();
  for (const { socket } of open.splice(0)) socket.destroy();
  const isDrained = await server.drain(5000);
  if (messages.length !== 1 || !isDrained) throw new Error('the server does not answer any more, or does not end');
});

const isReset = ({ type, stream }: Frame) => type === FRAME.rstStream && stream === 1;

async function misbehave(): Promise<void> {
  const connection = await raw();
  connection.send(
    callHeaders(1),
    dataFrame(1, Buffer.alloc(8000, 0xff), 0),
    dataFrame(1, framed(Buffer.alloc(3))),
    callHeaders(2),
  );
  await connection.closed;
  open.splice(0);
}

/** Sends in portions, as long as the other side takes them. */
async function flood(connection: RawConnection, count: number, frame: (i: number) => Buffer): Promise<void> {
  for (let i = 0; i < count && !connection.socket.destroyed; i += 500) {
    connection.send(...Array.from({ length: Math.min(500, count - i) }, (_, j) => frame(i + j)));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('closes the connection on', () => {
  test('rapid reset', async () => {
    const connection = await raw();
    await flood(connection, MANY, (i) =>
      Buffer.concat([callHeaders(2 * i + 1), frameBytes(FRAME.rstStream, 0, 2 * i + 1, Buffer.of(0, 0, 0, 8))]),
    );
    await connection.closed;
    expect(calls).toBe(0);
  });

  test('a flood of PING whose answers are not read', async () => {
    const connection = await raw();
    connection.socket.pause();
    await flood(connection, 10 * MANY, () => frameBytes(FRAME.ping, 0, 0, Buffer.alloc(8)));
    connection.socket.resume();
    await connection.closed;
  });

  test('a flood of SETTINGS whose answers are not read', async () => {
    const connection = await raw();
    connection.socket.pause();
    await flood(connection, 10 * MANY, () => settingsFrame([[4, 65_535]]));
    connection.socket.resume();
    await connection.closed;
  });

  test('a header block that CONTINUATION never ends', async () => {
    const connection = await raw();
    connection.send(callHeaders(1, 0));
    await flood(connection, MANY, () => frameBytes(FRAME.continuation, 0, 1, fieldBlock([['x', 'y'.repeat(100)]])));
    await connection.closed;
    expect(calls).toBe(0);
  });

  test.each([
    ['no preface', Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n')],
    ['a frame over the size limit', frameBytes(FRAME.data, 0, 1, Buffer.alloc(16_385))],
    ['data on a stream that was never opened', dataFrame(1, Buffer.alloc(1))],
    ['a stream number of the other side', callHeaders(2)],
    [
      'a broken header block',
      frameBytes(FRAME.headers, FLAG.endHeaders, 1, Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff)),
    ],
    ['a window beyond its limit', frameBytes(FRAME.windowUpdate, 0, 0, Buffer.of(0x7f, 0xff, 0xff, 0xff))],
  ])('%s', async (_what, bytes) => {
    const connection = await raw();
    connection.send(bytes);
    await connection.closed;
    expect(calls).toBe(0);
  });
});

describe('refuses without a call', () => {
  test('header lists over 32 KiB', async () => {
    const connection = await raw();
    const fields = [...CALL_FIELDS, ...Array.from({ length: 350 }, (_, i) => [`x-${i}`, 'v'.repeat(100)] as const)];
    const block = fieldBlock(fields);
    const parts = Array.from({ length: Math.ceil(block.length / 16_000) }, (_, i) =>
      block.subarray(16_000 * i, 16_000 * (i + 1)),
    );
    connection.send(
      ...parts.map((part, i) =>
        frameBytes(i === 0 ? FRAME.headers : FRAME.continuation, i === parts.length - 1 ? FLAG.endHeaders : 0, 1, part),
      ),
      dataFrame(1, framed(Buffer.from('x'))),
    );
    const reset = await connection.received(({ type, stream }) => type === FRAME.rstStream && stream === 1);
    expect(reset.payload.readUInt32BE(0)).toBeGreaterThan(0);
    expect(calls).toBe(0);
  });

  test('streams beyond the limit of one connection, which ends it', async () => {
    await server.drain(1000);
    server = await startServer({ listener: { maxConcurrentStreams: 10 } });
    const connection = await raw();
    await connection.received(({ type }) => type === FRAME.settings);
    connection.send(
      frameBytes(FRAME.settings, FLAG.ack, 0),
      ...Array.from({ length: 10 }, (_, i) => callHeaders(2 * i + 1)),
    );
    await connection.received(({ type, flags }) => type === FRAME.settings && flags === FLAG.ack);
    connection.send(callHeaders(21));
    await connection.closed;
  });
});

describe('bounds in time', () => {
  test('a call that never ends, and an answer that is taken byte by byte', async () => {
    const never = await raw();
    never.send(callHeaders(1), dataFrame(1, framed(Buffer.from('x')), 0));
    const slow = await raw([[4, 1]]);
    slow.send(callHeaders(1), dataFrame(1, framed(Buffer.from('x'))));
    const resets = await Promise.all([never.received(isReset), slow.received(isReset)]);
    expect(resets.map(({ payload }) => payload.readUInt32BE(0))).toEqual([8, 8]);
    expect(calls).toBe(1);
  }, 20_000);

  test('a connection that says nothing', async () => {
    const [host = '', port] = server.address.split(':');
    const socket = connect({ host, port: Number(port) }).resume();
    await new Promise((resolve) => {
      socket.on('close', resolve);
    });
  }, 20_000);
});

test('whatever frames come, in whatever order, the process goes on', async () => {
  const stream = fc.constantFrom(0, 1, 1, 3, 5, 2);
  const frame = fc.oneof(
    stream.map((id) => callHeaders(id)),
    fc.tuple(stream, fc.uint8Array({ maxLength: 30 })).map(([id, bytes]) => dataFrame(id, framed(bytes))),
    fc.tuple(fc.nat(10), fc.nat(255), stream, fc.uint8Array({ maxLength: 40 })).map((parts) => frameBytes(...parts)),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { maxLength: 12 }), fc.boolean(), async (frames, isAbrupt) => {
      const connection = await raw();
      connection.send(...frames);
      if (isAbrupt) connection.socket.resetAndDestroy();
      else connection.socket.end();
      connection.socket.resume();
      await connection.closed;
    }),
  );
  open.splice(0);
}, 120_000);

test('connections that are reset as soon as they are made', async () => {
  const [host = '', port] = server.address.split(':');
  for (let i = 0; i < MANY / 100; i++) {
    const socket = connect({ host, port: Number(port) });
    socket.on('error', () => undefined);
    socket.on('connect', () => socket.resetAndDestroy());
    await new Promise((resolve) => {
      socket.on('close', resolve);
    });
  }
});

test('memory stays flat over many bad connections', async () => {
  const rounds = isLong ? 2000 : 200;
  for (let i = 0; i < rounds / 2; i++) await misbehave();
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  for (let i = 0; i < rounds; i++) await misbehave();
  globalThis.gc?.();
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
}, 120_000);

test('at the end the last call that was taken is named, so that later ones are known to be unserved', async () => {
  const connection = await raw();
  await connection.received(({ type }) => type === FRAME.settings);
  connection.send(frameBytes(FRAME.settings, FLAG.ack, 0), callHeaders(1), dataFrame(1, framed(Buffer.from('x')), 0));
  await connection.received(({ type, flags }) => type === FRAME.settings && flags === FLAG.ack);
  const drained = server.drain(5000);
  const goaway = await connection.received(({ type }) => type === FRAME.goaway);
  expect([goaway.payload.readUInt32BE(0), goaway.payload.readUInt32BE(4)]).toEqual([1, 0]);
  connection.send(callHeaders(3), dataFrame(3, framed(Buffer.from('late'))), dataFrame(1, Buffer.alloc(0)));
  const answer = await connection.received(({ type, stream }) => type === FRAME.data && stream === 1);
  expect(answer.payload.subarray(5).toString()).toBe('x');
  expect(await drained).toBe(true);
  expect(calls).toBe(1);
  server = await startServer();
});
