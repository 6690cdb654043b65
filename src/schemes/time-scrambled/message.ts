/**
 * The wire format of time-scrambled: the Authorization header, what answers carry, and the exact bytes that are scrambled, hashed and
 * MACed. Verifier and client library share this file, so they can't disagree; it is browser-safe and judges nothing (`verify.ts`)
 * but forms. Windows of time are `message-window.ts`.
 */
import { deny } from '../../core/decision.ts';
import { isIdentifier } from '../../core/directory.ts';
import { formatAuthHeader, type HeaderParams } from '../../encoding/auth-header.ts';
import { concat, fromHex, lp, lpConcat, toHex, u32, u64 } from '../../encoding/bytes.ts';
import { canonicalRequest, type CanonicalParts } from '../../encoding/canonical-request.ts';
import type { Parity } from './message-window.ts';

export const SCHEME = 'time-scrambled';
export const AUTH_SCHEME = 'TimeScrambled';
const LABEL = 'countersign/time-scrambled/1';

/** Tokens, anchors, pads, secrets and commitments: SHA-512. */
export const TOKEN_BYTES = 64;
const MAC_BYTES = 32;
/** Shared at enrolment in `keyed`: pads and MACs come from it. */
export const TIME_KEY_BYTES = 32;
export const PAD_KEY_BYTES = 64;
export const BIND_KEY_BYTES = 32;
export const MAX_LANES = 64;
/** Of any chain, whatever `maxChain` says. */
export const LONGEST_CHAIN = 65_536;

/** `keyed`: pads are secret, requests are bound by a MAC. `seed`: pads are public, nothing but the link proves anything. */
export type Profile = 'keyed' | 'seed';
export const PROFILES = ['keyed', 'seed'] as const satisfies readonly Profile[];

/** The seed's "next request order": 0 an ordinary request, 1 a new chain, 2 a new chain after the two sides lost step. */
export type Order = 0 | 1 | 2;

export interface NewChain {
  /** The new anchor, scrambled. 64 bytes. */
  readonly x2: Uint8Array;
  readonly length: number;
  /** `seed`: ties the anchor to the token that comes next. 64 bytes. */
  readonly commitment: Uint8Array | null;
}

export interface Proof {
  /** Chain as the header has it, lane included: it enters every key and MAC. */
  readonly id: string;
  /** Without the lane. */
  readonly chain: string;
  readonly order: Order;
  readonly parity: Parity;
  /** Of the token. Null in `seed` where the client does not tell. */
  readonly index: number | null;
  /** The token, scrambled. 64 bytes. */
  readonly x1: Uint8Array;
  readonly newChain: NewChain | null;
  /** The MAC of `keyed`, 32 bytes. Its presence is what tells the profiles apart. */
  readonly binding: Uint8Array | null;
}

export function profileOf(proof: Proof): Profile {
  return proof.binding === null ? 'seed' : 'keyed';
}

const LANE = /^([^/]*)(?:\/([1-9][0-9]?))?$/;

/** @param maxChain largest index and length. @throws {Denial} `malformed` */
export function parseProof(params: HeaderParams, maxChain: number): Proof {
  const { id, chain } = parseId(params.get('id'));
  const order = integer(params, 's', 0, 2) ?? deny('malformed', 's is missing');
  const parity = integer(params, 'm', 0, 1) ?? deny('malformed', 'm is missing');
  const index = integer(params, 'n', 1, maxChain) ?? null;
  const x1 = bytes(params, 'x1', TOKEN_BYTES) ?? deny('malformed', 'x1 is missing');
  const binding = bytes(params, 'b', MAC_BYTES) ?? null;
  if (binding !== null && index === null) deny('malformed', 'b without n');
  const newChain = parseNewChain(params, maxChain);
  if ((newChain === null) !== (order === 0)) deny('malformed', 'a new anchor goes with s = 1 and s = 2');
  if (binding !== null && newChain !== null && newChain.commitment !== null) deny('malformed', 'both b and c');
  return { id, chain, order: order as Order, parity: parity as Parity, index, x1, newChain, binding };
}

/** `id`, or `id/lane`. */
function parseId(id: string | number | undefined): { id: string; chain: string } {
  const [, chain = '', lane = '0'] = (typeof id === 'string' && LANE.exec(id)) || deny('malformed', 'id is no chain');
  if (!isIdentifier(chain) || Number(lane) >= MAX_LANES) deny('malformed', 'id is no identifier, or its lane none');
  return { id: id as string, chain };
}

function parseNewChain(params: HeaderParams, maxChain: number): NewChain | null {
  const x2 = bytes(params, 'x2', TOKEN_BYTES);
  const length = integer(params, 'nn', 2, maxChain);
  const commitment = bytes(params, 'c', TOKEN_BYTES) ?? null;
  if (x2 !== undefined && length !== undefined) return { x2, length, commitment };
  if (x2 !== undefined || length !== undefined || commitment !== null) deny('malformed', 'x2 and nn go together');
  return null;
}

function integer(params: HeaderParams, name: string, min: number, max: number): number | undefined {
  const value = params.get(name);
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || value < min || value > max) deny('malformed', 'an integer quoted or out of range');
  return value;
}

