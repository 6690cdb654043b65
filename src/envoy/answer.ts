/** From a verdict to the bytes of the answer: which status, headers and body each outcome has. The bytes are `encode-response.ts`. */
import type { Route } from '../config/routes.ts';
import { wireCode } from '../core/decision.ts';
import type { Decision, Deny, FaultDecision, Header } from '../core/decision.ts';
import { Fault } from '../core/fault.ts';
import { PROBLEM_TYPE, problemBody } from '../core/problem.ts';
import type { HeaderList } from '../core/request.ts';
import type { Intent } from './answer-assertion.ts';
import { encodeAllow, encodeDeny } from './encode-response.ts';
import type { FaultResponse } from './encode-response.ts';
import { metadataOf } from './metadata.ts';
import type { MetadataFields } from './metadata.ts';

/** `envoy.*` of the configuration, as far as it says how a verdict is told. */
export interface AnswerSettings {
  readonly identityPrefix: string;
  readonly faultResponse: FaultResponse;
  readonly subjectMetadata: boolean;
}

export interface Verdict {
  readonly decision: Decision;
  readonly route: Route | undefined;
  /** Empty when the Check could not be read. */
  readonly checkId: string;
  /** Undefined when the Check could not be read. */
  readonly headers: HeaderList | undefined;
  /** As received; undefined when the Check could not be read. */
  readonly method: string | undefined;
}

/** @throws {Fault} when the verdict does not fit into an answer. */
export function renderAnswer(verdict: Verdict, settings: AnswerSettings): { intent: Intent; bytes: Uint8Array } {
  const { decision, route, checkId, headers } = verdict;
  const metadata = metadataOf(decision, route, checkId, settings.subjectMetadata);
  if (route !== undefined && headers !== undefined && (route.shadow || decision.outcome === 'allow')) {
    return { intent: 'allow', bytes: renderAllow(decision, route, headers, metadata, settings) };
  }
  if (decision.outcome === 'allow') throw new Fault('internal', 'an allow without a request');
  if (decision.outcome === 'deny') return { intent: 'deny', bytes: renderDeny(decision, verdict, metadata) };
  return { intent: 'deny', bytes: renderFault(decision, verdict, metadata, settings.faultResponse) };
}

/** What goes out when nothing else can. It holds no id, since nothing is known of the Check. */
export function preparedDeny(faultResponse: FaultResponse): Uint8Array {
  const body = JSON.stringify({ type: 'about:blank', title: 'Service Unavailable', status: 503, code: 'unavailable' });
  return encodeDeny(
    503,
    14,
    [['retry-after', '1'], ...ALWAYS],
    body,
    { outcome: 'fault', code: 'internal', scheme: 'none' },
    faultResponse,
  );
}

/** On every refusal and fault. */
const ALWAYS: readonly Header[] = [
  ['cache-control', 'no-store'],
  ['content-type', PROBLEM_TYPE],
];

function renderAllow(
  decision: Decision,
  route: Route,
  headers: HeaderList,
  metadata: MetadataFields,
  settings: AnswerSettings,
): Uint8Array {
  return encodeAllow(
    decision.outcome === 'allow' ? decision.identity : null,
    { headers },
    {
      identityPrefix: settings.identityPrefix,
      scheme: decision.scheme ?? 'none',
      bodyPolicy: decision.outcome === 'allow' && decision.identity.coversBody === false ? 'none' : route.body,
      stripCredentials: route.stripCredentials,
      ...(route.shadow && { shadow: decision.outcome }),
      metadata,
    },
  );
}

function renderDeny(
  { denial, replyHeaders }: Deny,
  { checkId, method }: Verdict,
  metadata: MetadataFields,
): Uint8Array {
  const { status, grpc } = denial.form;
  return encodeDeny(
    status,
    grpc,
    [...replyHeaders, ...ALWAYS],
    bodyFor(method, status, wireCode(denial.code), checkId),
    metadata,
  );
}

function renderFault(
  { retryAfterSeconds }: FaultDecision,
  { checkId, method }: Verdict,
  metadata: MetadataFields,
  faultResponse: FaultResponse,
): Uint8Array {
  const headers: Header[] = [['retry-after', String(retryAfterSeconds)], ...ALWAYS];
  return encodeDeny(503, 14, headers, bodyFor(method, 503, 'unavailable', checkId), metadata, faultResponse);
}

function bodyFor(method: string | undefined, status: number, code: string, checkId: string): string {
  return method === 'HEAD' ? '' : problemBody(status, code, { check: checkId });
}
