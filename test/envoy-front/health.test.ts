/** EU-14: The health service: which names there are, and who is told when. */
import { Buffer } from 'node:buffer';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { createHealth } from '../../src/envoy/health.ts';
import type { CheckServer } from '../../src/envoy/server.ts';
import { startServer } from './check-server.ts';
import { framed, openCaller } from './grpc-caller.ts';
import type { Caller } from './grpc-caller.ts';

const CHECK = '/grpc.health.v1.Health/Check';
const WATCH = '/grpc.health.v1.Health/Watch';
const AUTHORIZATION = 'envoy.service.auth.v3.Authorization';

const SERVING = Buffer.of(8, 1);
const NOT_SERVING = Buffer.of(8, 2);
const SERVICE_UNKNOWN = Buffer.of(8, 3);

const asking = (service: string) =>
  service === '' ? Buffer.alloc(0) : Buffer.concat([Buffer.of(0x0a, service.length), Buffer.from(service)]);

const watcher = () => ({ tell: () => undefined, end: () => undefined });

let server: CheckServer;
let caller: Caller;

beforeEach(async () => {
  server = await startServer();
  caller = await openCaller(server.address);
});

afterEach(async () => {
  await server.drain(1000);
  await caller.close();
});

const check = (request: Uint8Array) => caller.call([framed(request)], { ':path': CHECK });

/** A watch, and what it was told so far. */
function watch(service: string) {
  const stream = caller.session.request({ ':method': 'POST', ':path': WATCH, 'content-type': 'application/grpc' });
  const told: Buffer[] = [];
  const ended = new Promise<string | undefined>((resolve) => {
    stream.on('trailers', (trailers) => resolve(trailers['grpc-status'] as string));
    stream.on('close', () => resolve(undefined));
  });
  stream.on('data', (chunk: Buffer) =>
    told.push(...(chunk.toString('hex').match(/.{14}/g) ?? []).map((text) => Buffer.from(text, 'hex').subarray(5))),
  );
  stream.end(framed(asking(service)));
  return { told, ended, heard: (count: number) => until(() => told.length >= count) };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('a check', () => {
  test.each(['', AUTHORIZATION])('of %j says NOT_SERVING until it is ready, then SERVING', async (service) => {
    expect((await check(asking(service))).messages).toEqual([NOT_SERVING]);
    server.setServing(true);
    expect(await check(asking(service))).toMatchObject({ grpcStatus: '0', messages: [SERVING] });
    server.setServing(false);
    expect((await check(asking(service))).messages).toEqual([NOT_SERVING]);
  });

  test.each<[string, Uint8Array]>([
    ['another name', asking('other')],
    ['a longer name', asking(`${AUTHORIZATION}2`)],
    ['the grpc health service', asking('grpc.health.v1.Health')],
    ['an unknown field', Buffer.of(0x10, 1)],
    ['two names', Buffer.concat([asking(AUTHORIZATION), asking(AUTHORIZATION)])],
    ['a name cut short', asking(AUTHORIZATION).subarray(0, 10)],
    ['more than any name', Buffer.alloc(2000, 0x0a)],
  ])('of %s is NOT_FOUND', async (_what, request) => {
    server.setServing(true);
    expect(await check(request)).toMatchObject({ status: 200, grpcStatus: '5', messages: [] });
  });
});

describe('a watch', () => {
  test('is told the present state, each change once, NOT_SERVING on a drain, and then ends', async () => {
    server.setServing(true);
    const { told, ended, heard } = watch(AUTHORIZATION);
    await heard(1);
    server.setServing(true);
    server.setServing(false);
    await heard(2);
    server.setServing(true);
    await heard(3);
    const drained = server.drain(5000);
    expect(await ended).toBe('0');
    expect(await drained).toBe(true);
    expect(told).toEqual([SERVING, NOT_SERVING, SERVING, NOT_SERVING]);
  });

  test('of another name is told SERVICE_UNKNOWN once, and ends with a drain', async () => {
    const { told, ended, heard } = watch('other');
    await heard(1);
    server.setServing(true);
    expect(await server.drain(5000)).toBe(true);
    expect(await ended).toBe('0');
    expect(told).toEqual([SERVICE_UNKNOWN]);
  });
});

test('there are at most 1024 watchers, and one that leaves makes room', () => {
  const health = createHealth();
  const stops = Array.from({ length: 1024 }, () => health.watch(asking(''), watcher()));
  expect(health.watch(asking(''), watcher())).toBeUndefined();
  stops[0]?.();
  expect(health.watch(asking(''), watcher())).toBeDefined();
});

test('whatever bytes ask, only the two names are served', () => {
  const health = createHealth();
  const known = [asking(''), asking(AUTHORIZATION)];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (request) => {
      const isKnown = known.some((name) => name.equals(request));
      expect(health.check(request) !== undefined).toBe(isKnown);
    }),
  );
});
