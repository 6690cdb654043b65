/** The issuer for calls beside requests: registration, login, logout. What is called is the scheme's (`schemes/<name>/client.ts`). */
import type { IssuerConnection, MessageChannel } from '../core/signer.ts';
import { secureOrigin } from './client.ts';
import { createIssuer, type Issuer } from './issuer.ts';

export interface IssuerAddress {
  /** Name of the scheme whose endpoints are called, such as `opaque-pop`. */
  readonly scheme: string;
  /** Origin of the API. */
  readonly baseUrl: string | URL;
  /** Origin from which the issuer is reached; default: `baseUrl`. */
  readonly issuerUrl?: string | URL;
  /** In place of the platform's `fetch`: proxies, tests. */
  readonly fetch?: typeof fetch;
}

/** @throws {CountersignError} `request_unsuitable` for an address without TLS that is not on loopback. */
export function connectIssuer(address: IssuerAddress): IssuerConnection {
  return issuerAt(address).connect(address.scheme);
}

/** The same for protocols whose messages are signed as text. */
export function connectMessages(address: IssuerAddress): MessageChannel {
  return issuerAt(address).messages(address.scheme);
}

function issuerAt({ baseUrl, issuerUrl, fetch: given }: IssuerAddress): Issuer {
  const send: typeof fetch = given ?? ((input, init) => fetch(input, init));
  return createIssuer(secureOrigin(issuerUrl ?? baseUrl), send);
}
