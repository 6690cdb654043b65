/** EU-13: The transport as callers see it: framing, methods, deadlines, cancellation, drain, and a foreign client. */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import type { ClientHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import type { CallFacts } from '../../src/envoy/check-handler.ts';
import type { CheckServer } from '../../src/envoy/server.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { encodeCheck } from './check-builder.ts';
import { startServer } from './check-server.ts';
import type { ServerOptions } from './check-server.ts';
import { checkOf, createCheckWorld } from './check-world.ts';
import { CHECK_PATH, framed, openCaller } from './grpc-caller.ts';
import type { Caller, Reply } from './grpc-caller.ts';
import { viewOf } from './proxy-view.ts';
import { settingsFrame } from './raw-http2.ts';

let server: CheckServer;
let caller: Caller;

async function open(options: ServerOptions = {}): Promise<Caller> {
  server = await startServer(options);
  caller = await openCaller(server.address);
  return caller;
}

afterEach(async () => {
  await Promise.all([caller.close(), server.drain(1000)]);
});

const HELLO = Buffer.from('hello');
const identity = (bytes: Buffer) => bytes;

/** When the other side has taken all that was written. */
async function taken(stream: ClientHttp2Stream): Promise<void> {
  while (stream.writableLength > 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('a call', () => {
  test('brings one message and gets one message and status 0', async () => {
    const { call } = await open();
    expect(await call([framed(HELLO)])).toEqual({ status: 200, grpcStatus: '0', messages: [HELLO], reset: undefined });
  });

  test('may bring its message in any pieces, empty ones too', async () => {
    const { call } = await open();
    const bytes = framed(HELLO);
    expect((await call([...bytes].map((byte) => Uint8Array.of(byte)))).messages).toEqual([HELLO]);
    expect((await call([bytes.subarray(0, 3), Buffer.alloc(0), bytes.subarray(3)])).messages).toEqual([HELLO]);
    expect((await call([framed(Buffer.alloc(0))])).messages).toEqual([Buffer.alloc(0)]);
  });

  test('may be of either media type of gRPC and no other', async () => {
    const { call } = await open();
    expect((await call([framed(HELLO)], { 'content-type': 'application/grpc+proto' })).grpcStatus).toBe('0');
    for (const type of ['application/grpc+json', 'application/grpc-web', 'application/json', '', undefined]) {
      expect(await call([framed(HELLO)], { 'content-type': type })).toMatchObject({
        status: 415,
        grpcStatus: undefined,
        messages: [],
      });
    }
    expect((await call([], { ':method': 'GET' })).status).toBe(405);
  });

  test.each([
    ['another service', { ':path': '/envoy.service.auth.v2.Authorization/Check' }],
    ['another method', { ':path': `${CHECK_PATH}2` }],
    ['reflection', { ':path': '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo' }],
    ['a path of an object', { ':path': '/constructor' }],
  ])('of %s gets status 12', async (_what, headers) => {
    const { call } = await open();
    expect(await call([framed(HELLO)], headers)).toMatchObject({ status: 200, grpcStatus: '12', messages: [] });
  });

  test.each(['gzip', 'deflate', 'snappy'])('that says it is compressed with %s gets status 12', async (encoding) => {
    const { call } = await open();
    expect((await call([framed(HELLO)], { 'grpc-encoding': encoding })).grpcStatus).toBe('12');
    expect((await call([framed(HELLO)], { 'grpc-encoding': 'identity' })).grpcStatus).toBe('0');
  });

  test.each([
    ['a message marked as compressed', [framed(HELLO, 1)], '12'],
    ['a second message', [framed(HELLO), framed(HELLO)], '13'],
    ['a byte behind the message', [framed(HELLO), Uint8Array.of(0)], '13'],
    ['no message', [], '13'],
    ['half a prefix', [framed(HELLO).subarray(0, 4)], '13'],
    ['half a message', [framed(HELLO).subarray(0, 7)], '13'],
  ])('with %s never reaches the handler', async (_what, data, grpcStatus) => {
    let calls = 0;
    const { call } = await open({
      handle: async (message) => {
        calls += 1;
        return message as Uint8Array;
      },
    });
    expect(await call(data)).toMatchObject({ grpcStatus, messages: [] });
    expect(calls).toBe(0);
  });

  test('over the size limit is told apart by its prefix, before its bytes are there, and answered with a verdict', async () => {
    const { call } = await open({ maxMessageBytes: 5 });
    expect((await call([framed(HELLO)])).messages).toEqual([HELLO]);
    const { messages, grpcStatus } = await call([framed(Buffer.from('hello!'))]);
    expect([String(messages[0]), grpcStatus]).toEqual(['malformed: a Check over the size limit', '0']);
    const prefix = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
    expect(String((await call([prefix, Buffer.alloc(100)])).messages[0])).toContain('malformed');
  });

  test('that would make more than 64 MiB held at once is a fault overload', async () => {
    const { session, call } = await open({ maxMessageBytes: 4 * 1024 * 1024 });
    const MIB = Buffer.alloc(1024 * 1024);
    const prefix = Buffer.from([0, 0, 0x40, 0, 0]);
    const holding = Array.from({ length: 16 }, () => {
      const stream = session.request({ ':method': 'POST', ':path': CHECK_PATH, 'content-type': 'application/grpc' });
      stream.on('error', () => undefined);
      stream.write(prefix);
      for (let i = 0; i < 4; i++) stream.write(i === 3 ? MIB.subarray(1) : MIB);
      return stream;
    });
    await Promise.all(holding.map((stream) => taken(stream)));
    expect(String((await call([framed(Buffer.alloc(100))])).messages[0])).toBe('too many bytes of Checks at once');
    for (const stream of holding) stream.close(8);
    await new Promise((resolve) => session.ping(resolve));
    expect((await call([framed(HELLO)])).messages).toEqual([HELLO]);
  });

  test('has the clock of its first byte and the patience of its caller', async () => {
    const clock = createFakeClock(1_700_000_000_000);
    const calls: CallFacts[] = [];
    const { session } = await open({
      clock,
      handle: async (message, call) => {
        calls.push(call);
        return message as Uint8Array;
      },
    });
    const stream = session.request({
      ':method': 'POST',
      ':path': CHECK_PATH,
      'content-type': 'application/grpc',
      'grpc-timeout': '500m',
      'x-envoy-expected-rq-timeout-ms': '250',
    });
    await new Promise((resolve) => session.ping(resolve)); // The headers are there now.
    clock.advance(40);
    stream.end(framed(HELLO));
    stream.resume();
    await new Promise((resolve) => stream.on('close', resolve));
    expect(calls).toMatchObject([
      { receivedAtMs: 1_700_000_000_000, totalMs: 500, thisTryMs: 250, cancelled: { aborted: true } },
    ]);
  });

  test.each([
    ['2S', 2000],
    ['1H', 3_600_000],
    ['250000u', 250],
    ['x', undefined],
    ['123456789m', undefined],
    ['1', undefined],
  ])('with grpc-timeout %s has %s ms', async (text, expected) => {
    let totalMs: number | undefined;
    const { call } = await open({
      handle: async (message, facts) => {
        totalMs = facts.totalMs;
        return message as Uint8Array;
      },
    });
    await call([framed(HELLO)], { 'grpc-timeout': text });
    expect(totalMs).toBe(expected);
  });

  test('that is reset is cancelled, and the next one works', async () => {
    let facts: CallFacts | undefined;
    let answer: (() => void) | undefined;
    const arrived = Promise.withResolvers<void>();
    const { session, call } = await open({
      handle: async (message, given) => {
        if (facts !== undefined) return message as Uint8Array;
        facts = given;
        arrived.resolve();
        await new Promise<void>((resolve) => {
          answer = resolve;
        });
        return message as Uint8Array;
      },
    });
    const stream = session.request({ ':method': 'POST', ':path': CHECK_PATH, 'content-type': 'application/grpc' });
    stream.on('error', () => undefined);
    stream.end(framed(HELLO));
    await arrived.promise;
    expect(facts?.cancelled.aborted).toBe(false);
    stream.close(8);
    await new Promise((resolve) => session.ping(resolve));
    expect(facts?.cancelled.aborted).toBe(true);
    answer?.();
    expect((await call([framed(HELLO)])).messages).toEqual([HELLO]);
  });
});

describe('a drain', () => {
  test('lets calls in flight end and refuses connections', async () => {
    const gate = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    const { call, session } = await open({
      handle: async (message) => {
        arrived.resolve();
        await gate.promise;
        return message as Uint8Array;
      },
    });
    const inFlight = call([framed(HELLO)]);
    await arrived.promise;
    const goaway = new Promise<number>((resolve) => session.once('goaway', (code) => resolve(code)));
    const drained = server.drain(5000);
    expect(await goaway).toBe(0);
    await expect(openCaller(server.address)).rejects.toThrow(/ECONNREFUSED|closed/);
    gate.resolve();
    expect((await inFlight).messages).toEqual([HELLO]);
    expect(await drained).toBe(true);
  });

  test('cuts off what takes longer, and says so', async () => {
    const { reply } = await unanswered();
    expect(await server.drain(50)).toBe(false);
    expect((await reply).grpcStatus).toBeUndefined();
  });

  test('waits for no connection that has no call, also when its peer never ends its side', async () => {
    await open();
    const { port, hostname } = new URL(`http://${server.address}`);
    const idle = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
    idle.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settingsFrame([])]));
    await once(idle, 'data');
    expect(await server.drain(600_000)).toBe(true);
    idle.destroy();
  });

  test('of a server without connections ends at once', async () => {
    await open();
    await caller.close();
    expect(await server.drain(5000)).toBe(true);
  });
});

