/**
 * Verdicts and refusals. A refusal is thrown as `Denial`, so that guards read as one straight line, and becomes a `Decision`
 * at one place, `authenticate.ts`; on the HTTP fronts, `http/`. Any other throw is a fault (`fault.ts`).
 */
import type { FaultReason } from './fault.ts';

export type Header = readonly [name: string, value: string];

/** What a scheme vouches for. */
export interface Identity {
  readonly subject: string;
  readonly keyId?: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Names of the headers that carried the proof; removed from the upstream request when the route strips credentials. */
  readonly consumed: readonly string[];
  /** For the client, on success. */
  readonly replyHeaders?: readonly Header[];
  /** The claim said `mine`: the proxy's own retry of this Check. */
  readonly retried?: boolean;
  /** False: the proof says nothing about the body, whatever the route asks of proofs; the upstream is told so. Absent: it covers what the route asks. */
  readonly coversBody?: false;
}

/** Status of a refusal on the Check path, its gRPC code there, and its status on the issuer. */
interface DenialForm {
  readonly status: number;
  readonly grpc: GrpcDenyCode;
  readonly issuer: number;
}

/** gRPC codes that a refusal may carry: 7 PERMISSION_DENIED, 8 RESOURCE_EXHAUSTED, 14 UNAVAILABLE, 16 UNAUTHENTICATED. */
export type GrpcDenyCode = 7 | 8 | 14 | 16;

export const DENIAL_CODES = {
  credentials_missing: { status: 401, grpc: 16, issuer: 401 },
  malformed: { status: 401, grpc: 16, issuer: 400 },
  signature_invalid: { status: 401, grpc: 16, issuer: 401 },
  unknown_credential: { status: 401, grpc: 16, issuer: 401 },
  stale: { status: 401, grpc: 16, issuer: 401 },
  not_yet_valid: { status: 401, grpc: 16, issuer: 401 },
  replayed: { status: 401, grpc: 16, issuer: 401 },
  revoked: { status: 401, grpc: 16, issuer: 401 },
  out_of_sync: { status: 401, grpc: 16, issuer: 401 },
  body_unverifiable: { status: 403, grpc: 7, issuer: 403 },
  route_unknown: { status: 403, grpc: 7, issuer: 404 },
  rate_limited: { status: 429, grpc: 8, issuer: 429 },
} as const satisfies Record<string, DenialForm>;

export type DenialCode = keyof typeof DENIAL_CODES;

/** `malformed` and `body_unverifiable` because of a size. */
export const OVERSIZED: DenialForm = { status: 413, grpc: 8, issuer: 413 };

export interface DenialOptions {
  /** The refusal is about a size: 413. */
  readonly oversized?: boolean;
  readonly retryAfterSeconds?: number;
  /** Further headers for the client, from the closed list of `envoy/encode-response.ts`. */
  readonly replyHeaders?: readonly Header[];
  /** What the refusing scheme wants back in its own `challenges()`, or in an endpoint's `problem()`. Never leaves the process. */
  readonly hint?: unknown;
}

export class Denial extends Error {
  readonly code: DenialCode;
  /** A constant phrase for the log, possibly with numbers that are no secrets. Never request text. */
  readonly detail: string;
  readonly options: DenialOptions;

  constructor(code: DenialCode, detail: string, options: DenialOptions = {}) {
    super(`${code}: ${detail}`);
    this.name = 'Denial';
    this.code = code;
    this.detail = detail;
    this.options = options;
  }

  get form(): DenialForm {
    return this.options.oversized === true ? OVERSIZED : DENIAL_CODES[this.code];
  }
}

/** Refuses. Typed `never`, so that it can stand on the right of `??`. */
export function deny(code: DenialCode, detail: string, options?: DenialOptions): never {
  throw new Denial(code, detail, options);
}

/** What the client is told: an unknown credential looks like a wrong proof, byte for byte. */
export function wireCode(code: DenialCode): Exclude<DenialCode, 'unknown_credential'> {
  return code === 'unknown_credential' ? 'signature_invalid' : code;
}

export interface Allow {
  readonly outcome: 'allow';
  readonly scheme: string;
  readonly identity: Identity;
}

export interface Deny {
  readonly outcome: 'deny';
  /** Name of the scheme that refused; absent when none was chosen yet. */
  readonly scheme?: string;
  readonly denial: Denial;
  /** All headers of the answer besides content type and cache control: `www-authenticate` lines, times, retry hints. */
  readonly replyHeaders: readonly Header[];
}

export interface FaultDecision {
  readonly outcome: 'fault';
  readonly scheme?: string;
  readonly reason: FaultReason;
  readonly retryAfterSeconds: number;
  /** What was thrown; for the log's stack, never for the client. */
  readonly cause: unknown;
}

export type Decision = Allow | Deny | FaultDecision;
