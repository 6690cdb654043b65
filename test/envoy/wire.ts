/** Requests that libraries won't make: raw HTTP/1.1 and HTTP/2, duplicates and hostile bytes included. */
import { connect as connectHttp2, type SessionOptions } from 'node:http2';
import { connect } from 'node:net';

export interface RawRequest {
  readonly method: string;
  readonly target: string;
  /** `host:port` to connect to. */
  readonly to: string;
  /** Default: `to`. */
  readonly authority?: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: Uint8Array;
  /** How the body's length is told; default `content-length`, and nothing without a body. */
  readonly framing?: 'content-length' | 'chunked';
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

const WAIT_MS = 10_000;

export function headerOf(answer: RawAnswer, name: string): string | undefined {
  return answer.headers.find(([candidate]) => candidate.toLowerCase() === name)?.[1];
}

export function http1(request: RawRequest): Promise<RawAnswer> {
  const { method, target, authority = request.to, headers = [], body, framing = 'content-length' } = request;
  const lines = [`${method} ${target} HTTP/1.1`, `host: ${authority}`, 'connection: close'];
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  if (body !== undefined)
    lines.push(framing === 'chunked' ? 'transfer-encoding: chunked' : `content-length: ${body.length}`);
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const chunks = body === undefined ? [] : framing === 'chunked' ? chunked(body) : [Buffer.from(body)];
  return rawHttp1(request.to, Buffer.concat([head, ...chunks]));
}

function chunked(body: Uint8Array): Buffer[] {
  const half = Math.ceil(body.length / 2);
  const parts = [body.subarray(0, half), body.subarray(half)].filter((part) => part.length > 0);
  return [
    ...parts.map((part) => Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')])),
    Buffer.from('0\r\n\r\n'),
  ];
}

/** Sends the very bytes and reads until the connection closes. */
export function rawHttp1(to: string, bytes: Uint8Array): Promise<RawAnswer> {
  const [host, port] = [to.slice(0, to.lastIndexOf(':')), Number(to.slice(to.lastIndexOf(':') + 1))];
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port }, () => socket.write(bytes));
    const chunks: Buffer[] = [];
    socket.setTimeout(WAIT_MS, () => socket.destroy(new Error(`no answer from ${to} within ${WAIT_MS} ms`)));
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      const answer = parseAnswer(Buffer.concat(chunks).toString('latin1'));
      if (answer === undefined) return;
      socket.destroy();
      resolve(answer);
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the connection closed without a whole answer')));
  });
}

/** Undefined as long as the answer is not whole. */
function parseAnswer(text: string): RawAnswer | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = lines.map((line): [string, string] => [
    line.slice(0, line.indexOf(':')),
    line.slice(line.indexOf(':') + 1).trim(),
  ]);
  const status = Number(first.split(' ')[1]);
  const rest = text.slice(end + 4);
  const length = headers.find(([name]) => name === 'content-length')?.[1];
  if (length !== undefined)
    return rest.length >= Number(length) ? { status, headers, body: rest.slice(0, Number(length)) } : undefined;
  const isChunked = headers.some(([name]) => name === 'transfer-encoding');
  if (!isChunked) return { status, headers, body: rest };
  return rest.endsWith('0\r\n\r\n')
    ? { status, headers, body: rest.replaceAll(/\r\n[0-9a-f]+\r\n|^[0-9a-f]+\r\n|\r\n$/g, '') }
    : undefined;
}

export interface Http2Request extends RawRequest {
  /** DATA frames after the headers, the last with END_STREAM; absent: END_STREAM on the headers. */
  readonly frames?: readonly Uint8Array[];
  readonly scheme?: string;
}

/** Lets a client send a credential header twice; the option's type is written for servers only. */
const TWO_OF_A_KIND = { strictSingleValueFields: false } as SessionOptions;

/** @throws when the stream or the connection is reset. */
export function http2(request: Http2Request): Promise<RawAnswer> {
  const { method, target, authority = request.to, headers = [], frames, scheme = 'http' } = request;
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`http://${request.to}`, TWO_OF_A_KIND);
    session.on('error', reject);
    session.setTimeout(WAIT_MS, () => session.destroy(new Error('no answer')));
    const pseudo = [':method', method, ':authority', authority, ':scheme', scheme, ':path', target];
    const flat: readonly string[] = [...pseudo, ...headers.flatMap(([name, value]) => [name, value])];
    const stream = session.request(flat, { endStream: frames === undefined });
    let status = 0;
    let seen: [string, string][] = [];
    const chunks: Buffer[] = [];
    stream.on('response', (answer) => {
      status = Number(answer[':status']);
      seen = Object.entries(answer).flatMap(([name, value]) =>
        [value].flat().map((one): [string, string] => [name, String(one)]),
      );
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', (error) => {
      session.destroy();
      reject(error);
    });
    stream.on('end', () => {
      session.close();
      if (status === 0) reject(new Error('the stream ended without an answer'));
      else resolve({ status, headers: seen, body: Buffer.concat(chunks).toString('latin1') });
    });
    if (frames === undefined) return;
    for (const [index, frame] of frames.entries()) {
      if (index === frames.length - 1) stream.end(Buffer.from(frame));
      else stream.write(Buffer.from(frame));
    }
    if (frames.length === 0) stream.end();
  });
}
