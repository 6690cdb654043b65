/**
 * A Check as somebody kept it: the bytes of a `CheckRequest`, the same in base64, or its JSON form (protobuf's own mapping, names in
 * either case), as Envoy's logs and gRPC tools print it. For looking at Checks afterwards; no Check in service comes by here.
 */
import { Buffer } from 'node:buffer';
import { field, integerField, text, toBytes, type Wire } from './protobuf-writer.ts';

/** @throws {Error} that names what was expected. */
export function readCapture(bytes: Uint8Array): Uint8Array {
  const ascii = Buffer.from(bytes).toString('latin1').trim();
  if (ascii.startsWith('{')) return toBytes(message(CHECK_REQUEST, parseJson(bytes), 'CheckRequest'));
  if (ascii !== '' && /^[A-Za-z0-9+/\s]+={0,2}$/.test(ascii)) return Buffer.from(ascii, 'base64');
  return bytes;
}

type Write = (number: number, value: unknown, path: string) => Wire;
type Shape = Readonly<Record<string, readonly [number: number, write: Write]>>;

const asText: Write = (number, value, path) =>
  typeof value === 'string' ? field(number, text(value)) : refuse(path, 'text');
const asBytes: Write = (number, value, path) =>
  typeof value === 'string' ? field(number, Buffer.from(value, 'base64').toString('latin1')) : refuse(path, 'base64');
const asInteger: Write = (number, value, path) => {
  const parsed = Number(value);
  return Number.isSafeInteger(parsed) && parsed >= 0 ? integerField(number, parsed) : refuse(path, 'a whole number');
};
const asMap: Write = (number, value, path) =>
  Object.entries(members(value, path))
    .map(([key, one]) => field(number, field(1, text(key)) + asText(2, one, `${path}.${key}`)))
    .join('');
const asTime: Write = (number, value, path) => {
  if (typeof value !== 'string') return field(number, message(TIMESTAMP, value, path));
  const [, whole = '', fraction = ''] = /^([0-9TtZz:-]+?)(?:\.([0-9]{1,9}))?Z$/.exec(value) ?? [];
  const ms = Date.parse(`${whole}Z`);
  if (Number.isNaN(ms)) return refuse(path, 'a time such as "2026-01-31T12:00:00.5Z"');
  return field(number, integerField(1, ms / 1000) + integerField(2, Number(fraction.padEnd(9, '0'))));
};
const as =
  (shape: () => Shape): Write =>
  (number, value, path) =>
    field(number, message(shape(), value, path));
const asEach =
  (shape: () => Shape): Write =>
  (number, value, path) =>
    Array.isArray(value)
      ? value.map((one: unknown, at) => field(number, message(shape(), one, `${path}[${at}]`))).join('')
      : refuse(path, 'a list');

const HEADER_VALUE: Shape = { key: [1, asText], value: [2, asText], rawValue: [3, asBytes] };
const HEADER_MAP: Shape = { headers: [1, asEach(() => HEADER_VALUE)] };
const TIMESTAMP: Shape = { seconds: [1, asInteger], nanos: [2, asInteger] };
const HTTP_REQUEST: Shape = {
  id: [1, asText],
  method: [2, asText],
  headers: [3, asMap],
  path: [4, asText],
  host: [5, asText],
  scheme: [6, asText],
  query: [7, asText],
  fragment: [8, asText],
  size: [9, asInteger],
  protocol: [10, asText],
  body: [11, asText],
  rawBody: [12, asBytes],
  headerMap: [13, as(() => HEADER_MAP)],
};
const REQUEST: Shape = { time: [1, asTime], http: [2, as(() => HTTP_REQUEST)] };
const SOCKET_ADDRESS: Shape = { address: [2, asText], portValue: [3, asInteger] };
const PIPE: Shape = { path: [1, asText] };
const ADDRESS: Shape = { socketAddress: [1, as(() => SOCKET_ADDRESS)], pipe: [2, as(() => PIPE)] };
const PEER: Shape = { address: [1, as(() => ADDRESS)] };
const ATTRIBUTES: Shape = {
  source: [1, as(() => PEER)],
  request: [4, as(() => REQUEST)],
  contextExtensions: [10, asMap],
};
const CHECK_REQUEST: Shape = { attributes: [1, as(() => ATTRIBUTES)] };

/** Members that are not ours are left out, as the reader would skip them. */
function message(shape: Shape, value: unknown, path: string): Wire {
  return Object.entries(members(value, path))
    .map(([name, one]) => {
      const known = name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
      const [number, write] = Object.hasOwn(shape, known) ? (shape[known] ?? []) : [];
      return number === undefined || write === undefined ? '' : write(number, one, `${path}.${name}`);
    })
    .join('');
}

function members(value: unknown, path: string): object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : refuse(path, 'an object');
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new Error('expected a CheckRequest as bytes, base64 or JSON', { cause });
  }
}

function refuse(path: string, expected: string): never {
  throw new Error(`${path}: expected ${expected}`);
}
