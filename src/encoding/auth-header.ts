/**
 * The grammar of our own credential headers: `Scheme key="text", key=123`. Which keys a scheme wants, and in which form, is its
 * own business; unknown ones are kept, so that a client newer than the server still works.
 */
import { deny } from '../core/decision.ts';
import { parseInteger } from './integer.ts';

const MAX_HEADER_BYTES = 4096;

/** Values by form: text was quoted, a number was bare. */
export type HeaderParams = ReadonlyMap<string, string | number>;

export interface AuthHeader {
  /** As sent; compared without case. */
  readonly scheme: string;
  readonly params: HeaderParams;
}

const SCHEME = /^[A-Za-z][A-Za-z0-9-]{0,31}(?= |$)/;

/** The first word, lower case: it decides whose header it is. Undefined when it is no auth-scheme. */
export function authSchemeOf(value: string): string | undefined {
  return SCHEME.exec(value)?.[0].toLowerCase();
}

/** One parameter with what ends it: the end of the value (no blanks before it), or a comma with something behind. */
const PARAM = /([a-z][a-z0-9_]{0,15})=(?:"([\x20\x21\x23-\x5b\x5d-\x7e]*)"|(0|[1-9][0-9]{0,15}))(?:$| *, *(?!$))/y;

/**
 * @param value the only occurrence of the header, one character a byte.
 * @throws {Denial} `malformed` for a repeated key, a trailing comma, a tab, a byte outside 0x20-0x7e, a second scheme, bare text; with 413 beyond 4096 bytes.
 */
export function parseAuthHeader(value: string): AuthHeader {
  if (value.length > MAX_HEADER_BYTES) deny('malformed', 'credential header above 4096 bytes', { oversized: true });
  const scheme = SCHEME.exec(value)?.[0] ?? deny('malformed', 'no auth-scheme');
  const params = new Map<string, string | number>();
  PARAM.lastIndex = scheme.length + 1;
  do {
    const [, key = '', quoted, bare] = PARAM.exec(value) ?? deny('malformed', 'credential header outside the grammar');
    if (params.has(key)) deny('malformed', 'credential header with a repeated key');
    params.set(key, quoted ?? parseInteger(bare ?? '') ?? deny('malformed', 'integer above 2^53 - 1'));
  } while (PARAM.lastIndex < value.length);
  return { scheme, params };
}

const KEY = /^[a-z][a-z0-9_]{0,15}$/;
const QUOTABLE = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** @throws {RangeError} when the grammar has no way to write it: a programmer's mistake, since values are of closed alphabets. */
export function formatAuthHeader(scheme: string, params: Readonly<Record<string, string | number>>): string {
  const written = Object.entries(params).map(([key, value]) => {
    if (!KEY.test(key)) throw new RangeError('auth header: a key outside the grammar');
    return `${key}=${formatValue(value)}`;
  });
  if (written.length === 0 || authSchemeOf(scheme) !== scheme.toLowerCase())
    throw new RangeError('auth header: nothing to say');
  return `${scheme} ${written.join(', ')}`;
}

function formatValue(value: string | number): string {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError('auth header: a number that is no integer from 0 to 2^53 - 1');
    return String(value);
  }
  if (!QUOTABLE.test(value)) throw new RangeError('auth header: text that can not be quoted');
  return `"${value}"`;
}
