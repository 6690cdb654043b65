/**
 * Fixes a request before it is signed: address, method, headers and every byte of the body. What is not known before it is sent can't
 * be signed.
 */
import { CountersignError } from '../core/client-error.ts';
import type { Header } from '../core/decision.ts';
import type { OutgoingRequest } from '../core/signer.ts';
import { normalUrl } from './target.ts';

export interface FixedRequest extends OutgoingRequest {
  readonly url: URL;
  /** Undefined when the request has no body. */
  readonly content: Uint8Array<ArrayBuffer> | undefined;
  /** All that is sent besides the proof. */
  readonly headers: Headers;
  /** The rest of what the caller gave: signal, credentials, cache and so on. */
  readonly options: RequestInit;
}

/** Whether the route that will judge the request sees bodies (policy `required`) or never does (`none`). */
export type BodyCover = 'required' | 'none';

const METHOD = /^[A-Z][A-Z0-9-]{0,31}$/;

/** @throws {CountersignError} `request_unsuitable`, `body_not_fixed` */
export async function fixRequest(
  base: URL,
  input: string | URL | Request,
  init: RequestInit,
  cover: BodyCover,
): Promise<FixedRequest> {
  const given = isRequest(input) ? await unpack(input) : {};
  const options: RequestInit = { ...given, ...init, redirect: redirectOf(init) };
  requireFixed(options.body);
  const url = normalUrl(isRequest(input) ? input.url : input, base);
  // Made only to be read: it gives method, content type and body bytes exactly as fetch would.
  const sample = new Request(url, options);
  if (!METHOD.test(sample.method))
    throw new CountersignError('request_unsuitable', 'the server takes methods in upper case only');
  if (sample.headers.has('authorization')) {
    throw new CountersignError(
      'request_unsuitable',
      'the proof is the Authorization header: another one can not be sent',
    );
  }
  const body = new Uint8Array(await sample.arrayBuffer());
  return {
    url,
    method: sample.method,
    scheme: url.protocol === 'https:' ? 'https' : 'http',
    authority: url.host,
    target: url.pathname + url.search,
    body,
    bodyDigest: cover === 'none' ? new Uint8Array(0) : await sha256(body),
    content: hasBody(options.body) ? body : undefined,
    headers: sample.headers,
    options,
  };
}

/** What `fetch` is given for one attempt. */
export function attemptOf(request: FixedRequest, proof: readonly Header[]): RequestInit {
  const headers = new Headers(request.headers);
  for (const [name, value] of proof) headers.set(name, value);
  const { method, content, options } = request;
  return { ...options, method, headers, body: content ?? null };
}

/** A redirect would carry a spent proof to a place it was not made for, so it is handed to the caller or refused. */
function redirectOf({ redirect = 'manual' }: RequestInit): 'manual' | 'error' {
  if (redirect === 'follow')
    throw new CountersignError('request_unsuitable', 'redirects are not followed: a proof fits one address');
  return redirect;
}

/** `Request` of any realm. */
function isRequest(input: string | URL | Request): input is Request {
  return typeof input === 'object' && 'headers' in input;
}

/** Its body is read whole here; what it was made from is not known any more. */
async function unpack(request: Request): Promise<RequestInit> {
  const { method, headers, signal, credentials, cache, mode, keepalive, integrity, referrer, referrerPolicy } = request;
  const body = hasBody(request.body) ? await request.clone().arrayBuffer() : null;
  return { method, headers, signal, credentials, cache, mode, keepalive, integrity, referrer, referrerPolicy, body };
}

function hasBody(body: unknown): boolean {
  return body !== undefined && body !== null;
}

const FIXED = new Set(['String', 'ArrayBuffer', 'Blob', 'File', 'URLSearchParams', 'FormData']);

function requireFixed(body: unknown): void {
  if (!hasBody(body) || ArrayBuffer.isView(body)) return;
  if (FIXED.has(Object.prototype.toString.call(body).slice('[object '.length, -1))) return;
  throw new CountersignError(
    'body_not_fixed',
    'expected text, bytes, Blob, URLSearchParams or FormData: a stream can not be signed before it is sent, so read it into bytes first',
  );
}

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}
