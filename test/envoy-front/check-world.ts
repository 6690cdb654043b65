/**
 * Checks as bytes, from the front's first byte to its last: a real scheme, the real judgement and the real handler on a fake clock
 * and the memory store. A test plays the transport.
 */
import { createAuthenticate } from '../../src/authenticate.ts';
import type { Authenticate, Course } from '../../src/authenticate.ts';
import type { Route, RouteTable } from '../../src/config/routes.ts';
import type { Denial } from '../../src/core/decision.ts';
import type { Fault } from '../../src/core/fault.ts';
import type { Scheme } from '../../src/core/scheme.ts';
import type { Store } from '../../src/core/store.ts';
import { createCheckHandler } from '../../src/envoy/check-handler.ts';
import type { CallFacts, CheckHandler, CheckHandlerParts } from '../../src/envoy/check-handler.ts';
import { createLimits } from '../../src/limits.ts';
import { challengeSignature } from '../../src/schemes/challenge-signature/index.ts';
import { registered, signed } from '../schemes/challenge-signature/prover.ts';
import type { Client } from '../schemes/challenge-signature/prover.ts';
import { complete, newCheckId } from '../support/auth-request.ts';
import type { RequestParts } from '../support/auth-request.ts';
import { createSchemeWorld } from '../support/scheme-world.ts';
import type { SchemeWorld } from '../support/scheme-world.ts';
import { encodeCheck } from './check-builder.ts';
import type { CheckParts } from './check-builder.ts';
import { viewOf } from './proxy-view.ts';
import type { View } from './proxy-view.ts';

export type Settings = ReturnType<CheckHandlerParts['settings']>;

export const SETTINGS: Settings = {
  tier: 'A',
  maxRequestBytes: 1024 * 1024,
  assumeBuffered: false,
  textBody: 'refuse',
  trustedHops: 0,
  identityPrefix: 'x-auth-',
  faultResponse: 'denied',
  subjectMetadata: false,
  checkBudget: 150,
};

export interface CheckWorldOptions {
  readonly store?: Store;
  /** In place of a fresh one. */
  readonly world?: SchemeWorld;
  /** In place of the scheme's own. */
  readonly scheme?: Scheme;
  /** Of the route `api`. */
  readonly route?: Partial<Route>;
  /** Further ones, each like `api` but for this. */
  readonly others?: readonly (Partial<Route> & { readonly name: string })[];
  readonly settings?: Partial<Settings>;
  /** In place of the real judgement. */
  readonly authenticate?: Authenticate;
  readonly maxInFlight?: number;
  mustShed?(): boolean;
  decided?(course: Course): void;
}

export interface CheckWorld {
  readonly scheme: SchemeWorld;
  readonly handler: CheckHandler;
  readonly alice: Client;
  /** One line for each event besides decisions. */
  readonly events: string[];
  readonly decisions: Course[];
  /** A Check with a proof that was never sent. */
  proven(parts?: Partial<RequestParts>): Promise<RequestParts>;
  send(message: Uint8Array | Denial | Fault, call?: Partial<CallFacts>): Promise<View>;
}

export const TRANSFER: RequestParts = {
  method: 'POST',
  scheme: 'https',
  authority: 'api.example.com',
  target: '/transfer?dry=0',
  headers: [['content-type', 'application/json']],
  body: complete('{"amount":50}'),
};

export async function createCheckWorld(options: CheckWorldOptions = {}): Promise<CheckWorld> {
  const world = options.world ?? createSchemeWorld(challengeSignature, options.store && { store: options.store });
  const alice = await registered(world, 'alice');
  const events: string[] = [];
  const decisions: Course[] = [];
  const route: Route = {
    name: 'api',
    label: 'api',
    schemes: [{ scheme: options.scheme ?? world.scheme, policy: world.policy() }],
    publicOrigins: [{ scheme: 'https', authority: 'api.example.com' }],
    body: 'required',
    refusePathParameters: true,
    stripCredentials: true,
    storeFree: false,
    shadow: false,
    tenant: 'default',
    realm: 'countersign',
    ...options.route,
  };
  const all = [route, ...(options.others ?? []).map((other): Route => ({ ...route, label: other.name, ...other }))];
  const routes: RouteTable = {
    byName: (name) => all.find((one) => one.name === name),
    match: () => undefined,
    routes: all,
  };
  const plenty = { periodMs: 1, burst: 1_000_000 };
  const authenticate = createAuthenticate({
    routes,
    clock: world.clock,
    limits: createLimits({ clock: world.clock, maxBuckets: 1000, perCredential: plenty }),
    perSource: plenty,
    newCheckId,
    decided(course) {
      decisions.push({ ...course, decision: course.decision, checkId: course.checkId });
      options.decided?.(course);
    },
  });
  const settings = { ...SETTINGS, ...options.settings };
  const handler = createCheckHandler({
    authenticate: () => options.authenticate ?? authenticate,
    settings: () => settings,
    maxInFlight: () => options.maxInFlight ?? 512,
    mustShed: () => options.mustShed?.() ?? false,
    clock: world.clock,
    events: {
      shed: (reason) => events.push(`shed ${reason}`),
      encodeAssertionFailed: () => events.push('encodeAssertionFailed'),
      fault: (reason) => events.push(`fault ${reason}`),
      stage: () => undefined,
    },
  });
  return {
    scheme: world,
    handler,
    alice,
    events,
    decisions,
    proven: (parts) => signed(world, alice, { ...TRANSFER, ...parts }),
    async send(message, call) {
      const facts = {
        receivedAtMs: world.clock.nowMs(),
        totalMs: undefined,
        thisTryMs: undefined,
        cancelled: { aborted: false },
      };
      return viewOf(await handler.handle(message, { ...facts, ...call }));
    },
  };
}

/** The Check by which a buffering proxy asks about this request. */
export function checkOf(parts: RequestParts, changes: CheckParts = {}): Uint8Array {
  const body = parts.body.kind === 'complete' ? parts.body.bytes : new Uint8Array();
  return encodeCheck({
    id: String(nextId++),
    method: parts.method,
    scheme: parts.scheme,
    authority: parts.authority,
    path: parts.target,
    headers: [['content-length', String(body.length)], ...parts.headers],
    body,
    partial: 'false',
    ...changes,
  });
}

let nextId = 1;
