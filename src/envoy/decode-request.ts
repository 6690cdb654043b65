/**
 * From the bytes of a Check to what schemes may see of a request. Bytes are read by `check-message.ts`; here it is decided what they
 * mean under the configured tier, in the order in which the judgement asks: source and route first, the request when it is wanted.
 */
import type { Arrival } from '../authenticate.ts';
import type { Route } from '../config/routes.ts';
import { deny } from '../core/decision.ts';
import { CheckInvalid } from '../core/fault.ts';
import type { Body, HeaderList } from '../core/request.ts';
import { checkOwner, unrecognised } from '../crypto/owner.ts';
import { classifyBody } from './body.ts';
import type { TextPolicy } from './body.ts';
import { readCheckMessage, textAt } from './check-message.ts';
import type { CheckMessage } from './check-message.ts';
import { readClaims } from './extensions.ts';
import type { Claims } from './extensions.ts';
import { createHeaderList, pseudoValues } from './header-list.ts';
import { normalAuthority, originOf, requireMethod, requireScheme, splitTarget } from './request-line.ts';
import { sourceOf } from '../core/source.ts';

const MAX_TARGET_BYTES = 8 * 1024;

/** `envoy.*` of the configuration, as far as it says how a Check is read. */
export interface DecodeSettings {
  /** What the proxy sends: A raw header lines and bytes, B joined headers and bytes, C joined headers and text. */
  readonly tier: 'A' | 'B' | 'C';
  /** Bytes; equal to the proxy's `max_request_bytes`. */
  readonly maxRequestBytes: number;
  /** Bodies are buffered on every route, although the proxy can't say so. */
  readonly assumeBuffered: boolean;
  readonly textBody: TextPolicy;
  /** Entries of `x-forwarded-for` written by trusted proxies. */
  readonly trustedHops: number;
}

/** Besides what the judgement asks, what an answer depends on even when there never was a request. */
export interface CheckArrival extends Arrival {
  readonly headers: HeaderList;
  /** As received. */
  readonly method: string;
}

/**
 * @throws {CheckInvalid} when the proxy hop is broken, or configured otherwise than we are.
 * @throws {Denial} `malformed`, oversized.
 */
export function decodeCheck(message: Uint8Array, receivedAtMs: number, settings: DecodeSettings): CheckArrival {
  const { tier, trustedHops } = settings;
  const check = readCheckMessage(message);
  requireShape(check, tier);
  const line = tier === 'A' ? rawRequestLine(check) : sanitisedRequestLine(check);
  if (line.target !== undefined && line.target.length > MAX_TARGET_BYTES)
    deny('malformed', 'a target over 8 KiB', { oversized: true });
  const claims = readClaims(check.bytes, check.extensions);
  const headers = createHeaderList(check, tier !== 'A');
  const { id, time } = check;
  const hasStreamId = time !== null && id.end > id.start;
  const checkId = hasStreamId ? checkOwner(textAt(check, id), time.seconds, time.nanos) : unrecognised();
  const source = sourceOf(
    textAt(check, check.source),
    trustedHops > 0 ? headers.all('x-forwarded-for') : [],
    trustedHops,
  );

  return {
    checkId,
    hasStreamId,
    receivedAtMs,
    proxyTimeMs: time === null ? null : time.seconds * 1000 + Math.floor(time.nanos / 1_000_000),
    source,
    headers,
    method: line.method,

    route(table) {
      if (claims.route !== undefined)
        return table.byName(claims.route) ?? deny('route_unknown', 'the proxy names no route of ours');
      const method = requireMethod(line.method);
      const { target } = splitTarget(line.target, method);
      const authority = normalAuthority(line.authority, requireScheme(line.scheme));
      return (
        table.match({ authority, target, method }) ??
        deny('route_unknown', 'no route matches, and there is no default route')
      );
    },

    request(route) {
      const method = requireMethod(line.method);
      const { target, path, query } = splitTarget(line.target, method);
      if (tier !== 'A' && target.includes('!')) deny('malformed', 'a target that the proxy may have altered');
      if (route.refusePathParameters && path.includes(';'))
        deny('malformed', 'a path parameter on a route that takes none');
      const { scheme, authority } = originOf(line.authority, requireScheme(line.scheme), route.publicOrigins);
      return {
        checkId,
        receivedAtMs,
        method,
        scheme,
        authority,
        protocol: textAt(check, check.protocol),
        target,
        path,
        query,
        headers,
        body: bodyOf(check, { method, isTunnel: line.isTunnel, claim: claims.body, headers }, settings, route),
        source,
        route: route.name,
        extensions: claims.extensions,
      };
    },
  };
}

