/**
 * The workers of one service: started, kept alive, replaced one by one, given another configuration all together or not at all, and
 * ended. One worker is `member.ts`; who gets which connection is decided here, since only here is known who is up.
 */
import { availableParallelism } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import type { Loaded } from '../config/load.ts';
import type { Clock } from '../core/clock.ts';
import type { Events } from '../telemetry/events.ts';
import type { LogLevel } from '../telemetry/logger.ts';
import type { Row } from '../telemetry/series.ts';
import { addCounts, type Snapshot } from '../telemetry/together.ts';
import { startMember, type Ending, type Member } from './member.ts';
import type { Listener, Role } from './messages.ts';
import { createRestarts } from './restarts.ts';

export interface Fleet {
  /** Starts all. @throws {StartFailed} when one does not come up; then none is left. */
  start(): Promise<void>;
  /** Who gets the next connection: of those that are ready, if any is. @param slot of the worker whose own address was called. */
  forConnection(listener: Listener, slot: number | undefined): Member | undefined;
  /** Those that answer, the process of the issuer among them. */
  up(): readonly Member[];
  issuer(): Member | undefined;
  /** Puts a configuration in force in all, or in none. @throws {Error} whose message says why not. */
  apply(next: Loaded): Promise<void>;
  /** Rolling: each successor is ready before its predecessor drains. @throws {Error} when one does not become ready; it is kept. */
  replace(): Promise<void>;
  /** A first start is over when all are ready; later one check worker is enough. */
  isReady(): boolean;
  tooManyCrashes(): boolean;
  /** Check workers by state. */
  rows(): readonly Row[];
  describe(): readonly object[];
  /** What all have counted, those that have ended too. */
  snapshots(): Promise<readonly Snapshot[]>;
  /** Of those that come up until it is over too. */
  setLogLevel(level: LogLevel, ttlMs: number): Promise<void>;
  /** From now on none is ready, nor is one that comes up later; calls are answered as before. */
  leave(): Promise<void>;
  /** Ends all. @returns whether no call was cut off. */
  drain(): Promise<boolean>;
}

export interface FleetOptions {
  readonly loaded: Loaded;
  readonly set: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly events: Events;
  readonly clock: Clock;
  /** Somebody can be given connections who could not before. */
  onUp(): void;
}

interface Slot {
  readonly role: Role;
  readonly slot: number;
  current: Member | undefined;
  startedAtMs: number;
  restart: NodeJS.Timeout | undefined;
}

const PREPARE_MS = 5000;
const READY_MS = 10_000;
const LOOK_MS = 20;
const METRICS_MS = 1000;
const TELL_MS = 1000;

