/**
 * One gRPC call on one HTTP/2 stream: takes in its message and sends what comes of it. Which method it is and who answers is
 * `server.ts`; frames are `grpc-framing.ts`.
 */
import type { Buffer } from 'node:buffer';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { createMessageCollector, frame, GRPC_STATUS } from './grpc-framing.ts';
import type { FramingError, GrpcStatus } from './grpc-framing.ts';

/** Bytes of messages that have not been answered yet, over all calls of the process. */
export interface Held {
  bytes: number;
}

const MAX_HELD_BYTES = 64 * 1024 * 1024;

/** A message that never became one, but is answered as a Check: with a verdict. */
export type Unreadable = 'oversized' | 'overload';

/** @returns the status of HTTP, when this is no call of gRPC at all. */
export function httpRefusal(headers: IncomingHttpHeaders): number | undefined {
  if (headers[':method'] !== 'POST') return 405;
  const type = headers['content-type'];
  return type === 'application/grpc' || type === 'application/grpc+proto' ? undefined : 415;
}

/**
 * Reads the only message of a call. What is no message ends the call with a status; nobody hears of it.
 *
 * @param maxBytes of the message.
 * @param take called at most once, when the message and the stream's end are there.
 */
export function readMessage(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  { maxBytes, held, take }: { maxBytes: number; held: Held; take: (message: Uint8Array | Unreadable) => void },
): void {
  const encoding = headers['grpc-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    sendStatus(stream, GRPC_STATUS.unimplemented, 'compression is not supported');
    return;
  }
  const collector = createMessageCollector(maxBytes);
  let isOver = false;

  stream.on('data', (chunk: Buffer) => {
    if (isOver) return; // Dropped: the rest of what is refused already.
    held.bytes += chunk.length;
    const error = collector.push(chunk) ?? (held.bytes > MAX_HELD_BYTES ? 'overload' : undefined);
    if (error !== undefined) finish(error);
  });
  stream.on('end', () => {
    // A stream that is reset ends too: its message was never finished, and nobody waits for the answer.
    if (!isOver && !stream.closed && !stream.destroyed) finish(collector.end());
  });
  stream.on('close', () => {
    isOver = true;
    held.bytes -= collector.bytes();
  });

  function finish(result: Uint8Array | FramingError | 'overload'): void {
    isOver = true;
    if (result === 'compressed') sendStatus(stream, GRPC_STATUS.unimplemented, 'compression is not supported');
    else if (result === 'second' || result === 'cut')
      sendStatus(stream, GRPC_STATUS.internal, 'expected exactly one message');
    else take(result);
  }
}

/** The only message of the answer, and the end of the call. Nothing happens when the call has ended otherwise. */
export function sendMessage(stream: ServerHttp2Stream, message: Uint8Array): void {
  if (isDone(stream)) return;
  openAnswer(stream);
  stream.end(frame(message));
}

/** Headers of an answer that has messages; status 0 follows its end. */
export function openAnswer(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(GRPC_STATUS.ok) }));
}

/** Ends a call without a message; what still comes is read and dropped. @param text constant, ASCII. */
export function sendStatus(stream: ServerHttp2Stream, status: GrpcStatus, text: string): void {
  if (isDone(stream)) return;
  const headers = {
    ':status': 200,
    'content-type': 'application/grpc',
    'grpc-status': String(status),
    'grpc-message': text,
  };
  stream.respond(headers, { endStream: true });
  stream.resume();
}

/** Ends what is no call of gRPC. */
export function sendHttpStatus(stream: ServerHttp2Stream, status: number): void {
  if (isDone(stream)) return;
  stream.respond({ ':status': status }, { endStream: true });
  stream.resume();
}

function isDone(stream: ServerHttp2Stream): boolean {
  return stream.destroyed || stream.closed || stream.headersSent;
}
