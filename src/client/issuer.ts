/**
 * The issuer as the library uses it: discovery of endpoints, calls to them, and an estimate of the server's clock.
 * What a call is for is the signer's business.
 */
import { CountersignError } from '../core/client-error.ts';
import type { IssuerConnection, MessageChannel } from '../core/signer.ts';
import { issuerErrorOf, serverTimeOf } from './answers.ts';

export interface Issuer {
  /** @param signal of the request that the connection serves: its end is theirs. */
  connect(scheme: string, signal?: AbortSignal | null): IssuerConnection;
  /** For messages that are signed as text. */
  messages(scheme: string): MessageChannel;
  /** The server's clock, told with a refusal because of the time; the issuer's own refusals are heeded here. Unix ms; anything else is ignored. */
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

  async function exchange(path: string, init: RequestInit): Promise<Response> {
    const url = new URL(path, origin);
    if (url.origin !== origin.origin)
      throw new CountersignError('answer_invalid', 'discovery names an endpoint elsewhere');
    const answer = await send(url, { ...init, redirect: 'error', credentials: 'omit' });
    if (!answer.ok) {
      learnTime(serverTimeOf(answer));
      throw await issuerErrorOf(answer);
    }
    return answer;
  }

  async function call(path: string, init: RequestInit): Promise<Members> {
    const body = members(await json(await exchange(path, init)));
    learnTime(body['timeMs']);
    return body;
  }

  async function schemeMembers(scheme: string, signal: AbortSignal | null): Promise<Members> {
    if (discovered === undefined || discovered.untilMs <= performance.now()) {
      // From the server itself: a kept one would tell the time at which it was kept.
      const { schemes } = await call(DISCOVERY_PATH, { signal, cache: 'no-store' });
      discovered = { schemes: members(schemes), untilMs: performance.now() + DISCOVERY_MS };
    }
    const found = own(discovered.schemes, scheme);
    if (found === undefined) throw new CountersignError('not_offered', `the deployment does not offer ${scheme}`);
    return members(found);
  }

  async function endpoint(scheme: string, name: string, signal: AbortSignal | null): Promise<string> {
    const path = own(members(own(await schemeMembers(scheme, signal), 'endpoints')), name);
    if (typeof path === 'string') return path;
    throw new CountersignError('not_offered', `${scheme} has no endpoint ${name} here`);
  }

  return {
    learnTime,
    messages: (scheme) => ({
      async post(under, path, text, headers) {
        const prefix = await endpoint(scheme, under, null);
        const all = { 'content-type': 'application/json', ...headers };
        const init = { method: 'POST', headers: all, body: text, cache: 'no-store' } as const;
        return (await exchange(`${prefix}${path}`, init)).text();
      },
      get: async (path) => (await exchange(path, {})).text(),
      nowMs: () => Date.now() + offsetMs,
    }),
    connect: (scheme, signal = null) => ({
      async parameters() {
        return members(own(await schemeMembers(scheme, signal), 'parameters'));
      },
      async post(tail, body) {
        const path = await endpoint(scheme, tail, signal);
        const headers = { 'content-type': 'application/json' };
        return call(path, { method: 'POST', headers, body: JSON.stringify(body), cache: 'no-store', signal });
      },
      nowMs: () => Date.now() + offsetMs,
      signal,
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
