/**
 * What is thrown when countersign can't judge, as opposed to a refusal (`decision.ts`). A fault answers 503, never an allow.
 */

/** Why a verb of the store failed. A closed set: it is a metric label. */
export const STORE_FAULT_REASONS = [
  'down',
  'timeout',
  'full',
  'fenced',
  'readonly',
  'loading',
  'busy',
  'moved',
  'auth',
  'protocol',
  'clock',
  'unsafe',
  'horizon_moved',
  'recovering',
  'not_replicated',
] as const;

/** Every reason there is. A closed set: it is a metric label. */
export const FAULT_REASONS = [
  ...STORE_FAULT_REASONS,
  'deadline',
  'overload',
  'check_invalid',
  'key_source',
  'sealed',
  'internal',
] as const;

export type StoreFaultReason = (typeof STORE_FAULT_REASONS)[number];
export type FaultReason = (typeof FAULT_REASONS)[number];

export class Fault extends Error {
  readonly reason: FaultReason;
  /** For `Retry-After`, at least 1. */
  readonly retryAfterSeconds: number;

  constructor(reason: FaultReason, message: string, options: { cause?: unknown; retryAfterSeconds?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Fault';
    this.reason = reason;
    this.retryAfterSeconds = Math.max(1, options.retryAfterSeconds ?? 1);
  }
}

/** The only thing a verb of the store may throw, besides `RangeError` for a programmer's mistake. */
export class StoreFault extends Fault {
  declare readonly reason: StoreFaultReason;

  constructor(reason: StoreFaultReason, message: string, options: { cause?: unknown } = {}) {
    super(reason, message, options);
    this.name = 'StoreFault';
  }
}

/** What was wrong with a Check as the proxy sent it. A closed set: it is a metric label. `no_stream_id` is counted, never thrown. */
export const CHECK_INVALID_REASONS = ['undecodable', 'shape', 'extension', 'no_stream_id', 'pseudo_header'] as const;
export type CheckInvalidReason = (typeof CHECK_INVALID_REASONS)[number];

/** The proxy hop is broken or configured otherwise than we are: not the client's doing, so no refusal. */
export class CheckInvalid extends Fault {
  readonly why: CheckInvalidReason;

  constructor(why: CheckInvalidReason, message: string) {
    super('check_invalid', `${why}: ${message}`);
    this.name = 'CheckInvalid';
    this.why = why;
  }
}
