/**
 * Brings an address into the form that proxies leave alone, so that what is signed is what the server judges: it compares bytes and
 * never normalises. The query is left as it is; a fragment and a bare `?` are dropped.
 */
import { CountersignError } from '../core/client-error.ts';

/**
 * @param base origin of the deployment: what is not there is not signed.
 * @throws {CountersignError} `request_unsuitable` for another origin, a user or password in the address, and a path without normal form.
 */
export function normalUrl(address: string | URL, base: URL): URL {
  const url = parse(address, base);
  if (url.origin !== base.origin)
    throw new CountersignError('request_unsuitable', `the address is not on ${base.origin}`);
  if (url.username !== '' || url.password !== '') {
    throw new CountersignError('request_unsuitable', 'an address with a user or password is not sent');
  }
  const path = normalPath(url.pathname);
  const normal = new URL(url.origin + path + url.search);
  if (normal.pathname !== path) throw new CountersignError('request_unsuitable', 'the path has no normal form');
  return normal;
}

function parse(address: string | URL, base: URL): URL {
  try {
    return new URL(address, base);
  } catch (cause) {
    throw new CountersignError('request_unsuitable', 'not an address', { cause });
  }
}

const STRAY_PERCENT = /%(?![0-9A-Fa-f]{2})/g;
const ESCAPE = /%[0-9A-Fa-f]{2}/g;
const UNRESERVED = /^[A-Za-z0-9._~-]$/;
/** Outside RFC 3986 `pchar` and the slash. */
const NOT_BARE = /[^A-Za-z0-9._~!$&'()*+,;=:@%/-]/g;

/**
 * Exactly the unreserved and allowed characters of RFC 3986 stand bare; other escapes keep their bytes and case; no double slashes.
 *
 * @param path as `URL` gives it: ASCII, dot segments resolved.
 */
function normalPath(path: string): string {
  return path
    .replace(STRAY_PERCENT, '%25')
    .replace(ESCAPE, (escape) => {
      const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
      return UNRESERVED.test(character) ? character : escape;
    })
    .replace(NOT_BARE, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
    .replace(/\/{2,}/g, '/');
}
