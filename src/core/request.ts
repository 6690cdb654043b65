/**
 * What a scheme may see of a request. A front makes it (`envoy/decode-request.ts`), already checked and normalised;
 * a verifier never parses a URL and never reads a forwarding header.
 */

export interface HeaderList {
  /** The only occurrence, trimmed of SP and HTAB. @throws {Denial} `malformed` when it occurs twice or holds a byte outside 0x20-0x7e. */
  single(name: string): string | undefined;
  /** Raw values in order, one character a byte (latin1). */
  all(name: string): readonly string[];
  /** Values joined by `, ` (RFC 9421 section 2.1): for covered fields only. Undefined when absent. */
  joined(name: string): string | undefined;
  /** Every name as received, in order, pseudo-headers left out. */
  names(): readonly string[];
}

/** Why a body can't be proven whole. A closed set: it is a metric label. */
export const UNVERIFIABLE_REASONS = [
  'marker',
  'partial',
  'text_body',
  'upgrade',
  'length',
  'at_limit',
  'no_marker',
  'not_buffered',
  'not_asserted',
  'not_ascii',
] as const;
export type UnverifiableWhy = (typeof UNVERIFIABLE_REASONS)[number];

export type Body =
  | { readonly kind: 'complete'; readonly bytes: Uint8Array }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unverifiable'; readonly why: UnverifiableWhy };

export interface AuthRequest {
  /** 22 characters, from the proxy's stream id and receive time: the same when one Check is retried. Owner of claims. */
  readonly checkId: string;
  /** Own clock at the first byte of the Check, unix ms: `now` of every freshness rule. */
  readonly receivedAtMs: number;
  /** Case kept as sent. */
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** Lower case, default port left out. */
  readonly authority: string;
  readonly protocol: string;
  /** Path and query, raw, byte for byte as the proxy has them. */
  readonly target: string;
  readonly path: string;
  /** `null` without `?`, empty for a bare one. */
  readonly query: string | null;
  readonly headers: HeaderList;
  readonly body: Body;
  /** Address: rate limits and logs only. */
  readonly source: string;
  /** Name of the configured route. */
  readonly route: string;
  /** The proxy's context extensions without the `countersign.` ones: set by the operator, trusted. */
  readonly extensions: ReadonlyMap<string, string>;
}

export type BodyPolicy = 'required' | 'digest' | 'none';

/** What a route demands, as far as a scheme needs to know. `Options` are the scheme's own settings with the route's overrides. */
export interface RoutePolicy<Options = unknown> {
  readonly route: string;
  readonly body: BodyPolicy;
  /** Name space of credentials, challenges, sessions and claims. */
  readonly tenant: string;
  /** `realm` of `www-authenticate`. */
  readonly realm: string;
  /** Origins accepted as `aud` of access tokens. */
  readonly audience: readonly string[];
  /** A cached user may serve while the store is down, for `directory.staleOnFault` (`routes.<name>.storeFree: allow`). Absent: no. */
  readonly storeFree?: boolean;
  readonly options: Options;
}