test('before a crash what is in flight is denied, and so is what comes after, which nobody judges any more', async () => {
  const { reply, calls } = await unanswered();
  server.denyAll();
  for (const { messages, grpcStatus } of [await reply, await caller.call([framed(HELLO)])]) {
    expect(grpcStatus).toBe('0');
    expect(viewOf(messages[0] ?? Buffer.alloc(0))).toMatchObject({ allowed: false, status: 503 });
  }
  expect(calls()).toBe(1);
});

function unary(
  client: Client,
  message: Uint8Array,
  metadata = new Metadata(),
  deadlineMs = 2000,
): Promise<Buffer | ServiceError> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      CHECK_PATH,
      identity,
      identity,
      Buffer.from(message),
      metadata,
      { deadline: Date.now() + deadlineMs },
      (error, answer) => resolve(error ?? answer ?? Buffer.alloc(0)),
    );
  });
}

describe('a foreign client', () => {
  test('gets verdicts, ends calls by its deadline, and may send large metadata up to 32 KiB', async () => {
    const world = await createCheckWorld();
    await open({ handle: (message, call) => world.handler.handle(message, call), clock: world.scheme.clock });
    const client = new Client(server.address, credentials.createInsecure());
    const proven = await world.proven();
    const check = checkOf(proven);
    expect(viewOf((await unary(client, check)) as Buffer)).toMatchObject({ allowed: true });
    expect(viewOf((await unary(client, checkOf(proven))) as Buffer)).toMatchObject({
      status: 401,
      metadata: { code: 'replayed' },
    });
    expect(viewOf((await unary(client, encodeCheck({ authority: 'evil.example.com' }))) as Buffer)).toMatchObject({
      status: 403,
    });
    expect(viewOf((await unary(client, Buffer.from([0xff]))) as Buffer)).toMatchObject({ status: 503 });
    const metadata = new Metadata();
    metadata.set('x-large', 'v'.repeat(16 * 1024));
    expect(viewOf((await unary(client, checkOf(await world.proven()), metadata)) as Buffer).allowed).toBe(true);
    metadata.set('x-larger', 'v'.repeat(32 * 1024));
    expect(((await unary(client, check, metadata)) as ServiceError).code).toBeGreaterThan(0);
    client.close();
  });

  test('sees its own deadline when the handler is late', async () => {
    await open({ handle: () => new Promise(() => undefined) });
    const client = new Client(server.address, credentials.createInsecure());
    expect(((await unary(client, HELLO, new Metadata(), 50)) as ServiceError).code).toBe(status.DEADLINE_EXCEEDED);
    client.close();
    await server.drain(50);
  });
});

/** A call that has arrived and whose handler never answers. Wrapped: a bare promise would be waited for. */
async function unanswered(): Promise<{ readonly reply: Promise<Reply>; calls(): number }> {
  const arrived = Promise.withResolvers<void>();
  let calls = 0;
  const { call } = await open({
    handle: () => {
      calls += 1;
      arrived.resolve();
      return new Promise(() => undefined);
    },
  });
  const reply = call([framed(HELLO)]);
  await arrived.promise;
  return { reply, calls: () => calls };
}
