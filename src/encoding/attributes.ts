/**
 * The header `<prefix>attributes`: what the upstream is told about a user besides the id. Limits of size are the front's business.
 */
import { encodeBase64url } from './base64url.ts';
import { utf8 } from './bytes.ts';

/** Base64url of compact JSON with sorted members; undefined when there are none: then the header is removed instead. */
export function formatAttributes(attributes: Readonly<Record<string, unknown>>): string | undefined {
  if (Object.keys(attributes).length === 0) return undefined;
  return encodeBase64url(utf8(sortedJson(attributes)));
}

/**
 * Written by hand since `JSON.stringify` would put members such as `"1"` first, whatever the order asked for.
 * Sorted by UTF-16 units at every depth, as RFC 8785 does; members that are undefined are left out.
 */
function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${sortedJson(member)}`);
  return `{${members.join(',')}}`;
}
