/**
 * The administrator's calls about passwords. There is none to set one: only the client can register it, with an invitation
 * (`POST /admin/v1/invites`).
 */
import * as v from 'valibot';
import { HttpProblem } from '../../core/http.ts';
import { defineEndpoint, type Endpoint, type Resources } from '../../core/scheme.ts';
import { identifier, tenantMember } from '../../core/settings.ts';
import { SCHEME } from './message.ts';
import type { Registrations } from './registrations.ts';

const PATH = `/admin/v1/credentials/${SCHEME}`;

export function adminEndpoints({ users }: Pick<Resources, 'users'>, registrations: Registrations): readonly Endpoint[] {
  const body = v.strictObject({ subject: identifier(), tenant: tenantMember() });
  return [
    defineEndpoint({
      listener: 'admin',
      method: 'POST',
      path: `${PATH}/lookup`,
      bucket: 'own',
      body,
      subject: (of) => of.subject,
      async handle({ body: { subject, tenant } }) {
        const found = await registrations.find(tenant, subject);
        if (found === null) throw new HttpProblem('not_found', 'no such record');
        return { status: 200, body: { subject, createdAtMs: found.createdAtMs } };
      },
    }),
    defineEndpoint({
      listener: 'admin',
      method: 'POST',
      path: `${PATH}/revoke`,
      bucket: 'own',
      body,
      subject: (of) => of.subject,
      async handle({ body: { subject, tenant } }) {
        const found = await registrations.find(tenant, subject);
        // The record first: a login between the two would carry the new epoch.
        await registrations.remove(tenant, subject);
        const epoch = await users.raiseEpoch(tenant, subject);
        if ((await registrations.find(tenant, subject)) !== null) {
          // Registered between the two, with an invitation of before.
          await registrations.remove(tenant, subject);
          await users.raiseEpoch(tenant, subject);
        }
        if (found === null && epoch === null) throw new HttpProblem('not_found', 'no such user');
        return { status: 200, body: {} };
      },
    }),
  ];
}
