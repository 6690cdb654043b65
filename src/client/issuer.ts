/**
 * The issuer as the library uses it: discovery of endpoints, calls to them, and an estimate of the server's clock.
 * What a call is for is the signer's business.
 */
import { CountersignError } from '../core/client-error.ts';
import type { IssuerConnection } from '../core/signer.ts';
import { issuerErrorOf } from './answers.ts';

export interface Issuer {
  /** @param signal of the request that the connection serves: its end is theirs. */
  connect(scheme: string, signal?: AbortSignal | null): IssuerConnection;
  /** The server's clock, told with a refusal because of the time. Unix ms; anything else is ignored. */
  learnTime(timeMs: unknown): void;
}

type Members = Readonly<Record<string, unknown>>;

const DISCOVERY_PATH = '/.well-known/countersign';
/** As long as the server lets it be cached. */
const DISCOVERY_MS = 300_000;

/** @param origin where the issuer is reached: its paths are taken from there, whatever discovery says. */
export function createIssuer(origin: URL, send: typeof fetch): Issuer {
  let discovered: { readonly schemes: Members; readonly untilMs: number } | undefined;
  let offsetMs = 0;

  function learnTime(timeMs: unknown): void {
    if (Number.isSafeInteger(timeMs)) offsetMs = (timeMs as number) - Date.now();
  }

  async function call(path: string, init: RequestInit): Promise<Members> {
    const url = new URL(path, origin);
    if (url.origin !== origin.origin)
      throw new CountersignError('answer_invalid', 'discovery names an endpoint elsewhere');
    const answer = await send(url, { ...init, redirect: 'error', credentials: 'omit' });
    if (!answer.ok) throw await issuerErrorOf(answer);
    const body = members(await json(answer));
    learnTime(body['timeMs']);
    return body;
  }

  async function schemeMembers(scheme: string, signal: AbortSignal | null): Promise<Members> {
    if (discovered === undefined || discovered.untilMs <= performance.now()) {
      const { schemes } = await call(DISCOVERY_PATH, { signal });
      discovered = { schemes: members(schemes), untilMs: performance.now() + DISCOVERY_MS };
    }
    const found = own(discovered.schemes, scheme);
    if (found === undefined) throw new CountersignError('not_offered', `the deployment does not offer ${scheme}`);
    return members(found);
  }

  return {
    learnTime,
    connect: (scheme, signal = null) => ({
      async parameters() {
        return members(own(await schemeMembers(scheme, signal), 'parameters'));
      },
      async post(tail, body) {
        const path = own(members(own(await schemeMembers(scheme, signal), 'endpoints')), tail);
        if (typeof path !== 'string')
          throw new CountersignError('not_offered', `${scheme} has no endpoint ${tail} here`);
        const headers = { 'content-type': 'application/json' };
        return call(path, { method: 'POST', headers, body: JSON.stringify(body), cache: 'no-store', signal });
      },
      nowMs: () => Date.now() + offsetMs,
    }),
  };
}

async function json(answer: Response): Promise<unknown> {
  if (answer.status === 204) return {};
  try {
    return await answer.json();
  } catch (cause) {
    throw new CountersignError('answer_invalid', 'the issuer answered something that is not JSON', { cause });
  }
}

function members(value: unknown): Members {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Members;
  throw new CountersignError('answer_invalid', 'the issuer answered something that is not the object expected');
}

/** What the answer itself holds, never what every object inherits. */
function own(object: Members, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}
