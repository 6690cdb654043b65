/**
 * Reads one `CheckRequest`: one pass over the bytes, remembering where the fields are. Nothing becomes text before it is asked for.
 * The fields are those of `proto/countersign_ext_authz.proto`; headers are `check-headers.ts`, what it all means `decode-request.ts`.
 */
import { Buffer } from 'node:buffer';
import { deny } from '../core/decision.ts';
import { noHeaders, readHeaderMap, readJoinedHeader, readMapEntry } from './check-headers.ts';
import type { HeaderPlaces, Places } from './check-headers.ts';
import {
  delimited,
  messageReader,
  NOWHERE,
  readBytes,
  readEnd,
  readSigned,
  readText,
  undecodable,
  varint,
} from './protobuf-reader.ts';
import type { Reader, Span } from './protobuf-reader.ts';

const MAX_EXTENSIONS = 64;
const MAX_EXTENSION_BYTES = 1024;

/** An absent field is an empty span, as protobuf has it. Spans point into `bytes`. */
export interface CheckMessage {
  readonly bytes: Buffer;
  readonly headers: HeaderPlaces;
  /** `context_extensions`: keys and values. */
  readonly extensions: Places;
  /** Address of the client, or path of its pipe. */
  source: Span;
  time: Time | null;
  id: Span;
  method: Span;
  path: Span;
  host: Span;
  scheme: Span;
  query: Span;
  fragment: Span;
  /** Bytes that the proxy buffered; negative when it does not know. */
  size: number;
  protocol: Span;
  textBody: Span;
  rawBody: Span;
}

/** When the proxy received the request, by its clock. */
export interface Time {
  seconds: number;
  nanos: number;
}

/**
 * @throws {CheckInvalid} `undecodable`.
 * @throws {Denial} `malformed`, oversized: too many headers or context extensions, or too long ones.
 */
export function readCheckMessage(message: Uint8Array): CheckMessage {
  const bytes = Buffer.isBuffer(message)
    ? message
    : Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  const check: CheckMessage = {
    bytes,
    headers: noHeaders(),
    extensions: [],
    source: NOWHERE,
    time: null,
    id: NOWHERE,
    method: NOWHERE,
    path: NOWHERE,
    host: NOWHERE,
    scheme: NOWHERE,
    query: NOWHERE,
    fragment: NOWHERE,
    size: 0,
    protocol: NOWHERE,
    textBody: NOWHERE,
    rawBody: NOWHERE,
  };
  requireField(1, readCheckRequest(check, { bytes, at: 0 }, bytes.length), 'a Check without attributes');
  return check;
}

const readCheckRequest = messageReader<CheckMessage>({
  known: [1],
  read(check, key, reader, end) {
    if (key !== delimited(1)) return false;
    requireField(4, readAttributes(check, reader, readEnd(reader, end)), 'attributes without a request');
    return true;
  },
});

const readAttributes = messageReader<CheckMessage>({
  known: [1, 4, 10],
  repeated: [10],
  read(check, key, reader, end) {
    switch (key) {
      case delimited(1):
        readPeer(check, reader, readEnd(reader, end));
        return true;
      case delimited(4):
        requireField(2, readRequest(check, reader, readEnd(reader, end)), 'a request that is not HTTP');
        return true;
      case delimited(10):
        readExtension(check, reader, readEnd(reader, end));
        return true;
      default:
        return false;
    }
  },
});

const readPeer = messageReader<CheckMessage>({
  known: [1],
  read(check, key, reader, end) {
    if (key !== delimited(1)) return false;
    const seen = readAddress(check, reader, readEnd(reader, end));
    if (seen === 0b110) undecodable('an address that is two');
    return true;
  },
});

const readAddress = messageReader<CheckMessage>({
  known: [1, 2],
  read(check, key, reader, end) {
    if (key === delimited(1)) readSocketAddress(check, reader, readEnd(reader, end));
    else if (key === delimited(2)) readPipe(check, reader, readEnd(reader, end));
    else return false;
    return true;
  },
});

