/** Chains as an enrolment makes them and a revocation ends them, with all their lanes. Who may do so is `endpoints.ts`. */
import { within } from '../../core/clock.ts';
import { Fault } from '../../core/fault.ts';
import { HttpProblem } from '../../core/http.ts';
import type { Resources } from '../../core/scheme.ts';
import { durable } from '../../crypto/store-key.ts';
import { fromHex, toHex } from '../../encoding/bytes.ts';
import { MAX_LANES, TIME_KEY_BYTES, type Profile } from './message.ts';
import { formatRecord, parseRecord, type ChainRecord } from './record.ts';
import type { Settings } from './settings.ts';
import type { ChainState } from './state.ts';

const MAX_ATTEMPTS = 5;

export interface EnrolmentParts {
  readonly settings: Settings;
  readonly resources: Resources;
  readonly state: ChainState;
}

export interface NewChains {
  readonly tenant: string;
  readonly subject: string;
  /** Without lane. */
  readonly id: string;
  readonly profile: Profile;
  readonly length: number;
  /** Of lanes 0, 1, ...; hex. */
  readonly anchors: readonly string[];
  /** Whether chains of the same user give way. */
  readonly replace: boolean;
  /** Of the user whom the invitation was made for: it ends with that. Absent: the operator's own order. */
  readonly epoch?: number;
}

export interface Enrolment {
  /** @throws {Fault} `recovering`: what is enrolled before the horizon would be out of step at once. */
  requireRecovered(): void;
  /**
   * Creates the user if absent.
   *
   * @returns what the client must know; the time key is told this once.
   * @throws {HttpProblem} `conflict` when the id is taken, or the user is of another epoch by now.
   */
  enrol(chains: NewChains): Promise<object>;
  /** Lane 0. @returns null when the user has no such chain. */
  find(tenant: string, subject: string, id: string): Promise<ChainRecord | null>;
  /** All lanes. @returns false when the user has no such chain. */
  revoke(tenant: string, subject: string, id: string): Promise<boolean>;
}

export function createEnrolment({ settings, resources, state }: EnrolmentParts): Enrolment {
  const { store, clock, users, random } = resources;

  async function held(tenant: string, id: string): Promise<{ text: string | null; record: ChainRecord | null }> {
    const text = await store.get(state.keyOf(tenant, id));
    return { text, record: text === null ? null : parseRecord(text) };
  }

  async function find(tenant: string, subject: string, id: string): Promise<ChainRecord | null> {
    const { record } = await held(tenant, id);
    return record?.user === subject ? record : null;
  }

  /** @returns false when the record is no longer what was read. */
  async function write(
    tenant: string,
    expected: string | null,
    record: Omit<ChainRecord, 'timeKey'>,
    timeKey: Uint8Array | null,
  ) {
    const key = state.keyOf(tenant, record.id);
    const sealed = timeKey && state.sealTimeKey(key, timeKey);
    return store.swap(durable(key), expected, formatRecord({ ...record, timeKey: sealed }), Infinity);
  }

  /** Requests of the chain that was there may move its head meanwhile. */
  async function overwrite(tenant: string, record: Omit<ChainRecord, 'timeKey'>, timeKey: Uint8Array | null) {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const { text } = await held(tenant, record.id);
      if (await write(tenant, text, record, timeKey)) return;
    }
    throw taken();
  }

  return {
    find,
    requireRecovered() {
      const horizonMs = store.horizonMs();
      const nowMs = clock.nowMs();
      if (within(horizonMs, nowMs, Number.MAX_SAFE_INTEGER)) return;
      throw new Fault('recovering', 'the store lost state; nothing can be enrolled yet', {
        retryAfterSeconds: Math.ceil((horizonMs - nowMs) / 1000),
      });
    },

    async enrol({ tenant, subject, id, profile, length, anchors, replace, epoch: expected }) {
      const before = await held(tenant, id);
      if (before.record !== null && !(replace && before.record.user === subject)) throw taken();
      const { epoch } = await users.ensure(tenant, subject);
      if (expected !== undefined && expected !== epoch)
        throw new HttpProblem('conflict', 'the user was deleted or revoked meanwhile');
      const timeKey = profile === 'keyed' ? random(TIME_KEY_BYTES) : null;
      const recordOf = (lane: number, anchor: string) => ({
        v: 1,
        id: laneId(id, lane),
        user: subject,
        epoch,
        profile,
        head: fromHex(anchor) ?? new Uint8Array(0),
        index: length,
        pending: null,
        owner: null,
        proof: null,
        at: clock.nowMs(),
        isFirstUse: false,
      });
      const [first = '', ...others] = anchors;
      if (!(await write(tenant, before.text, recordOf(0, first), timeKey))) throw taken();
      // What earlier enrolments left under the other lanes gives way: the id is ours now.
      await Promise.all(
        otherLanes().map(async (lane) => {
          const anchor = others[lane - 1];
          if (anchor !== undefined) return overwrite(tenant, recordOf(lane, anchor), timeKey);
          const { text } = await held(tenant, laneId(id, lane));
          if (text !== null) await store.delete(durable(state.keyOf(tenant, laneId(id, lane))));
        }),
      );
      const { windowMs, maxSkip, maxChain } = settings;
      const allowAhead = profile === 'keyed' ? settings.allowAhead : settings.seedAllowAhead;
      return { id, profile, timeKey: timeKey && toHex(timeKey), windowMs, allowAhead, maxSkip, maxChain };
    },

    async revoke(tenant, subject, id) {
      if ((await find(tenant, subject, id)) === null) return false;
      await Promise.all(otherLanes().map((lane) => store.delete(durable(state.keyOf(tenant, laneId(id, lane))))));
      // Last, so that what is left of a revocation that failed still has its owner.
      await store.delete(durable(state.keyOf(tenant, id)));
      return true;
    },
  };
}

function laneId(id: string, lane: number): string {
  return lane === 0 ? id : `${id}/${lane}`;
}

function otherLanes(): readonly number[] {
  return Array.from({ length: MAX_LANES - 1 }, (_, at) => at + 1);
}

function taken(): HttpProblem {
  return new HttpProblem('conflict', 'the id is taken');
}
