/** Records the corpus anew: `node test/envoy/record-corpus.ts`. Asks both Envoys for everything below, through a relay that writes it down. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectionManager } from '../../scripts/envoy-config.ts';
import type { EnvoyVersion } from '../../scripts/fetch-envoy.ts';
import { CORPUS, RECORDED, verdictIn, type RecordedCheck, type Recording } from './corpus.ts';
import { openRelay } from './relay.ts';
import { http1, http2, rawHttp1, type Http2Request } from './wire.ts';
import { MAX_BODY, openWorld, type ProvenRequest, type World } from './world.ts';

type Ask = (world: World) => Promise<unknown>;

const NO_BYTES = new Uint8Array(0);
const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/** A signed request, sent as it is or as `changes` say. */
function signed(send: typeof http1 | typeof http2, proof: ProvenRequest, changes: Partial<Http2Request> = {}): Ask {
  return async (world) => {
    const authorization = await world.prove(proof);
    const { method, target, body } = proof;
    const headers = [['authorization', authorization], ...(changes.headers ?? [])] as const;
    await send({ method, target, to: world.to, ...(body && { body }), ...changes, headers });
  };
}

const GET: ProvenRequest = { method: 'GET', target: '/a?x=1' };
const POST: ProvenRequest = { method: 'POST', target: '/pay', body: bytes('{"amount":50}') };
const FEED: ProvenRequest = { method: 'POST', target: '/example.v1.Feed/Watch', body: null };
const GRPC = [
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
] as const;

const ASKED: Readonly<Record<string, Ask>> = {
  'HTTP/1.1 GET': signed(http1, GET),
  'HTTP/2 GET': signed(http2, GET),
  'HTTP/1.1 POST with content-length': signed(http1, POST),
  'HTTP/1.1 POST chunked': signed(http1, POST, { framing: 'chunked' }),
  'HTTP/2 POST': signed(http2, POST, { frames: [bytes('{"amount"'), bytes(':50}')] }),
  'HTTP/2 POST with content-length': signed(http2, POST, {
    frames: [bytes('{"amount":50}')],
    headers: [['content-length', '13']],
  }),
  'HTTP/2 POST with an empty DATA frame': signed(http2, { method: 'POST', target: '/a' }, { frames: [NO_BYTES] }),
  'POST without a body': signed(http1, { method: 'POST', target: '/a' }),
  'a binary body': signed(http1, {
    method: 'PUT',
    target: '/a',
    body: Uint8Array.from({ length: 256 }, (_, byte) => byte),
  }),
  'a body of the limit, chunked': signed(
    http1,
    { method: 'POST', target: '/a', body: new Uint8Array(MAX_BODY) },
    { framing: 'chunked' },
  ),
  'another body than was signed': signed(http1, POST, { body: bytes('{"amount":51}') }),
  'another method than was signed': signed(http1, GET, { method: 'DELETE' }),
  'another query than was signed': signed(http1, GET, { target: '/a?x=2' }),
  'no credential': (world) => http1({ method: 'GET', target: '/a', to: world.to }),
  'two credentials': async (world) => {
    const headers = [['authorization', await world.prove(GET)]] as const;
    await http1({ method: 'GET', target: '/a?x=1', to: world.to, headers: [...headers, ...headers] });
  },
  'the same request twice': async (world) => {
    const headers = [['authorization', await world.prove(GET)]] as const;
    for (const send of [http1, http2]) await send({ method: 'GET', target: '/a?x=1', to: world.to, headers });
  },
  'a HEAD': signed(http2, { method: 'HEAD', target: '/a' }),
  'an OPTIONS': signed(http1, { method: 'OPTIONS', target: '/a' }),
  'another host': signed(http1, GET, { authority: 'other.example' }),
  'a host in upper case': signed(http1, GET, { authority: 'OTHER.example' }),
  'bytes above 0x7f in a header': signed(http1, GET, { headers: [['x-note', 'caf\xe9']] }),
  'names that JavaScript knows': signed(http1, GET, {
    headers: [
      ['constructor', '1'],
      ['toString', '2'],
    ],
  }),
  'copies of a header': signed(http1, GET, {
    headers: [
      ['x-a', '1'],
      ['x-b', '2'],
      ['x-a', '3'],
    ],
  }),
  'forged identity': signed(http1, GET, {
    headers: [
      ['x-auth-subject', 'root'],
      ['X-Auth-Subject', 'root'],
    ],
  }),
  'a path parameter': signed(http1, { method: 'GET', target: '/a;x=1/b' }),
  'an empty query': signed(http2, { method: 'GET', target: '/a?' }),
  'an escaped query': signed(http1, { method: 'GET', target: '/a?q=%2F..%2f&r=+' }),
  'the absolute form': async (world) => {
    const authorization = await world.prove({ method: 'GET', target: '/a' });
    const text = `GET http://${world.to}/a HTTP/1.1\r\nhost: x.example\r\nauthorization: ${authorization}\r\nconnection: close\r\n\r\n`;
    await rawHttp1(world.to, Buffer.from(text));
  },
  'a websocket': signed(http1, GET, {
    headers: [
      ['connection', 'Upgrade'],
      ['upgrade', 'websocket'],
      ['sec-websocket-version', '13'],
      ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
    ],
  }),
  'gRPC where no body is seen': signed(http2, FEED, { headers: GRPC, frames: [Uint8Array.of(0, 0, 0, 0, 0)] }),
  'gRPC without a credential': (world) =>
    http2({ method: 'POST', target: '/example.v1.Feed/Watch', to: world.to, headers: GRPC, frames: [NO_BYTES] }),
  'many headers': signed(http1, GET, {
    headers: Array.from({ length: 60 }, (_, index) => [`x-h${index}`, 'v'] as const),
  }),
};

async function record(version: EnvoyVersion, envoy: string): Promise<number> {
  const relay = await openRelay();
  const world = await openWorld({
    envoy: version,
    changeEnvoy(config) {
      relay.inPlace(config);
      connectionManager(config).upgrade_configs = [{ upgrade_type: 'websocket' }];
    },
  });
  relay.to = world.services[0]?.check ?? '';
  const checks: RecordedCheck[] = [];
  try {
    for (const [what, ask] of Object.entries(ASKED)) {
      const before = relay.seen.length;
      await ask(world);
      for (const { receivedAtMs, answer } of relay.seen.slice(before)) {
        if (answer === undefined) throw new Error(`${what}: a Check without an answer`);
        checks.push({ what, receivedAtMs, verdict: verdictIn(answer) });
      }
    }
    const recording: Recording = {
      envoy,
      authority: world.to,
      maxRequestBytes: MAX_BODY,
      ring: JSON.parse(await readFile(world.ringFile, 'utf8')) as unknown,
      publicJwk: world.publicJwk,
      checks,
    };
    const framed = relay.seen.flatMap(({ message }) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(message.length);
      return [length, message];
    });
    await mkdir(CORPUS, { recursive: true });
    await writeFile(join(CORPUS, `${envoy}.bin`), Buffer.concat(framed));
    await writeFile(join(CORPUS, `${envoy}.json`), `${JSON.stringify(recording, undefined, 2)}\n`);
    return checks.length;
  } finally {
    await world.stop();
    await relay.stop();
  }
}

const [oldest, newest] = RECORDED;
for (const [version, envoy] of [
  ['oldest', oldest],
  ['newest', newest],
] as const) {
  process.stdout.write(`Envoy ${envoy}: ${await record(version, envoy)} Checks\n`);
}
