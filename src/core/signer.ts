/**
 * What the client library (`client/`) and a scheme's signer (`schemes/<name>/client.ts`) know of each other.
 * The library fixes the bytes of a request, finds endpoints, sends, and repeats once when the signer says so; the signer makes
 * proofs and learns from answers. Browser-safe.
 */
import type { Header } from './decision.ts';
import type { PublicJwk, SignatureAlg } from './directory.ts';

/** A private key that signs and need not be readable: WebCrypto, a file, a hardware token. */
export interface SigningKey {
  readonly alg: SignatureAlg;
  readonly publicJwk: PublicJwk;
  /** @returns 64 bytes: Ed25519 (RFC 8032), or P-256 `r || s` with SHA-256. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** A request exactly as it will be sent. */
export interface OutgoingRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** Lower case, default port left out. */
  readonly authority: string;
  /** Path and query, byte for byte. */
  readonly target: string;
  readonly body: Uint8Array;
  /** SHA-256 of the body, 32 bytes; zero bytes for routes whose policy is `none`. */
  readonly bodyDigest: Uint8Array;
}

/** The issuer as a signer sees it, for the time of one request. */
export interface IssuerConnection {
  /** What discovery tells about the signer's scheme. @throws {CountersignError} */
  parameters(): Promise<Readonly<Record<string, unknown>>>;
  /**
   * Calls an endpoint by its tail, `challenge` for `<prefix>/<scheme>/challenge`.
   *
   * @returns the members of the answer; the caller checks each one that it reads.
   * @throws {CountersignError} any answer but 2xx.
   */
  post(tail: string, body: object): Promise<Readonly<Record<string, unknown>>>;
  /** The server's clock as far as it is known: our own, corrected by what the server told last. Unix ms. */
  nowMs(): number;
}

export type HeaderParameters = ReadonlyMap<string, string | number>;

/** A refusal of a request that the signer signed. */
export interface Refusal {
  readonly code: string;
  /** Of the `www-authenticate` line of the signer's auth-scheme; empty when there was none. */
  readonly parameters: HeaderParameters;
}

export interface Signer {
  /** Name in discovery, `challenge-signature`. */
  readonly scheme: string;
  /** Name in `www-authenticate`, `ChallengeSignature`. */
  readonly authScheme: string;
  /** @returns the headers that carry the proof. @throws {CountersignError} */
  sign(request: OutgoingRequest, issuer: IssuerConnection): Promise<readonly Header[]>;
  /** Told of every accepted request. @param info parameters of `authentication-info`, empty when there was none. */
  accepted(info: HeaderParameters): void | Promise<void>;
  /** Told of every refused one. @returns whether a new proof may pass: the library then signs again, once. */
  refused(refusal: Refusal): boolean | Promise<boolean>;
}