/** A Check of another shape than the configured one may have lost what proofs cover. */
function requireShape({ headers, query, fragment, rawBody }: CheckMessage, tier: DecodeSettings['tier']): void {
  if (query.end > query.start || fragment.end > fragment.start) shape('a query or fragment apart from the path');
  if (tier === 'A') {
    if (headers.raw === 0 || headers.joined > 0) shape('no raw headers; set encode_raw_headers, or another tier');
    if (headers.hasTextValue) shape('a raw header as text');
    return;
  }
  if (headers.joined === 0 || headers.raw > 0) shape('raw headers where the tier has joined ones');
  if (tier === 'C' && rawBody.end > rawBody.start) shape('body bytes where the tier has text');
}

function shape(what: string): never {
  throw new CheckInvalid('shape', what);
}

interface RequestLine {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly target: string | undefined;
  /** The stream goes on as another protocol (`:protocol`). */
  readonly isTunnel: boolean;
}

function rawRequestLine(check: CheckMessage): RequestLine {
  const [method, scheme, authority, target, protocol] = [':method', ':scheme', ':authority', ':path', ':protocol'].map(
    (name) => pseudoHeader(check, name),
  );
  const known = [method, scheme, authority, target, protocol].filter((value) => value !== undefined).length;
  if (
    method === undefined ||
    scheme === undefined ||
    authority === undefined ||
    4 * known !== check.headers.pseudo.length
  ) {
    throw new CheckInvalid('pseudo_header', 'a pseudo-header is missing, or is none of HTTP');
  }
  return { method, scheme, authority, target, isTunnel: protocol !== undefined };
}

/** Where headers are joined, the fields that the proxy makes of them. */
function sanitisedRequestLine(check: CheckMessage): RequestLine {
  return {
    method: textAt(check, check.method),
    scheme: textAt(check, check.scheme),
    authority: textAt(check, check.host),
    target: check.path.end > check.path.start ? textAt(check, check.path) : undefined,
    isTunnel: pseudoHeader(check, ':protocol') !== undefined,
  };
}

function pseudoHeader(check: CheckMessage, name: string): string | undefined {
  const values = pseudoValues(check, name);
  if (values.length > 1) throw new CheckInvalid('pseudo_header', 'a pseudo-header that occurs twice');
  return values[0];
}

function bodyOf(
  check: CheckMessage,
  request: { method: string; isTunnel: boolean; claim: Claims['body']; headers: HeaderList },
  settings: DecodeSettings,
  route: Route,
): Body {
  const { headers, claim } = request;
  const isText = settings.tier === 'C';
  const { start, end } = isText ? check.textBody : check.rawBody;
  const body = classifyBody({
    bytes: check.bytes.subarray(start, end),
    hasStrayText: !isText && check.textBody.end > check.textBody.start,
    text: isText ? settings.textBody : null,
    size: check.size,
    marker: headers.all('x-envoy-auth-partial-body'),
    contentLength: headers.all('content-length'),
    isUpgrade: request.method === 'CONNECT' || request.isTunnel || headers.all('upgrade').length > 0,
    isBufferedClaimed: claim === 'buffered' || (claim === undefined && settings.assumeBuffered),
    maxBytes: settings.maxRequestBytes,
  });
  // An operator who says that bodies are not buffered, on a route that proves them, has made a mistake: whatever was seen is no proof.
  if (claim === 'none' && route.body === 'required' && body.kind !== 'unverifiable')
    return { kind: 'unverifiable', why: 'not_asserted' };
  return body;
}
