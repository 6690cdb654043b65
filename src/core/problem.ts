/**
 * The body of every refusal, one for the Check front, the issuer and the admin API (RFC 9457).
 * One line, at most 512 bytes, never a reason, never which part was wrong.
 */

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

export const PROBLEM_TYPE = 'application/problem+json';

/**
 * @param code a wire code, `unavailable`, or a code of the HTTP fronts such as `not_found`.
 * @param id `check`: the Check's id; `request`: the owner of an HTTP request.
 */
export function problemBody(status: number, code: string, id: { check: string } | { request: string }): string {
  return JSON.stringify({ type: 'about:blank', title: TITLES[status] ?? 'Error', status, code, ...id });
}
