/** Refusals that only the HTTP fronts have; an endpoint throws them, `http/` answers them. */
export const HTTP_PROBLEMS = {
  not_found: 404,
  method_not_allowed: 405,
  too_large: 413,
  unsupported_media_type: 415,
  conflict: 409,
  precondition_failed: 412,
  unauthorized: 401,
} as const;

export type HttpProblemCode = keyof typeof HTTP_PROBLEMS;

export class HttpProblem extends Error {
  readonly code: HttpProblemCode;

  constructor(code: HttpProblemCode, detail: string) {
    super(`${code}: ${detail}`);
    this.name = 'HttpProblem';
    this.code = code;
  }

  get status(): number {
    return HTTP_PROBLEMS[this.code];
  }
}
