/**
 * The heart: one Check in, one decision out. Route, buckets, then the route's schemes in order; every refusal and every fault
 * becomes a `Decision` here and nowhere else. Deny first: only a scheme's identity, returned in time, is an allow.
 * Bytes are the front's (`envoy/`), proofs the schemes'.
 */
import type { Route, RouteTable } from './config/routes.ts';
import { within, type Clock } from './core/clock.ts';
import { Denial, type Decision, type Header } from './core/decision.ts';
import { Fault } from './core/fault.ts';
import type { Limit, Limits } from './core/limits.ts';
import type { AuthRequest, RoutePolicy } from './core/request.ts';
import type { CheckCall, Identity, Scheme, Stage } from './core/scheme.ts';

/** One Check as a front received it, before anything of it is believed. */
export interface Arrival {
  readonly checkId: string;
  /** Own clock at the first byte, unix ms. */
  readonly receivedAtMs: number;
  /** The proxy's clock when it received the request, unix ms. Counted, never used to judge. */
  readonly proxyTimeMs: number | null;
  /** False: no retry of this Check can be recognised. */
  readonly hasStreamId: boolean;
  readonly source: string;
  /** @throws {Denial} `route_unknown` @throws {Fault} `check_invalid` for a context extension that is none of ours. */
  route(table: RouteTable): Route;
  /** @throws {Denial} `malformed`, or `route_unknown` when the origin is not the route's. */
  request(route: Route): AuthRequest;
}

export interface Outcome {
  readonly decision: Decision;
  /** The arrival's, 22 characters; one made up when the message could not be read, by which log and answer are brought together. */
  readonly checkId: string;
  /** Undefined when the Check was refused before its route was known. */
  readonly route: Route | undefined;
  /** Undefined when the Check was refused before its request was read. */
  readonly request: AuthRequest | undefined;
}

/** What a Check has gone through, for the one event at its end. */
export interface Course extends Outcome {
  /** Undefined when the message could not be read. */
  readonly arrival: Arrival | undefined;
  /** Milliseconds spent in each stage so far. */
  readonly stages: Readonly<Partial<Record<Stage, number>>>;
  /** ms, negative when ahead; undefined when no proof was read. */
  readonly proofAgeMs: number | undefined;
  /** Monotonic ms from the first byte to the decision. */
  readonly durationMs: number;
}

/** @param open reads the message; its throws are judged like all others. */
export type Authenticate = (
  open: () => Arrival,
  call: { budgetMs: number; cancelled: { readonly aborted: boolean } },
) => Promise<Outcome>;

export interface AuthenticateParts {
  readonly routes: RouteTable;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly perSource: Limit;
  /** 22 characters. */
  newCheckId(): string;
  /** Called exactly once per Check. */
  decided(course: Course): void;
}

export function createAuthenticate(parts: AuthenticateParts): Authenticate {
  return (open, { budgetMs, cancelled }) =>
    new Promise((resolve) => {
      const check = new Check(parts, budgetMs, cancelled);
      const settle = (decision: Decision) => {
        if (!check.end(decision)) return; // The deadline has answered already.
        clearTimeout(timer);
        parts.decided(check);
        resolve(check);
      };
      const timer = setTimeout(
        () => settle(fault(new Fault('deadline', 'the Check took longer than its budget'))),
        budgetMs,
      );
      void judge(parts, open, check).then(settle);
    });
}

/** Never rejects. */
async function judge(parts: AuthenticateParts, open: () => Arrival, check: Check): Promise<Decision> {
  try {
    const arrival = open();
    check.arrival = arrival;
    const route = arrival.route(parts.routes);
    check.route = route;
    parts.limits.charge([{ bucket: 'source', limit: parts.perSource, key: [arrival.source, route.name] }]);
    const request = arrival.request(route);
    check.request = request;
    check.stageDone('decode');
    return await askSchemes(parts.clock, request, route, check);
  } catch (thrown) {
    return refused(thrown, check, parts.clock);
  }
}

async function askSchemes(clock: Clock, request: AuthRequest, route: Route, check: Check): Promise<Decision> {
  // Every auth-scheme claims this header: one that can't be read is nobody's, so no scheme is named as having refused it.
  request.headers.single('authorization');
  for (const { scheme, policy } of route.schemes) {
    try {
      const identity = await verifyOnce(scheme, request, policy, check);
      if (check.isLate()) throw new Fault('deadline', 'the verdict came after the budget');
      return { outcome: 'allow', scheme: scheme.name, identity };
    } catch (thrown) {
      if (thrown instanceof Denial && thrown.code === 'credentials_missing') continue;
      return refused(thrown, check, clock, scheme);
    }
  }
  return refused(new Denial('credentials_missing', 'no scheme of the route recognises a credential'), check, clock);
}