const readSocketAddress = messageReader<CheckMessage>({
  known: [2, 3],
  read(check, key, reader, end) {
    if (key === delimited(2)) check.source = readText(reader, end);
    else if (key === varint(3)) readSigned(reader, end);
    else return false;
    return true;
  },
});

const readPipe = messageReader<CheckMessage>({
  known: [1],
  read(check, key, reader, end) {
    if (key !== delimited(1)) return false;
    check.source = readText(reader, end);
    return true;
  },
});

const readRequest = messageReader<CheckMessage>({
  known: [1, 2],
  read(check, key, reader, end) {
    if (key === delimited(1)) check.time = readTime(reader, readEnd(reader, end));
    else if (key === delimited(2)) readHttp(check, reader, readEnd(reader, end));
    else return false;
    return true;
  },
});

function readTime(reader: Reader, end: number): Time {
  const time = { seconds: 0, nanos: 0 };
  readTimestamp(time, reader, end);
  if (time.seconds < 0 || time.nanos < 0 || time.nanos > 999_999_999)
    undecodable('a time before 1970, or nanoseconds beyond a second');
  return time;
}

const readTimestamp = messageReader<Time>({
  known: [1, 2],
  read(time, key, reader, end) {
    if (key === varint(1)) time.seconds = readSigned(reader, end);
    else if (key === varint(2)) time.nanos = readSigned(reader, end);
    else return false;
    return true;
  },
});

const readHttp = messageReader<CheckMessage>({
  known: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
  repeated: [3],
  read(check, key, reader, end) {
    switch (key) {
      case delimited(1):
        check.id = readText(reader, end);
        return true;
      case delimited(2):
        check.method = readText(reader, end);
        return true;
      case delimited(3):
        readJoinedHeader(check.headers, reader, readEnd(reader, end));
        return true;
      case delimited(4):
        check.path = readText(reader, end);
        return true;
      case delimited(5):
        check.host = readText(reader, end);
        return true;
      case delimited(6):
        check.scheme = readText(reader, end);
        return true;
      case delimited(7):
        check.query = readText(reader, end);
        return true;
      case delimited(8):
        check.fragment = readText(reader, end);
        return true;
      case varint(9):
        check.size = readSigned(reader, end);
        return true;
      case delimited(10):
        check.protocol = readText(reader, end);
        return true;
      case delimited(11):
        check.textBody = readText(reader, end);
        return true;
      case delimited(12):
        check.rawBody = readBytes(reader, end);
        return true;
      case delimited(13):
        readHeaderMap(check.headers, reader, readEnd(reader, end));
        return true;
      default:
        return false;
    }
  },
});

function readExtension({ bytes, extensions }: CheckMessage, reader: Reader, end: number): void {
  const { key, value } = readMapEntry(reader, end);
  if (key.end - key.start + value.end - value.start > MAX_EXTENSION_BYTES) {
    deny('malformed', 'a context extension over 1 KiB', { oversized: true });
  }
  if (extensions.length === 4 * MAX_EXTENSIONS)
    deny('malformed', 'more than 64 context extensions', { oversized: true });
  for (let i = 0; i < extensions.length; i += 4) {
    if (isSame(bytes, extensions[i] as number, extensions[i + 1] as number, key))
      undecodable('a map key that occurs twice');
  }
  extensions.push(key.start, key.end, value.start, value.end);
}

function isSame(bytes: Buffer, start: number, end: number, other: Span): boolean {
  if (end - start !== other.end - other.start) return false;
  for (let i = start, j = other.start; i < end; i++, j++) if (bytes[i] !== bytes[j]) return false;
  return true;
}

/** A field that is known to be UTF-8. */
export function textAt({ bytes }: { readonly bytes: Buffer }, { start, end }: Span): string {
  return bytes.toString('utf8', start, end);
}

function requireField(field: number, seen: number, otherwise: string): void {
  if ((seen & (1 << field)) === 0) undecodable(otherwise);
}
