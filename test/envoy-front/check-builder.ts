/**
 * Checks as a proxy sends them, encoded by the official-quality codec from our own `.proto`: the second opinion on our reader.
 */
import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';

const { root } = protobuf.parse(
  readFileSync(new URL('../../proto/countersign_ext_authz.proto', import.meta.url), 'utf8'),
  {
    keepCase: true,
  },
);

export const CheckRequest = root.lookupType('envoy.service.auth.v3.CheckRequest');
export const CheckResponse = root.lookupType('envoy.service.auth.v3.CheckResponse');

/** Text stands for bytes, one character each; `{ text }` puts it into the field for text. */
export type HeaderLine = readonly [name: string, value: string | Uint8Array | { readonly text: string }];

export interface CheckParts {
  readonly id?: string;
  readonly time?: { readonly seconds: number; readonly nanos: number } | null;
  readonly method?: string | null;
  readonly scheme?: string | null;
  readonly authority?: string | null;
  readonly path?: string | null;
  /** Besides the pseudo-headers that the parts above make. */
  readonly headers?: readonly HeaderLine[];
  readonly protocol?: string;
  readonly body?: Uint8Array;
  readonly text?: string;
  /** What the proxy says of the body; undefined for no marker. */
  readonly partial?: 'true' | 'false';
  readonly size?: number;
  readonly extensions?: Readonly<Record<string, string>>;
  readonly source?: string | null;
  /** Path of a pipe the client came by. */
  readonly pipe?: string;
  readonly tier?: 'A' | 'B' | 'C';
  /** Sends the headers in both forms. */
  readonly both?: boolean;
  /** Further fields of `HttpRequest`. */
  readonly http?: Readonly<Record<string, unknown>>;
}

/** One request, unless told otherwise: GET https://api.example.com/a on route `api`, no body, buffered. */
export function encodeCheck(parts: CheckParts = {}): Uint8Array {
  return CheckRequest.encode(CheckRequest.fromObject({ attributes: attributesOf(parts) })).finish();
}

export function attributesOf(parts: CheckParts): Record<string, unknown> {
  const { source = '203.0.113.9', extensions = { 'countersign.route': 'api', 'countersign.body': 'buffered' } } = parts;
  const { id = '13359530607844510314', time = { seconds: 1_700_000_000, nanos: 250_000_000 } } = parts;
  return {
    ...(source !== null && { source: { address: { socket_address: { address: source, port_value: 4711 } } } }),
    ...(parts.pipe !== undefined && { source: { address: { pipe: { path: parts.pipe } } } }),
    request: { ...(time && { time }), http: { id, ...httpOf(parts) } },
    context_extensions: extensions,
  };
}

function httpOf(parts: CheckParts): Record<string, unknown> {
  const { method = 'GET', scheme = 'https', authority = 'api.example.com', path = '/a', tier = 'A' } = parts;
  const body = parts.body ?? new Uint8Array();
  const lines: HeaderLine[] = [];
  for (const [name, value] of [
    [':method', method],
    [':path', path],
    [':authority', authority],
    [':scheme', scheme],
  ] as const) {
    if (value !== null) lines.push([name, value]);
  }
  lines.push(...(parts.headers ?? []));
  if (parts.partial !== undefined) lines.push(['x-envoy-auth-partial-body', parts.partial]);
  return {
    method: method ?? '',
    path: path ?? '',
    host: authority ?? '',
    scheme: scheme ?? '',
    size: parts.size ?? (parts.text === undefined ? body.length : Buffer.byteLength(parts.text)),
    protocol: parts.protocol ?? 'HTTP/2',
    ...(parts.text !== undefined && { body: parts.text }),
    ...(body.length > 0 && { raw_body: body }),
    ...((tier === 'A' || parts.both === true) && { header_map: { headers: lines.map(rawHeader) } }),
    ...((tier !== 'A' || parts.both === true) && { headers: Object.fromEntries(lines) }),
    ...parts.http,
  };
}

function rawHeader([key, value]: HeaderLine): Record<string, unknown> {
  if (typeof value === 'object' && 'text' in value) return { key, value: value.text };
  if (typeof value === 'object') return { key, raw_value: value };
  return { key, raw_value: Buffer.from(value, /[\u0100-\uffff]/.test(value) ? 'utf8' : 'latin1') };
}
