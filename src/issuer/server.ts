/**
 * The front for clients: endpoints of all schemes, enrolment, discovery, JWKS. It knows where things are mounted, not what they do.
 */
import type { IssuerListener } from '../config/schema.ts';
import type { Clock } from '../core/clock.ts';
import type { Header } from '../core/decision.ts';
import type { Charge, Limit, Limits } from '../core/limits.ts';
import type { RoutePolicy } from '../core/request.ts';
import type { Endpoint, Scheme } from '../core/scheme.ts';
import type { HttpEvents } from '../http/exchange.ts';
import { pathMap, type Mounted, type PathMap } from '../http/mounted.ts';
import { createHttpServer, type HttpServer } from '../http/server.ts';
import type { Attach } from '../listener/bind.ts';
import type { CertificateEvents } from '../listener/tls-files.ts';

/** What a configuration offers to clients. */
export interface IssuerGraph {
  readonly paths: PathMap;
  readonly limits: Limits;
  readonly issuerLimit: Limit;
  readonly listener: IssuerListener;
}

export interface IssuerOptions {
  /** The graph in force. */
  graph(): IssuerGraph;
  readonly clock: Clock;
  random(bytes: number): Uint8Array;
  readonly events: HttpEvents;
  readonly certificates: CertificateEvents;
  /** Default: `bind`. */
  readonly attach?: Attach;
}

export function createIssuer({ graph, certificates, ...rest }: IssuerOptions): Promise<HttpServer> {
  const { address, headersTimeout, requestTimeout, keepAliveTimeout, maxConnections, tls } = graph().listener;
  return createHttpServer({
    address,
    setting: 'listeners.issuer.address',
    ...(tls !== undefined && { tls: { files: tls, events: certificates } }),
    headersTimeoutMs: headersTimeout,
    requestTimeoutMs: requestTimeout,
    keepAliveTimeoutMs: keepAliveTimeout,
    maxConnections,
    mounted: () => graph().paths,
    bodyBytes: () => graph().listener.bodyBytes,
    trustedHops: () => graph().listener.trustedHops,
    charge: (mounted, source, subject) => charge(graph(), mounted, source, subject),
    chargeUnreadable: (mounted, source) => chargeAddress(graph(), mounted, source),
    crossOrigin: (origin) => (graph().listener.cors.origins.includes(origin) ? crossOriginHeaders(origin) : undefined),
    ...rest,
  });
}

/** Every POST but those with a bucket of their own, by address; and by address, scheme and user where the request names one. */
function charge(graph: IssuerGraph, mounted: Mounted, source: string, subject: string | undefined): void {
  if (mounted.endpoint.bucket === 'own') return;
  const key = [source, mounted.scheme ?? '', subject ?? ''];
  chargeAddress(
    graph,
    mounted,
    source,
    subject === undefined ? [] : [{ bucket: 'issuer', limit: graph.issuerLimit, key }],
  );
}

/** @param narrower buckets to be tried before that of the address. */
function chargeAddress(
  { limits, issuerLimit: limit }: IssuerGraph,
  { endpoint }: Mounted,
  source: string,
  narrower: readonly Charge[] = [],
): void {
  if (endpoint.method === 'POST') limits.charge([...narrower, { bucket: 'issuer', limit, key: [source] }]);
}

function crossOriginHeaders(origin: string): readonly Header[] {
  return [
    ['access-control-allow-origin', origin],
    ['vary', 'origin'],
    ['access-control-allow-methods', 'GET, POST'],
    ['access-control-allow-headers', 'content-type, countersign-registration, better-auth-reply'],
    ['access-control-expose-headers', 'auth-server-time, retry-after'],
    ['access-control-max-age', '600'],
  ];
}

export interface OfferedScheme {
  readonly scheme: Scheme;
  /** Besides the scheme's own: enrolment. */
  readonly endpoints: readonly Endpoint[];
  /** Of a route that takes the scheme: for the `www-authenticate` lines of its refusals. Absent when none does. */
  readonly policy?: RoutePolicy;
}

/** @param prefix `listeners.issuer.pathPrefix`. @throws {Error} when two schemes claim one path. */
export function mountIssuer(
  prefix: string,
  offered: readonly OfferedScheme[],
  facts: { audiences: readonly string[]; nowMs(): number; jwks(): Answerable },
): PathMap {
  const mounted = offered.flatMap(({ scheme, endpoints, policy }) =>
    endpoints
      .filter(({ listener }) => listener === 'issuer')
      .map((endpoint): Mounted => ({
        path: pathOf(prefix, scheme.name, endpoint.path),
        endpoint,
        scheme: scheme.name,
        ...(policy !== undefined && { challenges: (refused) => scheme.challenges(policy, refused) }),
      })),
  );
  const schemes = Object.fromEntries(offered.map(({ scheme }) => [scheme.name, discoveryOf(scheme, prefix, mounted)]));
  return pathMap([
    ...mounted,
    document('/.well-known/countersign', () => ({
      members: { timeMs: facts.nowMs(), audiences: facts.audiences, schemes },
      headers: [['cache-control', 'public, max-age=300']],
    })),
    document('/.well-known/jwks.json', facts.jwks),
  ]);
}

function pathOf(prefix: string, scheme: string, path: string): string {
  return path.startsWith('/') ? path : `${prefix}/${scheme}/${path}`;
}

function discoveryOf({ name, discovery }: Scheme, prefix: string, mounted: readonly Mounted[]): object {
  const tails = mounted
    .filter(({ scheme, endpoint }) => scheme === name && !endpoint.path.startsWith('/'))
    .map(({ endpoint }) => [endpoint.path, pathOf(prefix, name, endpoint.path)] as const);
  const { profiles, parameters, endpoints = {} } = discovery;
  return { profiles, endpoints: { ...Object.fromEntries(tails), ...endpoints }, parameters };
}

export interface Answerable {
  readonly members: object;
  readonly headers: readonly Header[];
  /** The client has it already, by its `if-none-match`. */
  readonly etag?: string;
}

function document(path: string, content: () => Answerable): Mounted {
  return {
    path,
    endpoint: {
      listener: 'issuer',
      method: 'GET',
      path,
      bucket: 'own',
      handle({ header }) {
        const { members, headers: given, etag } = content();
        const headers: Header[] = [...given, ['vary', 'origin']]; // A cache would give a listed origin the answer without its headers.
        if (etag === undefined) return { status: 200, body: members, headers };
        headers.push(['etag', etag]);
        return { status: isKnown(header('if-none-match'), etag) ? 304 : 200, body: members, headers };
      },
    },
  };
}

/** RFC 9110 section 13.1.2: `*` or a list, compared weakly, since a cache on the way may have made ours weak. */
function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  const listed = (ifNoneMatch ?? '').split(',').map((one) => one.trim().replace(/^W\//, ''));
  return listed.includes('*') || listed.includes(etag);
}
