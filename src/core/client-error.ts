/**
 * What the client library throws. `code` is stable: programs compare it, never the message. Of a refusal by the server it is the
 * code on the wire; the others are the library's own.
 */
const CLIENT_ERROR_CODES = [
  // Told by the server.
  'credentials_missing',
  'malformed',
  'signature_invalid',
  'stale',
  'not_yet_valid',
  'replayed',
  'revoked',
  'out_of_sync',
  'body_unverifiable',
  'route_unknown',
  'rate_limited',
  'conflict',
  'not_found',
  'too_large',
  'unavailable',
  // The library's own.
  /** A request that can't be signed as it stands: another origin, an Authorization header, redirects to be followed. */
  'request_unsuitable',
  /** A body whose bytes are not known before it is sent. */
  'body_not_fixed',
  /** A key that is missing, of another algorithm, or lies where others can read it. */
  'key_unusable',
  /** The deployment does not offer the scheme or the endpoint. */
  'not_offered',
  /** An answer that is not what the protocol says. */
  'answer_invalid',
] as const;

export type ClientErrorCode = (typeof CLIENT_ERROR_CODES)[number];

export interface ClientErrorDetails {
  readonly status?: number;
  /** Whole seconds to wait before another attempt: on `rate_limited` and `unavailable`. */
  readonly retryAfterSeconds?: number;
  /** Names the refused request in the server's log. */
  readonly checkId?: string;
  /** The server's answer, its body unread. */
  readonly response?: Response;
  readonly cause?: unknown;
}

export class CountersignError extends Error {
  readonly code: ClientErrorCode;
  readonly status: number | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly checkId: string | undefined;
  readonly response: Response | undefined;

  constructor(code: ClientErrorCode, message: string, details: ClientErrorDetails = {}) {
    super(`${code}: ${message}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'CountersignError';
    this.code = code;
    this.status = details.status;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.checkId = details.checkId;
    this.response = details.response;
  }
}

export function isClientErrorCode(text: unknown): text is ClientErrorCode {
  return (CLIENT_ERROR_CODES as readonly unknown[]).includes(text);
}
