/** Token buckets as their users see them. The buckets themselves are `limits.ts` beside this folder. */

/** A closed set: it is a metric label. */
export const BUCKETS = [
  'source',
  'credential',
  'issuer',
  'login',
  'resync',
  'peer',
  'create',
  'challenge',
  'passphrase',
] as const;
export type BucketName = (typeof BUCKETS)[number];

export interface Limit {
  /** Milliseconds per token. */
  readonly periodMs: number;
  /** Tokens of a full bucket. */
  readonly burst: number;
}

export interface Charge {
  readonly bucket: BucketName;
  readonly limit: Limit;
  /** What the bucket is keyed by; an address first, so that a stranger can't lock an owner out. */
  readonly key: readonly string[];
  /** No address in the key: the two bounds on guessing from many addresses, `login` by user and `passphrase` by account. */
  readonly anyAddress?: true;
}

export interface Limits {
  /**
   * Charges all buckets, narrowest first, or none of them.
   *
   * @throws {Denial} `rate_limited` with `Retry-After`.
   */
  charge(charges: readonly Charge[]): void;
  /**
   * Gives back what `charge` took. For buckets of failures: charged before the attempt is judged, so that attempts made at once
   * can't pass an empty bucket together, and given back when it was right.
   */
  refund(charges: readonly Charge[]): void;
  /** The bucket `credential`: address, scheme, and user or session or chain id; charged once the credential is parsed. */
  credential(source: string, scheme: string, id: string): void;
}
