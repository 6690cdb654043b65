/** Chains as an enrolment makes them and a revocation ends them, with all their lanes. Who may do so is `endpoints.ts`. */
import { within } from '../../core/clock.ts';
import { Fault } from '../../core/fault.ts';
import { HttpProblem } from '../../core/http.ts';
import type { Resources } from '../../core/scheme.ts';
import { removeIfSame } from '../../core/store.ts';
import { durable } from '../../crypto/store-key.ts';
import { fromHex, toHex } from '../../encoding/bytes.ts';
import { MAX_LANES, TIME_KEY_BYTES, TOKEN_BYTES, type Profile } from './message.ts';
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
  /** All lanes. @returns false when the user has no such chain. @throws {HttpProblem} `conflict` after five lost races. */
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
  const write = (tenant: string, id: string, expected: string | null, text: string) =>
    store.swap(durable(state.keyOf(tenant, id)), expected, text, Infinity);

  /** Requests of the chain that was there may move its head meanwhile. */
  async function overwrite(tenant: string, id: string, text: string) {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      if (await write(tenant, id, (await held(tenant, id)).text, text)) return;
    }
    throw taken();
  }

  async function removeLanes(tenant: string, id: string, lanes: readonly number[]) {
    await Promise.all(
      lanes.map(async (lane) => {
        const key = state.keyOf(tenant, laneId(id, lane));
        if ((await store.get(key)) !== null) await store.delete(durable(key));
      }),
    );
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
      const records = anchors.map((anchor, lane) =>
        formatRecord({
          v: 1,
          id: laneId(id, lane),
          user: subject,
          epoch,
          profile,
          head: fromHex(anchor) ?? new Uint8Array(0),
          index: length,
          timeKey: timeKey && state.sealTimeKey(state.keyOf(tenant, laneId(id, lane)), timeKey),
          pending: null,
          owner: null,
          proof: null,
          at: clock.nowMs(),
          isFirstUse: false,
        }),
      );
      const [first = '', ...others] = records;
      if (!(await write(tenant, id, before.text, first))) throw taken();
      // What earlier enrolments left under the other lanes gives way: the id is ours now.
      await Promise.all(others.map((text, at) => overwrite(tenant, laneId(id, at + 1), text)));
      await removeLanes(tenant, id, otherLanes().slice(others.length));
      if ((await held(tenant, id)).text !== first) {
        // Revoked, or enrolled once more, meanwhile. Lanes without their first could never be revoked.
        await Promise.all(
          others.map((text, at) => removeIfSame(store, durable(state.keyOf(tenant, laneId(id, at + 1))), text)),
        );
        throw taken();
      }
      const { windowMs, maxSkip, maxChain } = settings;
      const allowAhead = profile === 'keyed' ? settings.allowAhead : settings.seedAllowAhead;
      return { id, profile, timeKey: timeKey && toHex(timeKey), windowMs, allowAhead, maxSkip, maxChain };
    },

    async revoke(tenant, subject, id) {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
        const { text, record } = await held(tenant, id);
        if (record?.user !== subject) return attempt > 0;
        // First it is given a head that nobody can continue: it stands still then, and what is left of a revocation that fails
        // still has its owner. That it stands still to the end shows that nobody enrolled it once more meanwhile.
        const ended = formatRecord({ ...record, head: random(TOKEN_BYTES), pending: null, owner: null, proof: null });
        if (!(await write(tenant, id, text, ended))) continue;
        await removeLanes(tenant, id, otherLanes());
        if (await removeIfSame(store, durable(state.keyOf(tenant, id)), ended)) return true;
      }
      throw new HttpProblem('conflict', 'the chain is in use by others');
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
