/**
 * The only two encoders of answers: an allow and everything else. What an answer may carry is a closed list, and whatever does not
 * fit is a fault: the caller's prepared deny goes out instead. Which verdict gets which answer is `answer.ts`.
 */
import type { GrpcDenyCode, Header } from '../core/decision.ts';
import { Fault } from '../core/fault.ts';
import type { BodyPolicy, HeaderList } from '../core/request.ts';
import type { Identity } from '../core/scheme.ts';
import { DENIED_RESPONSE, deniedResponse, ERROR_RESPONSE, okResponse } from './check-response.ts';
import { identityHeaders, removals } from './identity-headers.ts';
import type { MetadataFields } from './metadata.ts';

const MAX_WRITES = 32;
const MAX_VALUE_BYTES = 16 * 1024;
const MAX_BODY_BYTES = 512;

/** Headers that a client may get with a refusal, and with an allow. */
const ON_DENY = new Set(['www-authenticate', 'auth-server-time', 'retry-after', 'cache-control', 'content-type']);
const ON_ALLOW = new Set(['authentication-info']);

/** `envoy.faultResponse`. */
export type FaultResponse = 'denied' | 'error';

export interface AllowOptions {
  /** Lower case, ends with `-`. */
  readonly identityPrefix: string;
  /** Name of the accepting scheme. */
  readonly scheme: string;
  readonly bodyPolicy: BodyPolicy;
  readonly stripCredentials: boolean;
  /**
   * Set on a route that only watches: nobody is vouched for and nothing is taken from the request but what a client forged.
   * The value is what would have happened.
   */
  readonly shadow?: 'allow' | 'deny' | 'fault';
  readonly metadata: MetadataFields;
}

/**
 * @param identity null where there is none, which only `shadow` allows.
 * @throws {Fault} `internal` when a header is not one that may be written.
 */
export function encodeAllow(
  identity: Identity | null,
  request: { readonly headers: HeaderList },
  options: AllowOptions,
): Uint8Array {
  const { identityPrefix, shadow, metadata } = options;
  const toClient = identity?.replyHeaders ?? [];
  const set =
    shadow === undefined
      ? identitySet(identity, options)
      : shadow === 'allow'
        ? []
        : [[`${identityPrefix}shadow`, shadow] as const];
  const consumed = shadow === undefined && options.stripCredentials && identity !== null ? identity.consumed : [];
  requireWritable([...set, ...toClient]);
  requireListed(toClient, ON_ALLOW);
  return okResponse({
    set,
    remove: removals(identityPrefix, set, request.headers.names(), consumed),
    toClient,
    metadata,
  });
}

function identitySet(identity: Identity | null, { identityPrefix, scheme, bodyPolicy }: AllowOptions): Header[] {
  if (identity === null) throw new Fault('internal', 'an allow without an identity');
  return identityHeaders(identityPrefix, identity, scheme, bodyPolicy);
}

/**
 * @param headers all that the client gets.
 * @param body at most 512 bytes; empty for none.
 * @param faultResponse `error` for a fault that the proxy is to count as an error of ours.
 * @throws {Fault} `internal` when a header is none of the list, or something is too long.
 */
export function encodeDeny(
  status: number,
  grpcCode: GrpcDenyCode,
  headers: readonly Header[],
  body: string,
  metadata: MetadataFields,
  faultResponse: FaultResponse = 'denied',
): Uint8Array {
  requireWritable(headers);
  requireListed(headers, ON_DENY);
  if (body.length > MAX_BODY_BYTES || !isPrintable(body))
    throw new Fault('internal', 'a body over 512 bytes or not ASCII');
  const as = faultResponse === 'error' ? ERROR_RESPONSE : DENIED_RESPONSE;
  return deniedResponse({ status, grpcCode, headers, body, metadata, as });
}

function requireListed(headers: readonly Header[], list: ReadonlySet<string>): void {
  if (!headers.every(([name]) => list.has(name)))
    throw new Fault('internal', 'a header that no answer may carry to the client');
}

/** An empty value would be dropped by some releases, which leaves a client's copy where it is. */
function requireWritable(headers: readonly Header[]): void {
  if (headers.length > MAX_WRITES) throw new Fault('internal', 'more than 32 header writes');
  for (const [, value] of headers) {
    if (value === '' || value.length > MAX_VALUE_BYTES || !isPrintable(value)) {
      throw new Fault('internal', 'a header value that is empty, over 16 KiB or not printable');
    }
  }
}

function isPrintable(text: string): boolean {
  return /^[\x20-\x7e\t]*$/.test(text);
}
