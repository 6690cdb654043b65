/**
 * Where the headers of a Check are, in either of the two forms that proxies send: `header_map`, every line as it came, or the map
 * `headers`, where copies are joined. Only places are kept; reading them is `header-list.ts`.
 */
import { deny } from '../core/decision.ts';
import {
  delimited,
  messageReader,
  NOWHERE,
  once,
  readEnd,
  readKey,
  readText,
  requireUtf8,
  skip,
  undecodable,
} from './protobuf-reader.ts';
import type { Reader, Span } from './protobuf-reader.ts';

const MAX_HEADERS = 256;
const MAX_HEADER_BYTES = 64 * 1024;
const COLON = 0x3a;

/** Four numbers a header: start and end of the name, start and end of the value, ends exclusive. */
export type Places = number[];

export interface HeaderPlaces {
  /** In order, names as received. */
  readonly fields: Places;
  /** Those whose names begin with a colon. */
  readonly pseudo: Places;
  /** Headers that came line by line (`header_map`), and joined ones (`headers`). A proxy sends one form. */
  raw: number;
  joined: number;
  /** Whether a line came as text, that is, possibly altered. */
  hasTextValue: boolean;
  /** Names and values together. */
  bytes: number;
  /** Names of the joined ones; undefined before the first. */
  joinedNames: Set<string> | undefined;
}

export function noHeaders(): HeaderPlaces {
  return { fields: [], pseudo: [], raw: 0, joined: 0, hasTextValue: false, bytes: 0, joinedNames: undefined };
}

export const readHeaderMap = messageReader<HeaderPlaces>({
  known: [1],
  repeated: [1],
  read(headers, key, reader, end) {
    if (key !== delimited(1)) return false;
    readHeader(headers, reader, readEnd(reader, end));
    return true;
  },
});

/** Most of the bytes of a Check are headers, so this one is written out. */
function readHeader(headers: HeaderPlaces, reader: Reader, end: number): void {
  let seen = 0;
  let nameStart = 0;
  let nameEnd = 0;
  let valueStart = 0;
  let valueEnd = 0;
  while (reader.at < end) {
    const key = readKey(reader, end);
    if (key === delimited(1)) {
      seen = once(seen, 1);
      nameEnd = readEnd(reader, end);
      nameStart = reader.at;
      reader.at = nameEnd;
      requireUtf8(reader.bytes, nameStart, nameEnd);
    } else if (key === delimited(3)) {
      seen = once(seen, 3);
      valueEnd = readEnd(reader, end);
      valueStart = reader.at;
      reader.at = valueEnd;
    } else if (key === delimited(2)) {
      seen = once(seen, 2);
      const text = readText(reader, end);
      if (text.end > text.start) headers.hasTextValue = true;
    } else skip(reader, key, end, 0b1110);
  }
  headers.raw++;
  keep(headers, reader, nameStart, nameEnd, valueStart, valueEnd);
}

export function readJoinedHeader(headers: HeaderPlaces, reader: Reader, end: number): void {
  const { key, value } = readMapEntry(reader, end);
  headers.joined++;
  keep(headers, reader, key.start, key.end, value.start, value.end);
  const name = reader.bytes.toString('utf8', key.start, key.end);
  headers.joinedNames ??= new Set();
  if (headers.joinedNames.has(name)) undecodable('a map key that occurs twice');
  headers.joinedNames.add(name);
}

/** A part that is missing is the empty text. */
export function readMapEntry(reader: Reader, end: number): Readonly<MapEntry> {
  const entry: MapEntry = { key: NOWHERE, value: NOWHERE };
  readEntry(entry, reader, end);
  return entry;
}

interface MapEntry {
  key: Span;
  value: Span;
}

const readEntry = messageReader<MapEntry>({
  known: [1, 2],
  read(entry, key, reader, end) {
    if (key === delimited(1)) entry.key = readText(reader, end);
    else if (key === delimited(2)) entry.value = readText(reader, end);
    else return false;
    return true;
  },
});

/** @throws {Denial} `malformed`, oversized. */
function keep(
  headers: HeaderPlaces,
  { bytes }: Reader,
  nameStart: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
): void {
  headers.bytes += nameEnd - nameStart + valueEnd - valueStart;
  if (headers.raw + headers.joined > MAX_HEADERS) deny('malformed', 'more than 256 headers', { oversized: true });
  if (headers.bytes > MAX_HEADER_BYTES) deny('malformed', 'headers over 64 KiB', { oversized: true });
  const places = nameEnd > nameStart && bytes[nameStart] === COLON ? headers.pseudo : headers.fields;
  places.push(nameStart, nameEnd, valueStart, valueEnd);
}
