/**
 * Token buckets in process (GCRA): each holds one time, the theoretical arrival of the next request at the permitted rate.
 * N replicas allow N times as much. What is charged, and when, is the callers' business.
 */
import { isIPv6 } from 'node:net';
import { LRUCache } from 'lru-cache';
import type { Clock } from './core/clock.ts';
import { deny } from './core/decision.ts';
import type { BucketName, Charge, Limit, Limits } from './core/limits.ts';
import { sha256Base64url } from './crypto/digest.ts';

export interface LimitsOptions {
  /** Its monotonic reading: a stepped wall clock neither fills nor empties a bucket. */
  readonly clock: Clock;
  /** Beyond it the least recently used goes, and starts full again: a map without a cap is a leak. */
  readonly maxBuckets: number;
  readonly perCredential: Limit;
  /** For the metric: which bucket was empty. */
  readonly onRefused?: (bucket: BucketName) => void;
}

export interface BoundedLimits extends Limits {
  /** Buckets that are not full, at most `maxBuckets`. */
  entries(): number;
}

export function createLimits({ clock, maxBuckets, perCredential, onRefused }: LimitsOptions): BoundedLimits {
  const arrivals = new LRUCache<string, number>({ max: maxBuckets });

  function charge(charges: readonly Charge[]): void {
    const nowMs = clock.monotonicMs();
    const spent: [key: string, arrivalMs: number][] = [];
    for (const one of charges) {
      const key = bucketKey(one);
      const arrivalMs = Math.max(arrivals.get(key) ?? nowMs, nowMs);
      const waitMs = waitBefore(arrivalMs, nowMs, one.limit);
      if (waitMs > 0) {
        onRefused?.(one.bucket);
        deny('rate_limited', 'bucket empty', { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) });
      }
      spent.push([key, arrivalMs + one.limit.periodMs]);
    }
    // Only now: a refused attempt must not drain the wider buckets, which others share.
    for (const [key, arrivalMs] of spent) arrivals.set(key, arrivalMs);
  }

  return {
    charge,
    refund(charges) {
      for (const one of charges) {
        const key = bucketKey(one);
        const arrivalMs = arrivals.get(key);
        // Gone from the map it is full anyway.
        if (arrivalMs !== undefined) arrivals.set(key, arrivalMs - one.limit.periodMs);
      }
    },
    credential: (source, scheme, id) =>
      charge([{ bucket: 'credential', limit: perCredential, key: [source, scheme, id] }]),
    entries: () => arrivals.size,
  };
}

/** Sums of periods such as 1000/3 ms round; without it the last token of a burst would be missing now and then. */
const ROUNDING_MS = 0.001;

/**
 * @param arrivalMs theoretical arrival time, not before now.
 * @returns 0 when there is a token, else the milliseconds until there is one.
 */
function waitBefore(arrivalMs: number, nowMs: number, { periodMs, burst }: Limit): number {
  const excessMs = arrivalMs - nowMs - (burst - 1) * periodMs;
  return excessMs > ROUNDING_MS ? excessMs : 0;
}

/** A hash, so that ids and addresses from strangers have one length in memory. No two lists of parts make one: each has its length before it. */
function bucketKey({ bucket, key, anyAddress }: Charge): string {
  const [first = '', ...rest] = key;
  const parts = anyAddress === true ? key : [addressBlock(first), ...rest];
  let text = anyAddress === true ? `${bucket} any` : bucket;
  for (const part of parts) text += `,${part.length}:${part}`;
  return sha256Base64url(text);
}

/** What counts as one address: of IPv6 the /64, of which a single machine has all; an IPv4 address written as IPv6 is that address. */
export function addressBlock(address: string): string {
  if (!address.includes(':') || !isIPv6(address)) return address;
  const [, ipv4] = /^::ffff:([0-9.]+)$/i.exec(address) ?? [];
  if (ipv4 !== undefined) return ipv4;
  const [head = '', tail] = address.split('::');
  const headGroups = head === '' ? [] : head.split(':');
  // `::` stands for the groups that are missing; where it reaches into the first half they are zero.
  const missing = tail === undefined ? 0 : 8 - headGroups.length - groupCount(tail);
  const groups = [...headGroups, ...Array<string>(missing).fill('0'), ...(tail ?? '').split(':')];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

/** A dotted quad at the end stands for two groups. */
function groupCount(text: string): number {
  return text === '' ? 0 : text.split(':').length + (text.includes('.') ? 1 : 0);
}
