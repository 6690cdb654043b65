/** A gRPC caller on bare HTTP/2: says exactly what a test wants it to say, well formed or not. */
import { Buffer } from 'node:buffer';
import { connect } from 'node:http2';
import type {
  ClientHttp2Session,
  ClientSessionOptions,
  OutgoingHttpHeaders,
  SecureClientSessionOptions,
} from 'node:http2';
import { connect as connectSocket } from 'node:net';

export const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check';

export interface Reply {
  /** HTTP; undefined when the stream ended without headers. */
  readonly status: number | undefined;
  /** From headers or trailers. */
  readonly grpcStatus: string | undefined;
  /** Messages, without their frames. */
  readonly messages: readonly Buffer[];
  /** HTTP/2 error code, when the stream was reset. */
  readonly reset: number | undefined;
}

export interface Caller {
  readonly session: ClientHttp2Session;
  /** @param data sent as one DATA frame each, the last with END_STREAM. */
  readonly call: (data: readonly Uint8Array[], headers?: OutgoingHttpHeaders) => Promise<Reply>;
  readonly close: () => Promise<void>;
}

/** @param address `host:port` or `unix:/path`. */
export async function openCaller(
  address: string,
  options: ClientSessionOptions | SecureClientSessionOptions = {},
): Promise<Caller> {
  const isUnix = address.startsWith('unix:');
  const isTls = 'ca' in options;
  const session = connect(`${isTls ? 'https' : 'http'}://${isUnix ? 'localhost' : address}`, {
    ...options,
    ...(isUnix && { createConnection: () => connectSocket({ path: address.slice('unix:'.length) }) }),
  });
  await new Promise<void>((resolve, reject) => {
    session.once('connect', () => resolve());
    session.once('error', reject);
    session.once('close', () => reject(new Error('closed before it was open')));
  });
  session.on('error', () => undefined);
  return {
    session,
    call: (data, headers) => call(session, data, headers),
    close: () =>
      new Promise((resolve) => {
        session.on('close', resolve);
        if (session.destroyed) resolve();
        else session.destroy();
      }),
  };
}

function call(
  session: ClientHttp2Session,
  data: readonly Uint8Array[],
  headers: OutgoingHttpHeaders = {},
): Promise<Reply> {
  return new Promise((resolve) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': CHECK_PATH,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const chunks: Buffer[] = [];
    let status: number | undefined;
    let grpcStatus: string | undefined;
    stream.on('response', (response) => {
      status = response[':status'];
      grpcStatus = response['grpc-status'] as string | undefined;
    });
    stream.on('trailers', (trailers) => {
      grpcStatus = trailers['grpc-status'] as string | undefined;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => undefined);
    stream.on('close', () => {
      resolve({
        status,
        grpcStatus,
        messages: unframe(Buffer.concat(chunks)),
        reset: stream.rstCode === 0 ? undefined : stream.rstCode,
      });
    });
    data.forEach((bytes, i) => {
      if (i === data.length - 1) stream.end(bytes);
      else stream.write(bytes);
    });
    if (data.length === 0) stream.end();
  });
}

export function framed(message: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function unframe(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.length;) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    messages.push(bytes.subarray(at + 5, end));
    at = end;
  }
  return messages;
}
