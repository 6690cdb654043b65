/**
 * What a lane does next, and what an answer makes of it: pure but for hashing. The server's word counts only as a head that lies on a
 * chain of ours; its numbers are never believed.
 */
import { CountersignError } from '../../core/client-error.ts';
import { within } from '../../core/clock.ts';
import type { Sha512 } from '../../encoding/sha512.ts';
import { indexOf, isEqual, makeChain, tokenOf, type Chain } from './client-chain.ts';
import type { Lane, Renewal } from './client-state.ts';
import { TOKEN_BYTES, type Order } from './message.ts';

/** From this index on the chain is renewed. */
const RENEW_AT = 32;
/** How long the chain before is kept, and then until a request on the new one was accepted. */
const KEEP_OLD_MS = 3_600_000;
/** When the request after so many in a row is refused too, something else is wrong. */
const MAX_RESYNCS = 3;

export interface Tools {
  readonly sha512: Sha512;
  random(bytes: number): Uint8Array;
}

/** One request to be made. */
export interface Step {
  /** To be kept before the token is shown. */
  readonly lane: Lane;
  readonly order: Order;
  readonly index: number;
  readonly token: Uint8Array;
  /** The new chain that the request carries, with its anchor. */
  readonly newChain: { readonly anchor: Uint8Array; readonly length: number } | null;
  /** `seed`: the token after this one, by which the new chain is committed to. */
  readonly committing: Uint8Array | null;
}

/** @throws {CountersignError} `key_unusable` when the client has to enrol, or to enrol again. */
export function nextStep(lane: Lane, tools: Tools): Step {
  if (!lane.isEnrolled) throw new CountersignError('key_unusable', 'the chain is not enrolled yet');
  if (lane.resyncs > MAX_RESYNCS) throw enrolAgain('brought back in step three times in vain');
  const { chain, profile } = lane;
  const renewal = lane.renewal ?? renewalInTime(lane, tools);
  if (renewal === null) return ordinary(lane, chain, (next) => ({ ...lane, chain: next }), tools);

  const renewing = { ...lane, renewal };
  if (renewal.isAcknowledged && renewal.index !== null) {
    // Shown again and again until it is known to have arrived: only it puts the new chain in force.
    const index = renewal.index - 1;
    return step(spent(renewing, index), 0, index, tools);
  }
  const index = renewal.index ?? chain.next;
  // Whether the last token has carried it there is unknown: the new chain is tried.
  if (index < 1)
    return ordinary(renewing, renewal.chain, (next) => ({ ...renewing, renewal: { ...renewal, chain: next } }), tools);
  const carried = { anchor: tokenOf(renewal.chain, renewal.chain.length, tools.sha512), length: renewal.chain.length };
  const committing = profile === 'seed' ? tokenOf(chain, index - 1, tools.sha512) : null;
  return { ...step(spent(renewing, index), renewal.order, index, tools), newChain: carried, committing };
}

function ordinary(lane: Lane, chain: Chain, withChain: (chain: Chain) => Lane, tools: Tools): Step {
  if (chain.next < 1) throw enrolAgain('the chain is used up');
  const token = tokenOf(chain, chain.next, tools.sha512);
  const spentChain = { ...chain, next: chain.next - 1 };
  return { lane: withChain(spentChain), order: 0, index: chain.next, token, newChain: null, committing: null };
}

function step(lane: Lane, order: Order, index: number, { sha512 }: Tools): Step {
  return { lane, order, index, token: tokenOf(lane.chain, index, sha512), newChain: null, committing: null };
}

/** This token counts as shown, and so do those above it. */
function spent(lane: Lane, index: number): Lane {
  return { ...lane, chain: { ...lane.chain, next: Math.min(lane.chain.next, index - 1) } };
}

function renewalInTime({ chain, profile }: Lane, tools: Tools): Renewal | null {
  // In `seed` it takes two tokens, of which the second must not be the secret.
  const fewest = profile === 'seed' ? 2 : 1;
  if (chain.next > RENEW_AT || chain.next < fewest) return null;
  return {
    chain: newChain(chain.length, tools),
    order: 1,
    index: profile === 'seed' ? chain.next : null,
    isAcknowledged: false,
  };
}

/** Of any 64 random bytes: nothing ties it to the chain before. */
function newChain(length: number, { random, sha512 }: Tools): Chain {
  return makeChain(random(TOKEN_BYTES), length, sha512).chain;
}

