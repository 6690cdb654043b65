/**
 * What a client keeps of each lane, and the places that keep it. A lane is a chain of its own with all that its requests need, so
 * that several tabs or tasks can use one each. Files are `client/node-chains.ts`, the browser's database `client/chains.ts`.
 */
import { CountersignError } from '../../core/client-error.ts';
import { fromHex, toHex } from '../../encoding/bytes.ts';
import { decodeBase64url, encodeBase64url } from '../../encoding/base64url.ts';
import { spacingOf, type Chain } from './client-chain.ts';
import { LONGEST_CHAIN, PROFILES, TIME_KEY_BYTES, TOKEN_BYTES, type Profile } from './message.ts';

export interface ChainStorage {
  /**
   * A lane that nobody else uses, for one request; waits for one.
   *
   * @throws {CountersignError} `key_unusable` when there is none. @throws the signal's reason when that is aborted first.
   */
  take(signal?: AbortSignal | null): Promise<HeldLane>;
  /** All lanes as last written; empty before enrolment. */
  read(): Promise<readonly string[]>;
  /** Puts these lanes in the place of all that was. Resolves when they are kept. */
  replace(lanes: readonly string[]): Promise<void>;
}

export interface HeldLane {
  /** As last written, by whoever had it. */
  readonly text: string;
  /** Resolves when it is kept, whatever crashes then. */
  write(text: string): Promise<void>;
  release(): void;
}

/** A new chain on its way to the server. */
export interface Renewal {
  readonly chain: Chain;
  /** 1: in time; 2: to get back in step. */
  readonly order: 1 | 2;
  /** Of the one token that carries it until it has arrived; null when each attempt takes the next (`keyed`, in time). */
  readonly index: number | null;
  /** `seed`: it has arrived, and the token before that one may be shown. */
  readonly isAcknowledged: boolean;
}

export interface Lane {
  /** With the lane. */
  readonly id: string;
  readonly profile: Profile;
  /** 32 bytes in `keyed`; null in `seed`, and until the server has told it. */
  readonly timeKey: Uint8Array | null;
  readonly windowMs: number;
  readonly maxSkip: number;
  readonly isEnrolled: boolean;
  readonly chain: Chain;
  readonly renewal: Renewal | null;
  /** The chain before this one, in case the server has forgotten the renewal. Unix ms. */
  readonly old: { readonly chain: Chain; readonly untilMs: number } | null;
  /** How often the two sides were brought back in step without an accepted request since. */
  readonly resyncs: number;
}

export function formatLane({ timeKey, chain, renewal, old, ...rest }: Lane): string {
  return JSON.stringify({
    version: 1,
    ...rest,
    timeKey: timeKey && toHex(timeKey),
    chain: writeChain(chain),
    renewal: renewal && { ...renewal, chain: writeChain(renewal.chain) },
    old: old && { ...old, chain: writeChain(old.chain) },
  });
}

/** @throws {CountersignError} `key_unusable`: what can't be read is not guessed at, since a token shown twice is a token given away. */
export function parseLane(text: string): Lane {
  const { version, id, profile, timeKey, windowMs, maxSkip, isEnrolled, chain, renewal, old, resyncs } = members(
    json(text),
  );
  if (version !== 1) damaged();
  // Without its key a `keyed` chain would show its tokens under the public pads.
  if (isEnrolled === true && (profile === 'keyed') !== (timeKey !== null)) damaged();
  return {
    id: typeof id === 'string' ? id : damaged(),
    profile: PROFILES.find((one) => one === profile) ?? damaged(),
    timeKey: timeKey === null ? null : readTimeKey(timeKey),
    windowMs: integer(windowMs, 1000, 300_000),
    maxSkip: integer(maxSkip, 1, 2000),
    isEnrolled: isEnrolled === true,
    chain: readChain(chain),
    renewal: renewal === null ? null : readRenewal(renewal),
    old: old === null ? null : readOld(old),
    resyncs: integer(resyncs, 0, Number.MAX_SAFE_INTEGER),
  };
}

function readTimeKey(value: unknown): Uint8Array {
  const bytes = typeof value === 'string' && value.length === 2 * TIME_KEY_BYTES ? fromHex(value) : undefined;
  return bytes ?? damaged();
}

function readRenewal(value: unknown): Renewal {
  const { chain, order, index, isAcknowledged } = members(value);
  return {
    chain: readChain(chain),
    order: order === 1 || order === 2 ? order : damaged(),
    index: index === null ? null : integer(index, 1, LONGEST_CHAIN),
    isAcknowledged: isAcknowledged === true,
  };
}

function readOld(value: unknown): NonNullable<Lane['old']> {
  const { chain, untilMs } = members(value);
  return { chain: readChain(chain), untilMs: integer(untilMs, 0, Number.MAX_SAFE_INTEGER) };
}

function writeChain({ length, next, checkpoints }: Chain): object {
  return { length, next, checkpoints: encodeBase64url(checkpoints) };
}

function readChain(value: unknown): Chain {
  const { length: lengthGiven, next, checkpoints } = members(value);
  const length = integer(lengthGiven, 2, LONGEST_CHAIN);
  const bytes = (typeof checkpoints === 'string' && decodeBase64url(checkpoints)) || damaged();
  if (bytes.length !== TOKEN_BYTES * Math.ceil(length / spacingOf(length))) damaged();
  return { length, next: integer(next, 0, length - 1), checkpoints: bytes };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Without the cause: its message quotes the text, which holds the secret.
    return damaged();
  }
}

function members(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : damaged();
}

function integer(value: unknown, min: number, max: number): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max ? value : damaged();
}

function damaged(): never {
  throw new CountersignError('key_unusable', 'the kept state of the chain is none, or damaged: enrol again');
}
