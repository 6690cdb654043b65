/**
 * A scheme is one function from a request to an identity, plus the endpoints from which clients obtain credentials.
 * Everything else is plumbing that never learns a scheme's name.
 */
import type { GenericSchema, InferOutput } from 'valibot';
import type { Clock } from './clock.ts';
import type { Denial, Header, Identity } from './decision.ts';
import type { Directory, Signatures } from './directory.ts';
import { Fault } from './fault.ts';
import type { Keyring, KeyUse } from './keyring.ts';
import type { Limits } from './limits.ts';
import type { Invitations, UserWrites } from './registration.ts';
import type { AuthRequest, RoutePolicy } from './request.ts';
import type { Secret } from './secret.ts';
import type { Key, KeyClass, Store } from './store.ts';

export type { Identity } from './decision.ts';

/** Parts of a Check that are timed. A closed set: it is a metric label. */
export const STAGES = ['decode', 'parse', 'key', 'verify', 'store', 'encode'] as const;
export type Stage = (typeof STAGES)[number];

/** What a verifier is given besides the request. */
export interface CheckCall {
  /** Aborted at the deadline and when the proxy gives up: `requireTime(call)` before the claim. */
  readonly signal: { readonly aborted: boolean };
  /** Ends a stage: the time since the last call is charged to it. */
  stageDone(stage: Stage): void;
  /** Age of the proof by its timestamp, ms, negative when ahead: for the histogram. */
  proofAge(ageMs: number): void;
}

/** Stands before each claim: what nobody waits for any more must not be spent. @throws {Fault} `deadline` */
export function requireTime(call: Pick<CheckCall, 'signal'>): void {
  if (call.signal.aborted) throw new Fault('deadline', 'the proxy no longer waits for this Check');
}

export interface Scheme {
  readonly name: string;
  /** @throws {Denial} a refusal; `credentials_missing` means "not mine", the next scheme of the route is asked. @throws any other: a fault. */
  verify(request: AuthRequest, policy: RoutePolicy, call: CheckCall): Identity | Promise<Identity>;
  readonly endpoints: readonly Endpoint[];
  /** Its `www-authenticate` values, one per auth-scheme. `refused` only when it was this scheme that refused. */
  challenges(policy: RoutePolicy, refused?: { denial: Denial; nowMs: number }): readonly string[];
  /** For `/.well-known/countersign`: what a client must know, never secrets. Durations are integers with `Ms` appended. */
  readonly discovery: {
    readonly profiles: readonly string[];
    readonly parameters: Readonly<Record<string, unknown>>;
    /** Absolute paths or prefixes under names of the scheme's own; its other endpoints are listed by the front. */
    readonly endpoints?: Readonly<Record<string, string>>;
  };
  /**
   * Removes what it keeps of a user who was deleted and what no epoch ends by itself, such as a password: a later user of the name
   * must not inherit it.
   */
  forget?(tenant: string, user: string): Promise<void>;
  /** Ends threads and timers of its own. Called once, when a reload has replaced it or the process ends; calls in flight may still come. */
  close?(): void;
}

/** One call of an HTTP front. */
export interface EndpointCall<Body = unknown> {
  /** Strict JSON, validated by the endpoint's schema; undefined without one: then neither media type nor body is looked at. */
  readonly body: Body;
  readonly raw: Uint8Array;
  header(name: string): string | undefined;
  /** Address, or the trusted hop. */
  readonly source: string;
  /** 16 random bytes, base64url: owner of claims, and `request` in problem bodies. */
  readonly owner: string;
  /** When the body was complete, unix ms: `now` of every freshness rule. Earlier would let a slow upload outlive claims. */
  readonly receivedAtMs: number;
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly status: number;
  /** An object to be written as JSON, or finished bytes, whose `content-type` is among the headers. Nothing of it is written with 204 and 304. */
  readonly body: object | Uint8Array;
  readonly headers?: readonly Header[];
}