/** Once more after `horizon_moved`, which says that nothing was consumed; a second one is a fault. */
async function verifyOnce(scheme: Scheme, request: AuthRequest, policy: RoutePolicy, check: Check): Promise<Identity> {
  try {
    return await scheme.verify(request, policy, check);
  } catch (thrown) {
    if (!(thrown instanceof Fault && thrown.reason === 'horizon_moved')) throw thrown;
    return scheme.verify(request, policy, check);
  }
}

function refused(thrown: unknown, check: Check, clock: Clock, scheme?: Scheme): Decision {
  if (!(thrown instanceof Denial)) return fault(thrown, scheme);
  const nowMs = clock.nowMs();
  const replyHeaders: Header[] = [];
  if (thrown.form.status === 401) challengeLines(check.route, thrown, nowMs, scheme, replyHeaders);
  if (thrown.code === 'stale' || thrown.code === 'not_yet_valid')
    replyHeaders.push(['auth-server-time', String(nowMs)]);
  if (thrown.options.retryAfterSeconds !== undefined)
    replyHeaders.push(['retry-after', String(thrown.options.retryAfterSeconds)]);
  if (thrown.options.replyHeaders !== undefined) replyHeaders.push(...thrown.options.replyHeaders);
  return { outcome: 'deny', ...(scheme && { scheme: scheme.name }), denial: thrown, replyHeaders };
}

/** One line per auth-scheme of the route, in route order; schemes that share one (`Bearer`) share a line, the refusing one's if any. */
function challengeLines(
  route: Route | undefined,
  denial: Denial,
  nowMs: number,
  refusing: Scheme | undefined,
  into: Header[],
): void {
  const lines = new Map<string, string>();
  for (const { scheme, policy } of route?.schemes ?? []) {
    for (const line of scheme.challenges(policy, scheme === refusing ? { denial, nowMs } : undefined)) {
      const authScheme = line.split(' ', 1)[0] ?? line;
      if (scheme === refusing || !lines.has(authScheme)) lines.set(authScheme, line);
    }
  }
  for (const line of lines.values()) into.push(['www-authenticate', line]);
}

function fault(thrown: unknown, scheme?: Scheme): Decision {
  const known = thrown instanceof Fault ? thrown : undefined;
  return {
    outcome: 'fault',
    ...(scheme && { scheme: scheme.name }),
    reason: known?.reason ?? 'internal',
    retryAfterSeconds: known?.retryAfterSeconds ?? 1,
    cause: thrown,
  };
}

const UNDECIDED = fault(new Fault('internal', 'not decided'));

/** The state of one Check: what is known of it so far, and whether anybody still waits. */
class Check implements CheckCall, Course {
  decision = UNDECIDED;
  arrival: Arrival | undefined;
  route: Route | undefined;
  request: AuthRequest | undefined;
  readonly stages: Partial<Record<Stage, number>> = {};
  proofAgeMs: number | undefined;
  durationMs = 0;

  readonly #newCheckId: () => string;
  #ownId: string | undefined;
  readonly #clock: Clock;
  readonly #startMs: number;
  /** Whole ms. */
  readonly #budgetMs: number;
  readonly #cancelled: { readonly aborted: boolean };
  #stageStartMs: number;
  #isOver = false;

  constructor(
    { clock, newCheckId }: Pick<AuthenticateParts, 'clock' | 'newCheckId'>,
    budgetMs: number,
    cancelled: { readonly aborted: boolean },
  ) {
    this.#newCheckId = newCheckId;
    this.#clock = clock;
    this.#startMs = clock.monotonicMs();
    this.#stageStartMs = this.#startMs;
    this.#budgetMs = Math.ceil(budgetMs);
    this.#cancelled = cancelled;
  }

  /** What schemes look at before they claim. */
  get signal(): { readonly aborted: boolean } {
    return this;
  }

  get aborted(): boolean {
    return this.#isOver || this.#cancelled.aborted;
  }

  get checkId(): string {
    return this.arrival?.checkId ?? (this.#ownId ??= this.#newCheckId());
  }

  stageDone(stage: Stage): void {
    const nowMs = this.#clock.monotonicMs();
    this.stages[stage] = (this.stages[stage] ?? 0) + nowMs - this.#stageStartMs;
    this.#stageStartMs = nowMs;
  }

  proofAge(ageMs: number): void {
    this.proofAgeMs = ageMs;
  }

  isLate(): boolean {
    const isInTime = within(0, Math.ceil(this.#clock.monotonicMs() - this.#startMs), this.#budgetMs);
    return !isInTime || this.#cancelled.aborted;
  }

  /** @returns false when it has ended before; the first decision stands. */
  end(decision: Decision): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.durationMs = this.#clock.monotonicMs() - this.#startMs;
    this.decision = decision;
    return true;
  }
}
