/** Requests as a front hands them to a scheme, written short. Its rules for headers are those of the front. */
import { deny } from '../../src/core/decision.ts';
import type { AuthRequest, Body, HeaderList } from '../../src/core/request.ts';
import { randomBytes } from '../../src/crypto/random.ts';
import { encodeBase64url } from '../../src/encoding/base64url.ts';

export interface RequestParts {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Body;
  readonly source?: string;
}

/** @param checkId the same twice is a retry of one Check; a new one each time when left out. */
export function authRequest(parts: RequestParts, receivedAtMs: number, checkId: string = newCheckId()): AuthRequest {
  const [path = '', ...query] = parts.target.split('?');
  return {
    ...parts,
    checkId,
    receivedAtMs,
    path,
    query: query.length === 0 ? null : query.join('?'),
    protocol: 'HTTP/2',
    headers: headerList(parts.headers),
    source: parts.source ?? '203.0.113.9',
    route: 'api',
    extensions: new Map(),
  };
}

export function newCheckId(): string {
  return encodeBase64url(randomBytes(16));
}

export function complete(bytes: Uint8Array | string): Body {
  return { kind: 'complete', bytes: typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes };
}

/** The same request with another value under this header; undefined removes it. */
export function withHeader(parts: RequestParts, name: string, value: string | undefined): RequestParts {
  const others = parts.headers.filter(([other]) => other !== name);
  return { ...parts, headers: value === undefined ? others : [...others, [name, value]] };
}

function headerList(headers: RequestParts['headers']): HeaderList {
  const all = (name: string) => headers.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value);
  return {
    all,
    single(name) {
      const values = all(name);
      if (values.length > 1) deny('malformed', 'a singleton header occurs twice');
      const value = values[0]?.replace(/^[ \t]+|[ \t]+$/g, '');
      if (value !== undefined && !/^[\x20-\x7e]*$/.test(value))
        deny('malformed', 'a header holds a byte outside 0x20-0x7e');
      return value;
    },
    joined: (name) => (all(name).length === 0 ? undefined : all(name).join(', ')),
    names: () => headers.map(([name]) => name),
  };
}
