/** Reads a request's body up to a limit. */
import type { IncomingMessage } from 'node:http';
import { Denial } from '../core/decision.ts';
import { HttpProblem } from '../core/http.ts';

const tooLarge = () => new HttpProblem('too_large', 'a body over the limit');

/** @throws {HttpProblem} `too_large`, before more than the limit is held. @throws {Denial} `malformed` when the client cut it off. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > maxBytes) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (thrown) {
    // No fault of ours: a stranger could raise alarms at will.
    throw thrown instanceof HttpProblem ? thrown : new Denial('malformed', 'the body was cut off');
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}
