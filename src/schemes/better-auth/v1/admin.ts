/**
 * The administrator's calls about v1 accounts: take back, set attributes, look up, and put marks for an issuer elsewhere. Each change of
 * an account is one write of its record.
 */
import * as v from 'valibot';
import { HttpProblem } from '../../../core/http.ts';
import { defineEndpoint, type Endpoint } from '../../../core/scheme.ts';
import { attributes, requireFitting } from '../attributes.ts';
import { digest } from '../fields.ts';
import type { Revocation } from '../version.ts';
import { untilSwapped } from '../swapped.ts';
import { isDeviceOf, tombstone, withoutDevice, type Account, type AccountRecord } from './record.ts';
import type { V1Parts } from './v1-parts.ts';

const PREFIX = '/admin/v1/better-auth/v1';
const subject = digest('subject');
const device = digest('device');

export function adminEndpoints(parts: V1Parts): readonly Endpoint[] {
  const ofRecords = [revokeCall(parts), attributesCall(parts), lookupCall(parts)];
  return [...(parts.settings.issuer === 'local' ? ofRecords : []), markersCall(parts)];
}

/** @returns false without such an account or device. */
export function revoke(parts: V1Parts, identity: string, what: Revocation): Promise<boolean> {
  const { resources } = parts;
  return change(parts, identity, async (account, nowMs) => {
    const seq = account.seq + 1;
    if (what.kind === 'passphrase') return undefined;
    if (what.kind === 'device') {
      if (!isDeviceOf(account, what.device)) return undefined;
      await parts.publishMark(identity, what.device, nowMs);
      return { ...withoutDevice(account, what.device), seq };
    }
    await parts.publishMark(identity, undefined, nowMs);
    if (what.kind === 'account') return tombstone(account, nowMs);
    // A session may come from a clock that far ahead.
    return { ...account, seq, sessionsNotBeforeMs: nowMs + resources.skewMs + 1 };
  });
}

/** @param next undefined: there is nothing to change. @returns false then, and without such an account. */
async function change(
  { identities, resources }: V1Parts,
  identity: string,
  next: (account: Account, nowMs: number) => AccountRecord | undefined | Promise<AccountRecord | undefined>,
): Promise<boolean> {
  const outcome = await untilSwapped(async () => {
    const nowMs = resources.clock.nowMs();
    const found = await identities.findActive(identity);
    const changed = found === null ? undefined : await next(found.record, nowMs);
    if (found === null || changed === undefined) return 'absent';
    return (await identities.swap(found, changed, nowMs)) && 'changed';
  });
  return outcome === 'changed';
}

function revokeCall(parts: V1Parts): Endpoint {
  const body = v.union([
    v.strictObject({ subject, device }),
    v.strictObject({ subject, sessions: v.literal(true) }),
    v.strictObject({ subject, account: v.literal(true) }),
  ]);
  return defineEndpoint({
    listener: 'admin',
    method: 'POST',
    path: `${PREFIX}/revoke`,
    bucket: 'own',
    body,
    subject: (order) => order.subject,
    async handle({ body: order }) {
      requireFound(await revoke(parts, order.subject, revocationOf(order)));
      return { status: 200, body: {} };
    },
  });
}

function revocationOf(order: { device: string } | { sessions: true } | { account: true }): Revocation {
  if ('device' in order) return { kind: 'device', device: order.device };
  return { kind: 'sessions' in order ? 'sessions' : 'account' };
}

function attributesCall(parts: V1Parts): Endpoint {
  return defineEndpoint({
    listener: 'admin',
    method: 'POST',
    path: `${PREFIX}/attributes`,
    bucket: 'own',
    body: v.strictObject({ subject, attributes: attributes() }),
    subject: (order) => order.subject,
    async handle({ body }) {
      requireFitting(parts.settings, body.attributes);
      const set = (account: Account) => ({ ...account, seq: account.seq + 1, attributes: body.attributes });
      requireFound(await change(parts, body.subject, set));
      return { status: 200, body: {} };
    },
  });
}

/** States and times; no digest and no key. */
function lookupCall({ identities }: V1Parts): Endpoint {
  return defineEndpoint({
    listener: 'admin',
    method: 'POST',
    path: `${PREFIX}/lookup`,
    bucket: 'own',
    body: v.strictObject({ subject }),
    subject: (order) => order.subject,
    async handle({ body }) {
      const record = (await identities.find(body.subject))?.record;
      if (record === undefined) throw new HttpProblem('not_found', 'no such account');
      return { status: 200, body: record.state === 'deleted' ? shownTombstone(record) : shown(record) };
    },
  });
}

function shownTombstone({ identity, state, deletedAtMs }: Extract<AccountRecord, { state: 'deleted' }>) {
  return { subject: identity, state, deletedAtMs };
}

function shown({
  identity,
  state,
  unused,
  createdAtMs,
  sessionsNotBeforeMs,
  attributes: set,
  devices,
  ...account
}: Account) {
  return {
    subject: identity,
    state,
    unused,
    createdAtMs,
    sessionsNotBeforeMs,
    previousRecoveryUntilMs: account.previousRecovery?.untilMs ?? null,
    attributes: set,
    devices: Object.entries(devices).map(([id, { createdAtMs: linkedAtMs }]) => ({ device: id, linkedAtMs })),
  };
}

function markersCall({ state, resources }: V1Parts): Endpoint {
  return defineEndpoint({
    listener: 'admin',
    method: 'POST',
    path: `${PREFIX}/markers`,
    bucket: 'own',
    body: v.strictObject({ subject, device: v.optional(device) }),
    subject: (order) => order.subject,
    async handle({ body }) {
      await state.mark(body.subject, body.device, resources.clock.nowMs());
      return { status: 200, body: {} };
    },
  });
}

function requireFound(isFound: boolean): void {
  if (!isFound) throw new HttpProblem('not_found', 'no such account or device');
}