/** Length first: nothing longer is ever decoded. */
function bytes(params: HeaderParams, name: string, length: number): Uint8Array | undefined {
  const value = params.get(name);
  if (value === undefined) return undefined;
  const decoded = typeof value === 'string' && value.length === 2 * length ? fromHex(value) : undefined;
  return decoded ?? deny('malformed', 'a value that is not lower-case hex of its length');
}

/** Value of the Authorization header. */
export function formatProof({ id, order, parity, index, x1, newChain, binding }: Omit<Proof, 'chain'>): string {
  return formatAuthHeader(AUTH_SCHEME, {
    id,
    s: order,
    m: parity,
    ...(index !== null && { n: index }),
    x1: toHex(x1),
    ...(newChain && { x2: toHex(newChain.x2), nn: newChain.length }),
    ...(newChain?.commitment && { c: toHex(newChain.commitment) }),
    ...(binding && { b: toHex(binding) }),
  });
}

export type Purpose = 'x1' | 'x2' | 'y1';

/** What is hashed to the pad of a window: in `seed` the number alone, whatever the pad is for. */
export function padMessage(profile: Profile, purpose: Purpose, window: number): string {
  return profile === 'seed' ? String(window) : `${purpose}:${window}`;
}

/** HKDF-SHA512 `info` by which the two keys come from the time key. */
export function padKeyInfo(id: string): string {
  return `${LABEL} pad ${id}`;
}

export function bindKeyInfo(id: string): string {
  return `${LABEL} bind ${id}`;
}

/** HKDF-SHA512 `info` by which the secret of a lane, 1 to 63, comes from the first one's. */
export function laneInfo(lane: number): string {
  return `${LABEL} lane ${lane}`;
}

/** What `b` is the MAC of. @param bodyDigest SHA-256 of the complete body, or zero bytes under body policy `none`. */
export function boundBytes(
  { id, order, index, x1, newChain }: Pick<Proof, 'id' | 'order' | 'index' | 'x1' | 'newChain'>,
  window: number,
  request: CanonicalParts,
  bodyDigest: Uint8Array,
): Uint8Array {
  const anchor = lp(newChain?.x2 ?? new Uint8Array(0));
  const fresh = [Uint8Array.of(order), u64(window), u32(index ?? 0), x1, anchor, u32(newChain?.length ?? 0)];
  return canonicalRequest(LABEL, id, concat(fresh), request, bodyDigest);
}

/** What `c` is the MAC of, by HMAC-SHA512 under the token that comes after this one. */
export function commitmentBytes(id: string, anchor: Uint8Array, length: number): Uint8Array {
  return concat([lpConcat(`${LABEL} renew`, id, anchor), u32(length)]);
}

/** What the `a` of an allowed request is the MAC of. */
export function acceptedBytes(id: string, x1: Uint8Array, y1: Uint8Array): Uint8Array {
  return lpConcat(`${LABEL} accepted`, id, x1, y1);
}

/** What the `a` of a refusal is the MAC of. @param timeMs the server's clock. */
export function resyncBytes(id: string, x1: Uint8Array, y1: Uint8Array, timeMs: number): Uint8Array {
  return concat([lpConcat(`${LABEL} resync`, id, x1, y1), u64(timeMs)]);
}

/** What stands in for the head of an unknown chain, by HMAC-SHA512 under the pepper. In each tenant another: equal ones would be known as such. */
export function fakeHeadBytes(tenant: string, id: string): Uint8Array {
  return lpConcat(`${LABEL} fake`, ...(tenant === 'default' ? [] : [tenant]), id);
}

/** The head as answers show it. */
export interface ScrambledHead {
  readonly y1: Uint8Array;
  readonly parity: Parity;
  /** The MAC of `keyed`. */
  readonly a: Uint8Array | null;
}

/** Value of `authentication-info` (RFC 9110 section 11.6.3). @param renewed undefined: no chain was to be renewed. */
export function formatAuthenticationInfo({ y1, parity, a }: ScrambledHead, renewed?: boolean): string {
  const mac = a === null ? '' : `, a="${toHex(a)}"`;
  const outcome = renewed === undefined ? '' : `, renewed=${renewed ? 1 : 0}`;
  return `y1="${toHex(y1)}", m=${parity}${mac}${outcome}`;
}

export interface Resync extends ScrambledHead {
  /** In `keyed` only, where `a` covers it. */
  readonly timeMs: number;
}

/** Value of `www-authenticate`. @param error wire code of the refusal. */
export function formatChallengeLine(realm: string, error?: string, resync?: Resync): string {
  return formatAuthHeader(AUTH_SCHEME, {
    realm,
    ...(error !== undefined && { error }),
    ...(resync && { y1: toHex(resync.y1), m: resync.parity }),
    ...(resync?.a && { t: resync.timeMs, a: toHex(resync.a) }),
  });
}

/** @returns the two, of 64 bytes each, added without carry: scrambles, and unscrambles. */
export function xor(one: Uint8Array, other: Uint8Array): Uint8Array {
  const sum = new Uint8Array(TOKEN_BYTES);
  for (let i = 0; i < TOKEN_BYTES; i++) sum[i] = (one[i] ?? 0) ^ (other[i] ?? 0);
  return sum;
}
