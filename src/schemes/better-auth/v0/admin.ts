/** The administrator's calls about accounts of v0. Each change is one swap; subjects travel in bodies. */
import * as v from 'valibot';
import { HttpProblem } from '../../../core/http.ts';
import { defineEndpoint, type Endpoint } from '../../../core/scheme.ts';
import { duration } from '../../../core/settings.ts';
import { attributes, requireFitting } from '../attributes.ts';
import { digest } from '../fields.ts';
import type { Revocation } from '../version.ts';
import {
  type Account,
  isLive,
  lifetimeOf,
  type LiveAccount,
  livePending,
  PASSPHRASE,
  tombstone,
  withAttributes,
  withoutMethod,
  withoutSessions,
} from './account.ts';
import { issueMaterial } from './invitation.ts';
import type { V0Parts } from './operation.ts';
import { untilSwapped } from '../swapped.ts';

const subject = digest('subject');
const only = v.literal(true);

/** Absolute, so that the log says about whom a call was. */
const PATH = '/admin/v1/better-auth/v0';

export function adminEndpoints(parts: V0Parts): readonly Endpoint[] {
  const { settings, resources } = parts;
  const nowMs = () => resources.clock.nowMs();
  return [
    defineEndpoint({
      listener: 'admin',
      method: 'POST',
      path: `${PATH}/registrations`,
      bucket: 'own',
      body: v.pipe(
        v.strictObject({
          kind: v.picklist(['key', PASSPHRASE]),
          subject: v.optional(subject),
          attributes: v.optional(attributes()),
          lifetime: v.optional(duration({ min: '1m', max: '7d' })),
        }),
        v.check((body) => body.subject === undefined || body.attributes === undefined, 'attributes of a new account'),
      ),
      subject: (body) => body.subject ?? '',
      async handle({ body: { lifetime = settings.v0.registrationLifetimeMs, ...order } }) {
        requireFitting(settings, order.attributes ?? {});
        return { status: 201, body: await issueMaterial(parts, { ...order, lifetimeMs: lifetime, nowMs: nowMs() }) };
      },
    }),
    defineEndpoint({
      listener: 'admin',
      method: 'POST',
      path: `${PATH}/revoke`,
      bucket: 'own',
      body: v.union([
        v.strictObject({ subject, device: digest('device') }),
        v.strictObject({ subject, passphrase: only }),
        v.strictObject({ subject, sessions: only }),
        v.strictObject({ subject, account: only }),
      ]),
      subject: (body) => body.subject,
      async handle({ body }) {
        if (!(await revoke(parts, body.subject, whatOf(body)))) return absent();
        return { status: 200, body: {} };
      },
    }),
    defineEndpoint({
      listener: 'admin',
      method: 'POST',
      path: `${PATH}/attributes`,
      bucket: 'own',
      body: v.strictObject({ subject, attributes: attributes() }),
      subject: (body) => body.subject,
      async handle({ body }) {
        requireFitting(settings, body.attributes);
        const isThere = await change(parts, body.subject, (account) => withAttributes(account, body.attributes));
        return isThere ? { status: 200, body: {} } : absent();
      },
    }),
    defineEndpoint({
      listener: 'admin',
      method: 'POST',
      path: `${PATH}/lookup`,
      bucket: 'own',
      body: v.strictObject({ subject }),
      async handle({ body }) {
        const read = await parts.records.account(body.subject);
        if (read === null) return absent();
        return { status: 200, body: { subject: body.subject, ...described(read.record, nowMs()) } };
      },
    }),
  ];
}

function whatOf(body: object): Revocation {
  if ('device' in body) return { kind: 'device', device: String(body.device) };
  return { kind: PASSPHRASE in body ? 'passphrase' : 'sessions' in body ? 'sessions' : 'account' };
}

/** @returns false without such an account or method. */
export function revoke(parts: V0Parts, accountId: string, what: Revocation): Promise<boolean> {
  const { clock, skewMs } = parts.resources;
  const nowMs = clock.nowMs();
  return change(parts, accountId, (account) => {
    if (what.kind === 'account') return tombstone(account, accountId, nowMs);
    // A session may have been made by a clock that far ahead.
    if (what.kind === 'sessions') return withoutSessions(account, nowMs + skewMs + 1);
    return withoutMethod(account, what.kind === 'device' ? what.device : PASSPHRASE);
  });
}

/** @param changed undefined: there is nothing of the kind. @returns whether it was changed. */
async function change(
  { records, resources }: V0Parts,
  accountId: string,
  changed: (account: LiveAccount) => Account | undefined,
): Promise<boolean> {
  const outcome = await untilSwapped(async () => {
    const read = await records.account(accountId);
    const after = read !== null && isLive(read.record) ? changed(read.record) : undefined;
    if (after === undefined) return 'absent';
    const lifetimeMs = isLive(after) ? lifetimeOf(after, resources.clock.nowMs()) : Infinity;
    return (await records.saveAccount(accountId, read, after, lifetimeMs)) && 'changed';
  });
  return outcome === 'changed';
}

/** States and times: no key, no digest, no salt. */
function described(account: Account, nowMs: number): object {
  const { state } = account;
  if (!isLive(account)) return { state, deletedAtMs: account.deletedAtMs };
  const { createdAtMs, sessionsNotBeforeMs, devices, passphrase } = account;
  return {
    state,
    createdAtMs,
    sessionsNotBeforeMs,
    attributes: account.attributes,
    devices: Object.entries(devices).map(([device, one]) => ({
      device,
      createdAtMs: one.createdAtMs,
      canRotate: one.nextDigest !== null,
    })),
    passphrase: passphrase !== null,
    registrations: livePending(account, nowMs).map(({ kind, expiresAtMs }) => ({ kind, expiresAtMs })),
  };
}

function absent(): never {
  throw new HttpProblem('not_found', 'no such account, or no such method of it');
}