export interface Endpoint<Schema extends GenericSchema = GenericSchema> {
  readonly listener: 'issuer' | 'admin';
  readonly method: 'GET' | 'POST' | 'PUT';
  /** `challenge` becomes `<prefix>/<scheme>/challenge` (admin: `/admin/v1/<scheme>/challenge`); with a leading slash it is absolute. */
  readonly path: string;
  /** Unknown members are refused: use `strictObject`. */
  readonly body?: Schema;
  /** `issuer`: the front charges the bucket `issuer`, again with `subject(body)` when that is given. `own`: the endpoint charges its own bucket. */
  readonly bucket: 'issuer' | 'own';
  subject?(body: InferOutput<Schema>): string;
  /**
   * A refusal's body in a form of the endpoint's own (`application/json`), also for refusals by the front; absent: the problem object.
   * `hint` is the denial's own, where there was one.
   */
  problem?(status: number, code: string, hint?: unknown): object;
  /** @throws {Denial} a refusal. @throws {HttpProblem} a status of the front's own, see `core/http.ts`. @throws any other: 503. */
  handle(call: EndpointCall<InferOutput<Schema>>): Answer | Promise<Answer>;
}

/** Keeps the inferred body type of an endpoint. */
export function defineEndpoint<Schema extends GenericSchema>(endpoint: Endpoint<Schema>): Endpoint {
  return endpoint;
}

/** Metric of one scheme, registered by `telemetry/`, which never learns the scheme's name. Label values are closed sets. */
export interface CounterDefinition {
  readonly help: string;
  readonly labels: Readonly<Record<string, readonly string[]>>;
}

/** As a counter, of values such as seconds; each bucket is one more series. */
export interface HistogramDefinition extends CounterDefinition {
  readonly buckets: readonly number[];
}

/** All that a scheme is given. */
export interface Resources {
  readonly store: Store;
  /** Store keys of this scheme: its name and the tenant are already among the parts. */
  storeKey(keyClass: KeyClass, tenant: string, ...parts: readonly (string | Uint8Array)[]): Key;
  readonly clock: Clock;
  random(bytes: number): Uint8Array;
  readonly keyring: Keyring;
  readonly directory: Directory;
  readonly users: UserWrites;
  readonly invitations: Invitations;
  readonly signatures: Signatures;
  readonly limits: Limits;
  /** Counts one of the scheme's own counters. */
  count(counter: string, labels: Readonly<Record<string, string>>): void;
  /** Writes a line about one of the scheme's own events, at level `warn`: what an operator would want to hear of by itself. */
  notice(event: string, subject: string): void;
  /** Adds a value to one of the scheme's own histograms. */
  observe(histogram: string, labels: Readonly<Record<string, string>>, value: number): void;
  /** Sets one of the scheme's own gauges. */
  level(gauge: string, value: number): void;
  /** Most threads of its own that a scheme may start, for jobs of a millisecond and more: none may run on the loop of Checks. */
  readonly threads: number;
  /** `clock.skew`: largest difference allowed between the clocks of two replicas, or of a replica and the store. ms. */
  readonly skewMs: number;
  /** `issuer.url`: who vouches in tokens. There for every scheme that says `issuesTokens`. */
  readonly issuerUrl: string | undefined;
  /** What a secret file of the settings holds. @throws {Error} which names the file, never what is in it. */
  readSecret(file: string): Secret<string>;
}

export interface SchemeDefinition<Settings extends GenericSchema = GenericSchema> {
  readonly name: string;
  readonly settings: Settings;
  /** Members of the settings that a route may override under `routes.<name>.settings.<scheme>`. */
  readonly perRoute: readonly string[];
  /** Clients hold public keys in user records: the fronts add enrolment and the shared admin calls. */
  readonly publicKeys: boolean;
  /** Its accounts name themselves: an invitation is made for no user in particular. Absent: for one. */
  readonly namesAccounts?: boolean;
  /** It issues tokens: `issuer.url` is required. */
  readonly issuesTokens: boolean;
  /** Ring keys that must exist. */
  keyUses(settings: InferOutput<Settings>): readonly KeyUse[];
  /** Another scheme without which these settings lock clients out: some route must take it. */
  neededScheme?(settings: InferOutput<Settings>): string | undefined;
  readonly counters: Readonly<Record<string, CounterDefinition>>;
  /** Events of its own: name to the constant text of its line. */
  readonly events?: Readonly<Record<string, string>>;
  readonly histograms?: Readonly<Record<string, HistogramDefinition>>;
  /** Name to help. */
  readonly gauges?: Readonly<Record<string, string>>;
  create(settings: InferOutput<Settings>, resources: Resources): Scheme;
}

/** Keeps the inferred settings type of a scheme. */
export function defineScheme<Settings extends GenericSchema>(definition: SchemeDefinition<Settings>): SchemeDefinition {
  return definition;
}
