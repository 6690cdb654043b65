/**
 * What schemes may ask of a request's headers, read out of the Check's bytes when they ask. Names are compared byte by byte and
 * never become members of an object: `__proto__` is a legal header name.
 */
import type { Buffer } from 'node:buffer';
import { deny } from '../core/decision.ts';
import type { HeaderList } from '../core/request.ts';
import type { HeaderPlaces, Places } from './check-headers.ts';

/** What of a Check is read here. */
export interface HeaderBytes {
  readonly bytes: Buffer;
  readonly headers: HeaderPlaces;
}

/**
 * @param joined the proxy joined copies with `,` and put `!` for bytes it could not write: what could be either is refused.
 */
export function createHeaderList({ bytes, headers: { fields } }: HeaderBytes, joined: boolean): HeaderList {
  return {
    single(name) {
      const i = find(bytes, fields, name, 0);
      if (i === NONE) return undefined;
      if (find(bytes, fields, name, i + 4) !== NONE) deny('malformed', 'a header that must be single occurs twice');
      const value = trimmedAt(bytes, fields, i);
      if (!/^[\x20-\x7e]*$/.test(value)) deny('malformed', 'a byte outside 0x20-0x7e in a header that must have none');
      if (joined && value.includes('!')) deny('malformed', 'a header value that the proxy may have altered');
      return value;
    },
    all: (name) => findAll(bytes, fields, name).map((i) => valueAt(bytes, fields, i)),
    joined(name) {
      const values = findAll(bytes, fields, name).map((i) => trimmedAt(bytes, fields, i));
      if (values.length === 0) return undefined;
      if (joined && values.some((value) => /[!,]/.test(value))) {
        deny('malformed', 'a header value that the proxy may have joined or altered');
      }
      return values.join(', ');
    },
    names: () => namesOf(bytes, fields),
  };
}

/** The values of a pseudo-header, such as `:path`: one, when the proxy is sound. */
export function pseudoValues({ bytes, headers: { pseudo } }: HeaderBytes, name: string): string[] {
  return findAll(bytes, pseudo, name).map((i) => valueAt(bytes, pseudo, i));
}

const NONE = -1;

/** Index into `places` of the next header of this name, or `NONE`. @param name lower case. */
function find(bytes: Buffer, places: Places, name: string, from: number): number {
  for (let i = from; i < places.length; i += 4) {
    const start = places[i] as number;
    if ((places[i + 1] as number) - start === name.length && isName(bytes, start, name)) return i;
  }
  return NONE;
}

function findAll(bytes: Buffer, places: Places, name: string): number[] {
  const found: number[] = [];
  for (let i = find(bytes, places, name, 0); i !== NONE; i = find(bytes, places, name, i + 4)) found.push(i);
  return found;
}

/** In any case: a copy must not hide behind a capital letter. */
function isName(bytes: Buffer, start: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[start + i] as number;
    if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== name.charCodeAt(i)) return false;
  }
  return true;
}

function valueAt(bytes: Buffer, places: Places, i: number): string {
  return bytes.toString('latin1', places[i + 2], places[i + 3]);
}

function namesOf(bytes: Buffer, places: Places): string[] {
  const names: string[] = [];
  for (let i = 0; i < places.length; i += 4) names.push(bytes.toString('utf8', places[i], places[i + 1]));
  return names;
}

/** Without SP and HTAB at the ends. A regular expression would take time in the square of a long run of blanks. */
function trimmedAt(bytes: Buffer, places: Places, i: number): string {
  let start = places[i + 2] as number;
  let end = places[i + 3] as number;
  while (start < end && isBlank(bytes[start] as number)) start++;
  while (end > start && isBlank(bytes[end - 1] as number)) end--;
  return bytes.toString('latin1', start, end);
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}
