/**
 * What the upstream is told, and what it must not see. Identity headers are overwritten, every other header of their prefix is
 * removed in any spelling, and the two lists never share a name: the proxy removes after it writes.
 */
import type { Header } from '../core/decision.ts';
import { Fault } from '../core/fault.ts';
import type { BodyPolicy } from '../core/request.ts';
import type { Identity } from '../core/scheme.ts';
import { formatAttributes } from '../encoding/attributes.ts';
import { utf8 } from '../encoding/bytes.ts';

const NAMES = ['subject', 'scheme', 'key-id', 'attributes', 'body'] as const;

const MAX_ID_BYTES = 1024;
const MAX_ATTRIBUTES_BYTES = 8 * 1024;

/** `x-auth-body` by the policy under which the proof was judged. */
const BODY: Readonly<Record<BodyPolicy, string>> = { required: 'verified', digest: 'signed-digest', none: 'none' };

/** @throws {Fault} `internal` for an identity that does not fit into headers: nothing is cut short. */
export function identityHeaders(prefix: string, identity: Identity, scheme: string, body: BodyPolicy): Header[] {
  const attributes = formatAttributes(identity.attributes);
  if (attributes !== undefined && attributes.length > MAX_ATTRIBUTES_BYTES)
    throw new Fault('internal', 'attributes over 8 KiB');
  return [
    [`${prefix}subject`, escapeId(identity.subject)],
    [`${prefix}scheme`, scheme],
    ...(identity.keyId === undefined ? [] : [[`${prefix}key-id`, escapeId(identity.keyId)] as const]),
    ...(attributes === undefined ? [] : [[`${prefix}attributes`, attributes] as const]),
    [`${prefix}body`, BODY[body]],
  ];
}

/**
 * Names to take from the request.
 *
 * @param seen names of the request as received.
 * @param consumed names of the headers that carried the proof; empty when they may stay.
 * @throws {Fault} `internal` for a name that must never be removed.
 */
export function removals(
  prefix: string,
  written: readonly Header[],
  seen: readonly string[],
  consumed: readonly string[],
): string[] {
  const remove: string[] = [];
  const add = (name: string) => {
    if (!remove.includes(name) && !written.some(([kept]) => kept === name)) remove.push(name);
  };
  for (const name of seen) if (hasPrefix(name, prefix)) add(name.toLowerCase());
  // Even when not seen: a header that something between us adds is gone too.
  for (const name of ownNames(prefix)) add(name);
  for (const name of consumed) {
    if (name.startsWith(':') || name.toLowerCase() === 'host')
      throw new Fault('internal', 'a scheme consumed what is no header');
    add(name.toLowerCase());
  }
  return remove;
}

/** There is one prefix at a time, and joining it to the names costs as much as all the rest. */
let own = { prefix: '', names: [] as readonly string[] };

function ownNames(prefix: string): readonly string[] {
  if (own.prefix !== prefix) own = { prefix, names: NAMES.map((name) => `${prefix}${name}`) };
  return own.names;
}

/** Some backends read `_` as `-`, and all of them ignore case. */
function hasPrefix(name: string, prefix: string): boolean {
  // Most headers differ in the first letter: looked at in both cases, before a copy is made.
  if (name.length < prefix.length || (name.charCodeAt(0) | 0x20) !== prefix.charCodeAt(0)) return false;
  return name.slice(0, prefix.length).toLowerCase().replaceAll('_', '-') === prefix;
}

/** Bytes outside `[A-Za-z0-9._~:@/+=,-]` as `%XX`: what is left is one token in any header grammar. */
function escapeId(id: string): string {
  const escaped = /^[A-Za-z0-9._~:@/+=,-]*$/.test(id) ? id : Array.from(utf8(id), escapeByte).join('');
  if (escaped === '' || escaped.length > MAX_ID_BYTES)
    throw new Fault('internal', 'an identity that is empty or over 1024 bytes');
  return escaped;
}

function escapeByte(byte: number): string {
  const char = String.fromCharCode(byte);
  return /[A-Za-z0-9._~:@/+=,-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}
