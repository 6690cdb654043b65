/**
 * The error bodies of the public protocol. What exactly was wrong with a message is told only where the sender is known to be
 * authentic, or where it needs no secret to see; all failures of authentication look alike. `CS` codes are ours.
 */
import { deny, type DenialCode } from '../../../core/decision.ts';

const MESSAGES = {
  BA101: 'Message structure is invalid or malformed',
  BA102: 'Identity verification failed',
  BA103: 'Device hash does not match hash(publicKey || rotationHash)',
  BA104: 'Hash validation failed',
  BA302: 'Link container identity does not match request identity',
  BA401: 'Token has expired',
  BA403: 'Token issued_at timestamp is in the future',
  CS401: 'Authentication failed',
  CS403: 'Registration is closed',
  CS413: 'Message too large',
  CS429: 'Too many requests',
  CS503: 'Temporarily unavailable',
} as const;

type ErrorCode = keyof typeof MESSAGES;

/** Codes told besides what the status tells, with the denial that each is in our log. */
const DENIALS = {
  BA102: 'malformed',
  BA103: 'malformed',
  BA104: 'malformed',
  BA302: 'signature_invalid',
  BA401: 'stale',
  BA403: 'not_yet_valid',
} as const satisfies Partial<Record<ErrorCode, DenialCode>>;

const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'BA101',
  401: 'CS401',
  403: 'CS403',
  413: 'CS413',
  429: 'CS429',
};

/** @param detail for the log: the client gets the code's own message. */
export function refuse(code: keyof typeof DENIALS, detail: string): never {
  return deny(DENIALS[code], detail, { hint: code });
}

/** Body of a refusal, whoever refuses: `Endpoint.problem`. @param hint of `refuse`. */
export function errorBody(status: number, hint?: unknown): object {
  const code = isErrorCode(hint) ? hint : (BY_STATUS[status] ?? 'CS503');
  return { error: { code, message: MESSAGES[code], context: {} } };
}

function isErrorCode(hint: unknown): hint is ErrorCode {
  return typeof hint === 'string' && Object.hasOwn(MESSAGES, hint);
}
