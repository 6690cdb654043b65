import { Buffer } from 'node:buffer';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { CheckServer } from '../../src/envoy/server.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { startServer } from './check-server.ts';
import { CHECK_PATH, framed, openCaller, type Caller } from './grpc-caller.ts';

const HELLO = framed(Buffer.from('hello'));

let told: [string, number][];
let next: (() => void) | undefined;
let server: CheckServer;
let caller: Caller;
const clock = createFakeClock(0);

beforeEach(async () => {
  told = [];
  server = await startServer({
    clock,
    maxMessageBytes: 1000,
    handle: async () => {
      clock.advance(7);
      return new Uint8Array(1);
    },
    called(code, ms) {
      told.push([code, ms]);
      next?.();
    },
  });
  caller = await openCaller(server.address);
});
afterEach(() => Promise.all([caller.close(), server.drain(1000)]));

/** The stream closes here a moment after the caller has its answer. */
async function toldOf(count: number): Promise<[string, number][]> {
  while (told.length < count) await new Promise<void>((done) => (next = done));
  return told;
}

test('an answered call ends with OK, after as long as it took', async () => {
  await caller.call([HELLO]);
  expect(await toldOf(1)).toEqual([['OK', 7]]);
});

test.each([
  ['Unimplemented', [HELLO], { 'grpc-encoding': 'gzip' }],
  ['Internal', [HELLO, HELLO], {}],
] as const)('a call that is refused by its frame ends with %s', async (code, data, headers) => {
  await caller.call(data, headers);
  expect((await toldOf(1)).map(([name]) => name)).toEqual([code]);
});

test('a call that its caller gave up ends with Canceled', async () => {
  const stream = caller.session.request({
    ':method': 'POST',
    ':path': CHECK_PATH,
    'content-type': 'application/grpc',
  });
  stream.on('error', () => undefined);
  stream.write(HELLO.subarray(0, 3));
  await new Promise((done) => caller.session.ping(done));
  stream.close(8);
  expect((await toldOf(1)).map(([name]) => name)).toEqual(['Canceled']);
});

test('calls of other methods are not counted', async () => {
  await caller.call([framed(Buffer.alloc(0))], { ':path': '/grpc.health.v1.Health/Check' });
  await caller.call([HELLO], { ':path': '/constructor' });
  await caller.call([HELLO]);
  expect(await toldOf(1)).toHaveLength(1);
});
