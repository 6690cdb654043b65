/**
 * Method, target and origin of a request: what is well formed, and to which of the route's public origins it belongs.
 * Bytes are compared as they came. Nothing is decoded, and no URL parser is asked: proxy, parser and upstream would not agree.
 */
import { isIPv6 } from 'node:net';
import { deny } from '../core/decision.ts';

const METHOD = /^[A-Z][A-Z0-9-]{0,31}$/;
/** Visible ASCII without `#`. */
const TARGET = /^[\x21\x22\x24-\x7e]+$/;
const HOST = /^[A-Za-z0-9.-]{1,253}$/;
const BRACKETED = /^\[[0-9A-Fa-f:.]{2,45}\]$/;
const PORT = /^[0-9]{1,5}$/;

export type Scheme = 'http' | 'https';

export interface Origin {
  readonly scheme: Scheme;
  readonly authority: string;
}

/** @throws {Denial} `malformed`. */
export function requireMethod(method: string): string {
  return METHOD.test(method) ? method : deny('malformed', 'a method that is none');
}

/**
 * @param target path and query as received; undefined for none, as with CONNECT.
 * @throws {Denial} `malformed`.
 */
export function splitTarget(
  target: string | undefined,
  method: string,
): { target: string; path: string; query: string | null } {
  if (target === undefined || !TARGET.test(target))
    return deny('malformed', 'no target, or a byte in it outside 0x21-0x7e, or "#"');
  if (!target.startsWith('/') && !(target === '*' && method === 'OPTIONS'))
    deny('malformed', 'a target that is not in origin form');
  const mark = target.indexOf('?');
  if (mark === -1) return { target, path: target, query: null };
  return { target, path: target.slice(0, mark), query: target.slice(mark + 1) };
}

/** @throws {Denial} `malformed`: HTTP/2 clients can send any text, the empty one too. */
export function requireScheme(scheme: string): Scheme {
  const lower = scheme.toLowerCase();
  return lower === 'http' || lower === 'https' ? lower : deny('malformed', 'a :scheme other than http and https');
}

/**
 * Lower case, without the scheme's default port.
 *
 * @throws {Denial} `malformed`.
 */
export function normalAuthority(raw: string, scheme: Scheme): string {
  const colon = raw.lastIndexOf(':');
  const hasPort = colon > raw.lastIndexOf(']');
  const host = hasPort ? raw.slice(0, colon) : raw;
  const port = hasPort ? raw.slice(colon + 1) : null;
  if (!isHost(host) || (port !== null && !PORT.test(port)))
    deny('malformed', 'an authority that is no host with an optional port');
  if (port === null || port === (scheme === 'https' ? '443' : '80')) return host.toLowerCase();
  return `${host.toLowerCase()}:${port}`;
}

function isHost(host: string): boolean {
  if (BRACKETED.test(host)) return isIPv6(host.slice(1, -1));
  return HOST.test(host) && !host.endsWith('.');
}

/**
 * The public origin that a request was made to. Its scheme is the configured one: what `:scheme` says is the client's choice.
 *
 * @param publicOrigins of the route, in order; null for any, and then `:scheme` is all there is.
 * @throws {Denial} `malformed`, or `route_unknown` when the route is not served at this authority.
 */
export function originOf(authority: string, scheme: Scheme, publicOrigins: readonly Origin[] | null): Origin {
  if (publicOrigins === null) return { scheme, authority: normalAuthority(authority, scheme) };
  return (
    publicOrigins.find((origin) => normalAuthority(authority, origin.scheme) === origin.authority) ??
    deny('route_unknown', 'the authority is no public origin of the route')
  );
}
