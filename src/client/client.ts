/**
 * The client: `fetch` for requests that a deployment lets pass only when they are signed. Obtaining credentials and making proofs is
 * the signer's (`schemes/<name>/client.ts`); here a request is fixed, signed, sent, and once more if the signer says so.
 */
import { CountersignError } from '../core/client-error.ts';
import type { Header } from '../core/decision.ts';
import type { Signer } from '../core/signer.ts';
import { errorOf, infoParameters, readRefusal } from './answers.ts';
import { createIssuer } from './issuer.ts';
import { attemptOf, fixRequest, type BodyCover, type FixedRequest } from './request.ts';

export interface ClientOptions {
  /** Origin of the API. Requests elsewhere are refused, so that nothing is ever signed for another site. */
  readonly baseUrl: string | URL;
  /** Origin from which the issuer is reached; default: `baseUrl`. */
  readonly issuerUrl?: string | URL;
  readonly signer: Signer;
  /** `none` for routes that never see a body: the proof then covers none. Default `required`. */
  readonly body?: BodyCover;
  /** In place of the platform's `fetch`: proxies, tests. */
  readonly fetch?: typeof fetch;
}

export interface SignedRequest {
  readonly url: string;
  readonly method: string;
  /** The caller's, the body's content type and the proof. Good once, for these very bytes. */
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer> | undefined;
}

export interface Client {
  /**
   * As the platform's `fetch`, signed. Redirects come back to the caller (`redirect: 'manual'`). Whatever the upstream answers is
   * returned; a refusal by the server is thrown.
   *
   * @throws {CountersignError} with a stable `code`; after `rate_limited` and `unavailable` wait for `retryAfterSeconds`.
   * @throws whatever `fetch` throws when there is no answer.
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Signs without sending: send exactly what it returns, once. @throws {CountersignError} */
  signRequest(input: string | URL | Request, init?: RequestInit): Promise<SignedRequest>;
}

export function createClient(options: ClientOptions): Client {
  const { signer, body: cover = 'required' } = options;
  const base = secureOrigin(options.baseUrl);
  const send: typeof fetch = options.fetch ?? ((input, init) => fetch(input, init));
  const issuer = createIssuer(secureOrigin(options.issuerUrl ?? base), send);

  const prove = (request: FixedRequest): Promise<readonly Header[]> =>
    signer.sign(request, issuer.connect(signer.scheme, request.options.signal));

  async function sendProven(request: FixedRequest, proof: readonly Header[]): Promise<Response> {
    try {
      return await send(request.url, attemptOf(request, proof));
    } catch (thrown) {
      await signer.unanswered?.(proof);
      throw thrown;
    }
  }

  async function attempt(
    request: FixedRequest,
  ): Promise<{ answer: Response; failure?: CountersignError; isWorthAnother?: boolean }> {
    const proof = await prove(request);
    const answer = await sendProven(request, proof);
    const refusal = await readRefusal(answer, signer.authScheme);
    if (refusal !== undefined) {
      issuer.learnTime(refusal.serverTimeMs);
      return { answer, failure: errorOf(refusal, answer), isWorthAnother: await signer.refused(refusal, proof) };
    }
    await signer.accepted(infoParameters(answer.headers.get('authentication-info') ?? ''), proof);
    return { answer };
  }

  return {
    async fetch(input, init = {}) {
      const request = await fixRequest(base, input, init, cover);
      const first = await attempt(request);
      if (first.failure === undefined) return first.answer;
      if (first.isWorthAnother !== true) throw first.failure;
      await first.answer.body?.cancel();
      const second = await attempt(request);
      if (second.failure !== undefined) throw second.failure;
      return second.answer;
    },

    async signRequest(input, init = {}) {
      const request = await fixRequest(base, input, init, cover);
      const proof = await prove(request);
      await signer.unanswered?.(proof);
      const { headers } = attemptOf(request, proof);
      return { url: request.url.href, method: request.method, headers: new Headers(headers), body: request.content };
    },
  };
}

/** Proofs are not secrets, but challenges, invitations and the answers are the server's only over TLS. */
export function secureOrigin(address: string | URL): URL {
  const url = new URL(address);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return new URL(url.origin);
  throw new CountersignError('request_unsuitable', 'expected an https address (http only on loopback)');
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.[0-9.]+$/.test(hostname);
}
