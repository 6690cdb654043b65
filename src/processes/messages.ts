/** What supervisor and workers say to each other: the supervisor asks and hands over connections, a worker answers and tells its state. */
import type { LogLevel } from '../telemetry/logger.ts';
import type { Snapshot } from '../telemetry/together.ts';
import type { StoreState } from '../core/store.ts';

/** A check worker answers Checks; the issuer process serves clients, and the admin calls that change something. */
export type Role = 'check' | 'issuer';

/** Whose connections a supervisor hands over. */
export type Listener = 'check' | 'issuer';

export interface StartOrder {
  readonly kind: 'start';
  readonly role: Role;
  /** From 1; which `{worker}` of the address is this one's. */
  readonly slot: number;
  /** The configuration as the supervisor read it: a file may have changed since. */
  readonly file: string;
  readonly text: string;
  readonly set: readonly string[];
}

/** Comes with the connection's handle. */
export interface HandedConnection {
  readonly kind: 'connection';
  readonly id: number;
  readonly listener: Listener;
}

/** A call of the admin API that the issuer process answers. */
export interface AdminCall {
  readonly method: string;
  readonly path: string;
  readonly contentType: string | undefined;
  readonly raw: Uint8Array;
}

export interface AdminAnswer {
  readonly status: number;
  readonly body: object | Uint8Array;
  readonly headers: readonly (readonly [string, string])[];
}

export interface AdminPath {
  readonly method: string;
  readonly path: string;
}

/** Each question with what is told and what is answered. */
export interface Questions {
  /** Builds all that the text decides beside what is in force. Refused: why not. */
  prepare: { tell: { text: string }; answer: undefined };
  /** Puts what was prepared in force. */
  commit: { tell: undefined; answer: undefined };
  cancel: { tell: undefined; answer: undefined };
  metrics: { tell: undefined; answer: Snapshot };
  logLevel: { tell: { level: LogLevel; ttlMs: number }; answer: undefined };
  admin: { tell: AdminCall; answer: AdminAnswer };
  /** Ends so many of its connections after their calls: they come to a worker that has fewer. */
  retire: { tell: { connections: number }; answer: undefined };
  /** From now on: not ready, so that proxies look elsewhere; calls are answered as before. */
  leave: { tell: undefined; answer: undefined };
  /** Ends after the calls in flight. Connections that were handed over before are served. */
  drain: { tell: undefined; answer: { wasQuiet: boolean; metrics: Snapshot } };
}

export type Question = keyof Questions;

export interface Asked {
  readonly kind: 'ask';
  readonly id: number;
  readonly question: Question;
  readonly told: unknown;
}

export type ToWorker = StartOrder | HandedConnection | Asked;

/** What a worker knows of itself. */
export interface WorkerFacts {
  readonly isReady: boolean;
  readonly conditions: Readonly<Record<string, boolean>>;
  readonly store: { readonly state: StoreState; readonly horizonMs: number };
  /** As the admin API tells them. */
  readonly keys: readonly object[];
  /** Calls that the issuer process answers; of a check worker none. */
  readonly adminPaths: readonly AdminPath[];
}

export type FromWorker =
  /** Its code is loaded. */
  | { readonly kind: 'loaded' }
  /** It can answer, be it with 503. */
  | { readonly kind: 'started'; readonly facts: WorkerFacts }
  | { readonly kind: 'failed'; readonly message: string; readonly exit: number }
  /** Also now and then without news: whose loop does not turn says nothing. */
  | { readonly kind: 'facts'; readonly facts: WorkerFacts }
  /** It has a connection that was handed over, or found that it had ended on the way. */
  | { readonly kind: 'taken'; readonly id: number }
  /** A connection that was handed over has ended. */
  | { readonly kind: 'closed'; readonly listener: Listener }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly kind: 'refused'; readonly id: number; readonly message: string };
