/** Reads a request's body up to a limit. */
import type { IncomingMessage } from 'node:http';
import { HttpProblem } from '../core/http.ts';

const tooLarge = () => new HttpProblem('too_large', 'a body over the limit');

/** @throws {HttpProblem} `too_large`, before more than the limit is held. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}
