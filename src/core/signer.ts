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
  /** Of the request that is being signed: a signer that waits for something of its own gives up with it. */
  readonly signal?: AbortSignal | null;
}

export type HeaderParameters = ReadonlyMap<string, string | number>;

/** A refusal of a request that the signer signed. */
export interface Refusal {
  readonly code: string;
  /** Of the `www-authenticate` line of the signer's auth-scheme; empty when there was none. */
  readonly parameters: HeaderParameters;
  /** The server's clock, where the refusal told it (`auth-server-time`). Unix ms. */
  readonly serverTimeMs?: number | undefined;
}

export interface Signer {
  /** Name in discovery, `challenge-signature`. */
  readonly scheme: string;
  /** Name in `www-authenticate`, `ChallengeSignature`. */
  readonly authScheme: string;
  /** @returns the headers that carry the proof. @throws {CountersignError} */
  sign(request: OutgoingRequest, issuer: IssuerConnection): Promise<readonly Header[]>;
  /**
   * Told of every accepted request.
   *
   * @param info parameters of `authentication-info`, empty when there was none.
   * @param sent the very array that `sign` returned for it: several requests may be on their way.
   */
  accepted(info: HeaderParameters, sent: readonly Header[]): void | Promise<void>;
  /** Told of every refused one. @returns whether a new proof may pass: the library then signs again, once. */
  refused(refusal: Refusal, sent: readonly Header[]): boolean | Promise<boolean>;
  /** Told when there will be no answer: it was lost, or the caller sends by itself. */
  unanswered?(sent: readonly Header[]): void | Promise<void>;
}

/** The issuer for protocols whose messages are signed as text: sent and received as they are. Refusals are told as by `IssuerConnection`. */
export interface MessageChannel {
  /**
   * @param under name of a prefix that discovery tells of the scheme, `v0`. @param path behind it.
   * @returns the answer's text. @throws {CountersignError} any answer but 2xx. @throws whatever `fetch` throws when there is no answer.
   */
  post(under: string, path: string, text: string, headers?: Readonly<Record<string, string>>): Promise<string>;
  /** @param path absolute. */
  get(path: string): Promise<string>;
  /** The server's clock as far as it is known. Unix ms. */
  nowMs(): number;
}

/** What a client keeps from one run to the next: named keys, and one text that says how far it is. */
export interface ClientState {
  /** The P-256 key of this name; made, and kept, when there is none. */
  key(name: string): Promise<SigningKey>;
  /** Gone for good. */
  forget(name: string): Promise<void>;
  /** Undefined before the first `write`. */
  read(): Promise<string | undefined>;
  /** Resolves once the text is kept. */
  write(text: string): Promise<void>;
  /** Runs one at a time, among all who share the state where that is possible: two messages of one chain at once look like a theft. */
  exclusive<T>(run: () => Promise<T>): Promise<T>;
}
