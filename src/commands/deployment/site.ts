/** A deployment under test: how requests for it are proven, sent and altered. What must come of them is `probes.ts`. */
import { createClient } from '../../client/client.ts';
import type { BodyCover } from '../../client/request.ts';
import type { Signer } from '../../core/signer.ts';
import type { TerminalSigner } from '../terminal-signer.ts';
import { sendRaw, type HeaderLine, type RawAnswer, type RawRequest } from './raw-request.ts';

export interface SiteOptions {
  /** A protected address, by the road that clients take. */
  readonly url: URL;
  readonly issuerUrl?: URL | undefined;
  readonly body: BodyCover;
  /** What the scheme's proofs are like. */
  readonly terminal: Pick<TerminalSigner, 'isToken' | 'hasServerTime'>;
  /** A signer that has made nothing yet. */
  newSigner(): Promise<Signer>;
  /** Where the upstream answers with what it received, behind the same protection. */
  readonly echoPath?: string | undefined;
  /** Where it does so without the filter. */
  readonly openPath?: string | undefined;
  /** Other ways in: each must ask for a proof too. */
  readonly also: readonly URL[];
  /** Largest body that the proxy hands over, bytes. */
  readonly maxBodyBytes: number;
  /** Asks the operator to stop the store, and to say so; undefined when that was not wanted. */
  readonly untilStoreStopped?: (() => Promise<void>) | undefined;
}

export interface Site extends SiteOptions {
  /** Path and query of `url`. */
  readonly target: string;
  send(request: RawRequest, origin?: URL): Promise<RawAnswer>;
  /** A request with a proof of its own, good once. @param aheadMs of the client's clock. @throws {CountersignError} */
  prove(request: Partial<Pick<RawRequest, 'method' | 'target' | 'body'>>, aheadMs?: number): Promise<RawRequest>;
}

export async function openSite(options: SiteOptions): Promise<Site> {
  const { url, issuerUrl, body: cover } = options;
  const origin = new URL(url.origin);
  const target = `${url.pathname}${url.search}`;
  const signer = await options.newSigner();
  const connect = (one: Signer) =>
    createClient({ baseUrl: origin, ...(issuerUrl && { issuerUrl }), signer: one, body: cover });
  const client = connect(signer);
  return {
    ...options,
    target,
    send: (request, to = origin) => sendRaw(to, request),
    async prove({ method = 'GET', target: to = target, body }, aheadMs) {
      // A token that is kept already would not be made by the wrong clock.
      const wrong = async (ms: number) =>
        withClock(options.terminal.isToken === true ? await options.newSigner() : signer, ms);
      const chosen = aheadMs === undefined ? client : connect(await wrong(aheadMs));
      const content = body && new Uint8Array(body);
      const signed = await chosen.signRequest(new URL(to, origin), { method, ...(content && { body: content }) });
      const headers: HeaderLine[] = [...signed.headers];
      return { method, target: `${new URL(signed.url).pathname}${new URL(signed.url).search}`, headers, body };
    },
  };
}

function withClock(signer: Signer, aheadMs: number): Signer {
  return {
    ...signer,
    sign: (request, issuer) => signer.sign(request, { ...issuer, nowMs: () => issuer.nowMs() + aheadMs }),
  };
}
