/** What leaves issuer and admin: an endpoint's answer, or a refusal in its one form. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../core/clock.ts';
import { Denial, wireCode, type Header } from '../core/decision.ts';
import { Fault, type FaultReason } from '../core/fault.ts';
import { HttpProblem } from '../core/http.ts';
import { PROBLEM_TYPE, problemBody } from '../core/problem.ts';
import type { Answer, Endpoint } from '../core/scheme.ts';
import type { Mounted } from './mounted.ts';

export class MethodRefused extends HttpProblem {
  readonly allowed: string;

  constructor(methods: readonly string[]) {
    super('method_not_allowed', 'another method');
    this.allowed = methods.join(', ');
  }
}

export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly headers: readonly Header[];
  readonly hint?: unknown;
}

/** Whatever else was thrown is a fault, and told to `events`. */
export function refusalOf(
  thrown: unknown,
  { clock, events }: { clock: Clock; events: { fault(reason: FaultReason, cause: unknown): void } },
  mounted: Mounted | undefined,
): Refusal {
  if (thrown instanceof Denial) return denied(thrown, clock.nowMs(), mounted);
  if (thrown instanceof MethodRefused)
    return { status: thrown.status, code: thrown.code, headers: [['allow', thrown.allowed]] };
  if (thrown instanceof HttpProblem) {
    const headers: Header[] =
      thrown.code === 'unauthorized' ? [['www-authenticate', 'Bearer realm="countersign"']] : [];
    return { status: thrown.status, code: thrown.code, headers };
  }
  const fault = thrown instanceof Fault ? thrown : undefined;
  events.fault(fault?.reason ?? 'internal', thrown);
  return { status: 503, code: 'unavailable', headers: [['retry-after', String(fault?.retryAfterSeconds ?? 1)]] };
}

function denied(denial: Denial, nowMs: number, mounted: Mounted | undefined): Refusal {
  const { form, code, options } = denial;
  const headers: Header[] = [...(options.replyHeaders ?? [])];
  if (form.issuer === 401) {
    for (const line of mounted?.challenges?.({ denial, nowMs }) ?? []) headers.push(['www-authenticate', line]);
  }
  if (code === 'stale' || code === 'not_yet_valid') headers.push(['auth-server-time', String(nowMs)]);
  if (options.retryAfterSeconds !== undefined) headers.push(['retry-after', String(options.retryAfterSeconds)]);
  return { status: form.issuer, code: wireCode(code), headers, hint: options.hint };
}

export function problem({ status, code, hint }: Refusal, endpoint: Endpoint | undefined, owner: string): Answer {
  const own = endpoint?.problem?.(status, code, hint);
  if (own !== undefined) return { status, body: own };
  return { status, body: new TextEncoder().encode(problemBody(status, code, { request: owner })) };
}

export function write(
  request: IncomingMessage,
  response: ServerResponse,
  { status, body, headers = [] }: Answer,
): void {
  if (response.headersSent) return;
  response.statusCode = status; // Also of an answer that nobody hears: it is counted.
  if (response.destroyed) return;
  for (const name of response.getHeaderNames()) response.removeHeader(name); // Of an answer that could not be written.
  const isBytes = ArrayBuffer.isView(body);
  const bytes = isBytes ? (body as Uint8Array) : new TextEncoder().encode(JSON.stringify(body));
  response.setHeader('cache-control', 'no-store');
  if (status !== 204 && status !== 304) {
    response.setHeader('content-type', isBytes && status >= 400 ? PROBLEM_TYPE : 'application/json');
    response.setHeader('content-length', bytes.length);
  }
  for (const [name, value] of headers) {
    if (name === 'www-authenticate') response.appendHeader(name, value);
    else response.setHeader(name, value);
  }
  // What was not read to its end would be taken for the next request.
  if (!request.complete) response.setHeader('connection', 'close');
  response.end(status === 204 || status === 304 || request.method === 'HEAD' ? undefined : bytes);
}