export function createFleet({ loaded, set, env, events, clock, onUp }: FleetOptions): Fleet {
  const slots: Slot[] = [
    ...Array.from({ length: loaded.config.process.checkWorkers }, (_, index) => emptySlot('check', index + 1)),
    emptySlot('issuer', 1),
  ];
  const checkSlots = slots.filter(({ role }) => role === 'check');
  const issuerSlot = slots.find(({ role }) => role === 'issuer');
  const living = new Set<Member>();
  const restarts = createRestarts(clock, Math.random);
  let inForce = loaded;
  let isLeaving = false;
  let isEnding = false;
  let logLevel: { readonly level: LogLevel; readonly untilMs: number } | undefined;
  let wereAllReady = false;
  let ofEnded: Snapshot = [];

  function spawn(slot: Slot): Member {
    const { role } = slot;
    const { verify } = inForce.config.process;
    const threads =
      role === 'check' && verify === 'threadpool' ? { UV_THREADPOOL_SIZE: String(availableParallelism()) } : {};
    let wasReady = false;
    const member = startMember({
      order: { role, slot: slot.slot, file: inForce.file, text: textOf(inForce), set },
      env: { ...env, ...threads },
      onFacts: () => {
        wereAllReady ||= slots.every(({ current }) => isReady(current));
        if (wasReady || !isReady(member)) return;
        wasReady = true;
        if (slot.current === member) spread();
      },
    });
    slot.startedAtMs = clock.monotonicMs();
    living.add(member);
    events.worker('starting', { role, pid: member.pid });
    void accompany(slot, member);
    return member;
  }

  async function accompany(slot: Slot, member: Member): Promise<void> {
    const isUp = await member.started.then(
      () => true,
      () => false,
    );
    if (isUp) {
      events.worker('up', { role: member.role, pid: member.pid });
      // Before anybody's connection comes to it, so that it never says that it is ready.
      if (isLeaving) void tellToLeave(member);
      void tellLogLevel(member);
      onUp();
      void inTurn(() => catchUp(member));
    }
    const ending = await member.ended;
    living.delete(member);
    ofEnded = addCounts(ofEnded, member.lastMetrics());
    if (slot.current === member && !isEnding) crashed(slot, member, ending);
  }

  function crashed(slot: Slot, { role, pid }: Member, { code, signal, wasKilled }: Ending): void {
    slot.current = undefined;
    // The kernel kills what uses too much memory, V8 aborts.
    events.workerRestarted(!wasKilled && (signal === 'SIGKILL' || signal === 'SIGABRT') ? 'oom' : 'crash');
    const delayMs = restarts.crashed(`${role} ${slot.slot}`, clock.monotonicMs() - slot.startedAtMs);
    events.worker('crashed', {
      role,
      pid,
      detail: `${wasKilled ? 'killed, since it was silent' : `ended with ${signal ?? code}`}; restarted in ${Math.round(delayMs)} ms`,
    });
    slot.restart = setTimeout(() => {
      if (!isEnding && slot.current === undefined) slot.current = spawn(slot);
    }, delayMs);
  }

  /** Connections of one that crashed, or was not ready yet, went to the others, and would stay there. */
  function spread(): void {
    const members = upIn(checkSlots).toSorted((a, b) => a.connections() - b.connections());
    const most = members.at(-1);
    const surplus = Math.floor(((most?.connections() ?? 0) - (members[0]?.connections() ?? 0)) / 2);
    if (surplus > 0) most?.ask('retire', TELL_MS, { connections: surplus }).catch(() => undefined);
  }

  /** Reloads and replacements, one after the other: each needs to know who is there. */
  let last: Promise<unknown> = Promise.resolve();
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  }

  async function startAll(): Promise<void> {
    for (const slot of slots) slot.current = spawn(slot);
    try {
      await Promise.all([...living].map((member) => member.started));
    } catch (thrown) {
      isEnding = true;
      for (const member of living) member.kill();
      await Promise.all([...living].map((member) => member.ended));
      throw thrown;
    }
  }

  async function replaceOne(slot: Slot): Promise<void> {
    if (isLeaving) return;
    const next = spawn(slot);
    try {
      await next.started;
      await becomesReady(next, clock);
    } catch (thrown) {
      next.kill();
      throw thrown;
    }
    const before = slot.current;
    clearTimeout(slot.restart);
    slot.current = next; // From here on connections come to it.
    onUp();
    events.workerRestarted('replace');
    if (before === undefined) return;
    events.worker('draining', { role: slot.role, pid: before.pid });
    await before.drain(inForce.config.process.drainTimeout);
  }

  async function applyInTurn(next: Loaded): Promise<void> {
    const members = inUse();
    const prepared = await Promise.allSettled(
      members.map((member) => member.ask('prepare', PREPARE_MS, { text: textOf(next) })),
    );
    const refused = prepared.find((one) => one.status === 'rejected');
    if (refused !== undefined) {
      await Promise.allSettled(members.map((member) => member.ask('cancel', TELL_MS)));
      throw refused.reason;
    }
    inForce = next; // Whoever starts from now on starts with it.
    for (const member of members) member.text = textOf(next);
    // One that does not answer now would judge by the old configuration.
    await Promise.all(members.map((member) => member.ask('commit', TELL_MS).catch(() => member.kill())));
    // Those that came up meanwhile were not asked.
    await Promise.all([...living].map(catchUp));
  }

  /** Of one that began with another configuration than the one that is in force now. */
  async function catchUp(member: Member): Promise<void> {
    const text = textOf(inForce);
    if (member.phase() !== 'up' || member.text === text) return;
    try {
      await member.ask('prepare', PREPARE_MS, { text });
      await member.ask('commit', TELL_MS);
      member.text = text;
    } catch {
      member.kill();
    }
  }

  async function tellLogLevel(member: Member): Promise<void> {
    const ttlMs = (logLevel?.untilMs ?? 0) - clock.monotonicMs();
    if (logLevel === undefined || ttlMs <= 0) return;
    await member.ask('logLevel', TELL_MS, { level: logLevel.level, ttlMs }).catch(() => undefined);
  }

  /** Successors that are not ready yet among them. */
  const inUse = () => [...living].filter((member) => member.phase() === 'up');
  const upIn = (some: readonly Slot[]) => some.flatMap(({ current }) => (current?.phase() === 'up' ? [current] : []));

  return {
    start: () => inTurn(startAll),
    forConnection(listener, slot) {
      const up = upIn(listener === 'check' ? checkSlots : slots.filter(({ role }) => role === listener));
      // One that has no store yet would answer 503 to what another can judge.
      const ready = up.filter(isReady);
      const members = ready.length > 0 ? ready : up;
      const own = members.find((member) => member.slot === slot);
      return own ?? members.toSorted((a, b) => a.connections() - b.connections())[0];
    },
    up: () => upIn(slots),
    issuer: () => upIn(issuerSlot === undefined ? [] : [issuerSlot])[0],
    apply: (next) => inTurn(() => applyInTurn(next)),
    async replace() {
      for (const slot of slots) await inTurn(() => replaceOne(slot));
    },
    isReady: () => (wereAllReady ? checkSlots.some(({ current }) => isReady(current)) : false),
    tooManyCrashes: () => restarts.tooMany(),
    rows: () => {
      const states = [...living].filter(({ role }) => role === 'check').map(stateOf);
      return (['starting', 'ready', 'draining'] as const).map((state) => [
        [state],
        states.filter((one) => one === state).length,
      ]);
    },
    describe: () =>
      [...living].map((member) => ({
        role: member.role,
        state: stateOf(member),
        pid: member.pid,
        connections: member.connections(),
      })),
    async snapshots() {
      const asked = [...living]
        .filter((member) => member.phase() !== 'starting')
        .map((member) => member.ask('metrics', METRICS_MS).catch(() => member.lastMetrics()));
      return [ofEnded, ...(await Promise.all(asked))];
    },
    async setLogLevel(level, ttlMs) {
      logLevel = { level, untilMs: clock.monotonicMs() + ttlMs };
      await Promise.all(inUse().map(tellLogLevel));
    },
    async leave() {
      isLeaving = true;
      await Promise.all(inUse().map(tellToLeave));
    },
    async drain() {
      isLeaving = true;
      isEnding = true;
      for (const { restart } of slots) clearTimeout(restart);
      const ends = [...living].map(async (member) => {
        if (member.phase() !== 'starting') return member.drain(inForce.config.process.drainTimeout);
        member.kill();
        await member.ended;
        return true;
      });
      return (await Promise.all(ends)).every(Boolean);
    },
  };
}

const textOf = ({ text }: Loaded) => text.reveal();

function emptySlot(role: Role, slot: number): Slot {
  return { role, slot, current: undefined, startedAtMs: 0, restart: undefined };
}

function isReady(member: Member | undefined): boolean {
  return member?.phase() === 'up' && member.facts()?.isReady === true;
}

function stateOf(member: Member): 'starting' | 'ready' | 'draining' {
  if (member.phase() === 'leaving') return 'draining';
  return isReady(member) ? 'ready' : 'starting';
}

/** One that does not hear it is ended with all others soon. */
async function tellToLeave(member: Member): Promise<void> {
  await member.ask('leave', TELL_MS).catch(() => undefined);
}

async function becomesReady(member: Member, clock: Clock): Promise<void> {
  const untilMs = clock.monotonicMs() + READY_MS;
  while (!isReady(member)) {
    if (member.phase() === 'ended' || clock.monotonicMs() > untilMs)
      throw new Error(`a worker was not ready within ${READY_MS / 1000} s`);
    await pause(LOOK_MS);
  }
}