/**
 * @param heads what the answer may have shown; empty when it showed nothing.
 * @returns the lane after a request that was let through.
 */
export function afterAllow(
  { lane, order, index, token, newChain: carried }: Step,
  heads: readonly Uint8Array[],
  nowMs: number,
  tools: Tools,
): Lane {
  const { renewal, profile } = lane;
  const shows = (value: Uint8Array) => heads.some((head) => isEqual(head, value));
  const done = { ...lane, resyncs: 0 };
  // Without a word from the server a renewal stays open; it is settled by the next answer.
  if (heads.length === 0) return done;
  if (renewal !== null) {
    const anchor = carried?.anchor ?? tokenOf(renewal.chain, renewal.chain.length, tools.sha512);
    if (shows(anchor)) return committed(done, renewal, nowMs);
  }
  if (!shows(token)) return resynchronised(done, heads, nowMs, tools).lane;
  if (renewal !== null) {
    if (order !== 0 && profile === 'seed') return { ...done, renewal: { ...renewal, isAcknowledged: true } };
    // Somebody has altered the new chain on its way: the old one goes on, a newer one is tried.
    if (renewal.isAcknowledged && renewal.index === index + 1) return { ...done, renewal: null };
    return committed(done, renewal, nowMs);
  }
  const isForgettable = lane.old !== null && within(lane.old.untilMs, nowMs, Number.MAX_SAFE_INTEGER);
  return isForgettable ? { ...done, old: null } : done;
}

function committed(lane: Lane, { chain }: Renewal, nowMs: number): Lane {
  return { ...lane, chain, renewal: null, old: { chain: lane.chain, untilMs: nowMs + KEEP_OLD_MS } };
}

/**
 * Finds the server's head on a chain of ours and goes on from there.
 *
 * @returns whether it was found: else the server has lost the chain, or it was not the server that answered.
 */
export function resynchronised(
  given: Lane,
  heads: readonly Uint8Array[],
  nowMs: number,
  tools: Tools,
): { lane: Lane; isFound: boolean } {
  const lane = { ...given, resyncs: given.resyncs + 1 };
  const { renewal, old, chain } = lane;
  const on = (one: Chain | undefined) => (one === undefined ? undefined : indexOf(one, heads, tools.sha512));
  const found = (next: Lane) => ({ lane: next, isFound: true });

  const onNew = on(renewal?.chain);
  if (renewal !== null && onNew !== undefined) return found(goOn(committed(lane, renewal, nowMs), onNew, tools));
  const onCurrent = on(chain);
  if (onCurrent !== undefined) return found(goOn(lane, onCurrent, tools));
  const onOld = on(old?.chain);
  if (old !== null && onOld !== undefined)
    return found(goOn({ ...lane, chain: old.chain, renewal: null, old: null }, onOld, tools));
  return { lane, isFound: false };
}

/** @param head index of the server's head on the lane's chain. */
function goOn(lane: Lane, head: number, tools: Tools): Lane {
  const { chain, renewal, profile, maxSkip } = lane;
  // The request that carried the new chain has arrived.
  if (profile === 'seed' && renewal?.index === head) return { ...lane, renewal: { ...renewal, isAcknowledged: true } };
  const lastShown = chain.next + 1;
  // Restored from a backup, or nothing was lost: what the server has seen is behind us.
  if (head <= lastShown) {
    const next = { ...lane, chain: { ...chain, next: Math.min(chain.next, head - 1) } };
    const isPast = renewal !== null && renewal.index !== null && head <= renewal.index;
    return isPast ? { ...next, renewal: null } : next;
  }
  // Requests were lost. So many that the next token would be too far off?
  const upcoming = renewal?.index ?? chain.next;
  if (upcoming >= 1 && head - upcoming <= (renewal?.order === 2 ? 1 : maxSkip)) return lane;
  const fewest = profile === 'seed' ? 2 : 1;
  if (head - 1 < fewest) return { ...lane, chain: { ...chain, next: head - 1 }, renewal: null };
  const rescue = { order: 2, index: head - 1, isAcknowledged: false } as const;
  return { ...lane, renewal: { ...rescue, chain: renewal?.chain ?? newChain(chain.length, tools) } };
}

function enrolAgain(why: string): CountersignError {
  return new CountersignError('key_unusable', `${why}: the client has to be enrolled again`);
}
