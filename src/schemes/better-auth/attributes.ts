/**
 * What a token tells of its account beyond its keys. The rule keeps to JSON that every public implementation prints with the same
 * bytes, since v1 clients print tokens again before they verify; it is checked when attributes are set, never when a token is minted.
 */
import * as v from 'valibot';
import { deny } from '../../core/decision.ts';

export type Attributes = Readonly<Record<string, unknown>>;

const MAX_BYTES = 4096;
const MAX_DEPTH = 8;
const EXPECTED =
  'attributes: an object of at most 4 KiB and depth 8 of ASCII text without <, > and &, booleans, null, safe integers, lists and objects, no member named auth or like an integer';

/** A member of an admin call. */
export function attributes() {
  return v.custom<Attributes>(isAttributes, EXPECTED);
}

/** The same in the configuration file, whose schema is published: there it is a map. */
export function attributesSetting() {
  return v.pipe(
    v.record(v.string(), v.unknown(), EXPECTED),
    v.check((value) => isAttributes(value), EXPECTED),
  );
}

function isAttributes(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return isPlain(value, MAX_DEPTH) && JSON.stringify(value).length <= MAX_BYTES;
}

/** `auth` is what the sidecar says of itself, integers would be printed in another order. */
function isName(name: string): boolean {
  return name !== 'auth' && name !== '__proto__' && !/^(0|[1-9][0-9]*)$/.test(name) && isText(name);
}

function isText(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text) && !/[<>&]/.test(text);
}

function isPlain(value: unknown, depthLeft: number): boolean {
  if (value === null || typeof value === 'boolean' || Number.isSafeInteger(value)) return true;
  if (typeof value === 'string') return isText(value);
  if (typeof value !== 'object' || depthLeft === 0) return false;
  if (Array.isArray(value)) return value.every((item) => isPlain(item, depthLeft - 1));
  return Object.entries(value).every(([name, member]) => isName(name) && isPlain(member, depthLeft - 1));
}

/**
 * Of a token minted now: the account's over the defaults, and the audience over both. Members are sorted at every depth, as those
 * public implementations do that keep no order.
 */
export function tokenAttributes(
  { defaultAttributes, audience }: { readonly defaultAttributes: Attributes; readonly audience?: string | undefined },
  ofAccount: Attributes,
): Attributes {
  const all = { ...defaultAttributes, ...ofAccount, ...(audience !== undefined && { aud: audience }) };
  return sorted(all) as Attributes;
}

/** Merged, they are as bounded as each alone. @throws {Denial} `malformed` */
export function requireFitting(settings: Parameters<typeof tokenAttributes>[0], ofAccount: Attributes): void {
  if (!isAttributes(tokenAttributes(settings, ofAccount))) deny('malformed', 'attributes that no token has room for');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]));
}
