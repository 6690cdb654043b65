/**
 * Reads what the server tells a client: refusals, and what answers carry for the next request. An upstream's own 401 is not one of
 * ours and goes to the caller as it is.
 */
import { type ClientErrorCode, CountersignError, isClientErrorCode } from '../core/client-error.ts';
import type { HeaderParameters, Refusal } from '../core/signer.ts';

export interface RefusedRequest extends Refusal {
  readonly code: ClientErrorCode;
  readonly checkId: string | undefined;
  /** The server's clock, of refusals because of the time. */
  readonly serverTimeMs: number | undefined;
}

const REFUSAL_STATUS = new Set([401, 403, 413, 429, 503]);

/** @returns undefined for anything that the server did not refuse. The answer's body stays unread. */
export async function readRefusal(answer: Response, authScheme: string): Promise<RefusedRequest | undefined> {
  if (!REFUSAL_STATUS.has(answer.status)) return undefined;
  const parameters = challengeParameters(answer.headers.get('www-authenticate') ?? '', authScheme);
  const problem = await readProblem(answer);
  const checkId = typeof problem['check'] === 'string' ? problem['check'] : undefined;
  const serverTimeMs = serverTimeOf(answer);
  const code = checkId === undefined ? codeWithoutBody(parameters, serverTimeMs) : problem['code'];
  return isClientErrorCode(code) ? { code, checkId, parameters, serverTimeMs } : undefined;
}

/** HEAD has no body; its 401 tells the code in the header, of tokens only that it was one of time. */
function codeWithoutBody(parameters: HeaderParameters, serverTimeMs: number | undefined): unknown {
  const error = parameters.get('error');
  return error === 'invalid_token' && serverTimeMs !== undefined ? 'stale' : error;
}

/** What a refusal because of the time tells besides. Unix ms. */
export function serverTimeOf(answer: Response): number | undefined {
  const time = answer.headers.get('auth-server-time') ?? '';
  return /^[1-9][0-9]{0,15}$/.test(time) ? Number(time) : undefined;
}

export function errorOf(refusal: RefusedRequest, answer: Response): CountersignError {
  const { code, checkId } = refusal;
  return new CountersignError(code, `the server refused the request with ${answer.status}`, {
    status: answer.status,
    response: answer,
    ...(checkId !== undefined && { checkId }),
    ...retryAfter(answer),
  });
}

/** Any answer of the issuer that is not a success. */
export async function issuerErrorOf(answer: Response): Promise<CountersignError> {
  const { code } = await readProblem(answer);
  return new CountersignError(
    isClientErrorCode(code) ? code : 'answer_invalid',
    `the issuer answered ${answer.status}`,
    {
      status: answer.status,
      response: answer,
      ...retryAfter(answer),
    },
  );
}

function retryAfter(answer: Response): { retryAfterSeconds?: number } {
  const text = answer.headers.get('retry-after') ?? '';
  return /^[0-9]{1,9}$/.test(text) ? { retryAfterSeconds: Number(text) } : {};
}

async function readProblem(answer: Response): Promise<Readonly<Record<string, unknown>>> {
  if (answer.headers.get('content-type')?.startsWith('application/problem+json') !== true) return {};
  try {
    const problem: unknown = await answer.clone().json();
    return typeof problem === 'object' && problem !== null ? (problem as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

/** Name and, when a parameter, its value: quoted text or a token. */
const WORD = /([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:[ \t]*=[ \t]*(?:"([^"\\]*)"|([^\s",]+)))?/g;

/**
 * Parameters of one auth-scheme's challenge among all that `www-authenticate` lists, several lines joined by commas
 * (RFC 9110 section 11.6.1). Never throws: what it can't read is absent.
 */
export function challengeParameters(value: string, authScheme: string): HeaderParameters {
  const parameters = new Map<string, string | number>();
  let isMine = false;
  for (const [, word = '', quoted, bare] of value.matchAll(WORD)) {
    if (quoted === undefined && bare === undefined) isMine = word.toLowerCase() === authScheme.toLowerCase();
    else if (isMine) parameters.set(word.toLowerCase(), quoted ?? bareValue(bare ?? ''));
  }
  return parameters;
}

/** Parameters of `authentication-info`. */
export function infoParameters(value: string): HeaderParameters {
  return challengeParameters(`info ${value}`, 'info');
}

function bareValue(text: string): string | number {
  const number = Number(text);
  return /^(0|[1-9][0-9]{0,15})$/.test(text) && Number.isSafeInteger(number) ? number : text;
}
