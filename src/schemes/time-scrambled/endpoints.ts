/**
 * Enrolment, by the client with an invitation and by the operator, and the operator's other calls about chains. Who enrols first owns
 * the id: that is decided by the record of lane 0, the other lanes follow it.
 */
import * as v from 'valibot';
import { deny } from '../../core/decision.ts';
import { HttpProblem } from '../../core/http.ts';
import { isInvitationToken } from '../../core/registration.ts';
import { defineEndpoint, requireTime, type Answer, type Endpoint } from '../../core/scheme.ts';
import { identifier, tenantMember } from '../../core/settings.ts';
import { createEnrolment, type EnrolmentParts } from './enrolment.ts';
import type { FirstUses } from './first-use.ts';
import { MAX_LANES, PROFILES, SCHEME, TOKEN_BYTES } from './message.ts';

const FIRST_USE_MAX_MS = 3_600_000;
const CREDENTIALS = `/admin/v1/credentials/${SCHEME}`;

const anchor = v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${2 * TOKEN_BYTES}}$`)));
const anchors = v.pipe(
  v.array(anchor),
  v.minLength(1),
  v.maxLength(MAX_LANES),
  // Two lanes with one anchor would be one chain with two heads: each token good twice.
  v.check((list) => new Set(list).size === list.length),
);

export function endpoints(parts: EnrolmentParts & { readonly firstUses: FirstUses }): readonly Endpoint[] {
  const { settings, resources, firstUses } = parts;
  const enrolment = createEnrolment(parts);
  const length = v.pipe(v.number(), v.safeInteger(), v.minValue(2), v.maxValue(settings.maxChain));
  const [defaultProfile = 'keyed'] = PROFILES.filter((profile) => settings.profiles.includes(profile));
  const byChain = v.strictObject({ subject: identifier(), keyId: identifier(), tenant: tenantMember() });

  return [
    defineEndpoint({
      listener: 'issuer',
      method: 'POST',
      path: 'enrol',
      bucket: 'issuer',
      body: v.strictObject({
        invitation: v.pipe(v.string(), v.check(isInvitationToken)),
        id: identifier(),
        n: length,
        anchors,
        tenant: tenantMember(),
      }),
      async handle({ body: { invitation, id, n, anchors: lanes, tenant }, ...call }) {
        enrolment.requireRecovered();
        requireTime(call);
        const invited = await resources.invitations.spend(tenant, SCHEME, invitation);
        if (invited?.user == null) return deny('signature_invalid', 'no such invitation');
        const { user: subject, replace, epoch } = invited;
        const body = await enrolment.enrol({
          tenant,
          subject,
          id,
          profile: defaultProfile,
          length: n,
          anchors: lanes,
          replace,
          epoch,
        });
        return { status: 201, body };
      },
    }),
    defineEndpoint({
      listener: 'admin',
      method: 'PUT',
      path: CREDENTIALS,
      bucket: 'own',
      body: v.strictObject({
        subject: identifier(),
        keyId: identifier(),
        profile: v.picklist(settings.profiles),
        n: length,
        anchors,
        replace: v.optional(v.boolean(), false),
        tenant: tenantMember(),
      }),
      subject: ({ subject }) => subject,
      async handle({ body: { tenant, subject, keyId: id, profile, n, anchors: lanes, replace } }) {
        enrolment.requireRecovered();
        const body = await enrolment.enrol({ tenant, subject, id, profile, length: n, anchors: lanes, replace });
        return { status: 201, body };
      },
    }),
    defineEndpoint({
      listener: 'admin',
      method: 'POST',
      path: `${CREDENTIALS}/lookup`,
      bucket: 'own',
      body: byChain,
      subject: ({ subject }) => subject,
      async handle({ body: { tenant, subject, keyId } }) {
        const found = await enrolment.find(tenant, subject, keyId);
        if (found === null) throw noSuchChain();
        const { profile, index: n, at: atMs } = found;
        return { status: 200, body: { subject, keyId, profile, n, atMs } };
      },
    }),
    defineEndpoint({
      listener: 'admin',
      method: 'POST',
      path: `${CREDENTIALS}/revoke`,
      bucket: 'own',
      body: byChain,
      subject: ({ subject }) => subject,
      async handle({ body: { tenant, subject, keyId } }) {
        if (!(await enrolment.revoke(tenant, subject, keyId))) throw noSuchChain();
        return EMPTY;
      },
    }),
    defineEndpoint({
      listener: 'admin',
      method: 'POST',
      path: 'first-use',
      bucket: 'own',
      body: v.strictObject({
        forMs: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(FIRST_USE_MAX_MS)),
        tenant: tenantMember(),
      }),
      async handle({ body: { forMs, tenant } }) {
        await firstUses.permit(tenant, forMs);
        return EMPTY;
      },
    }),
  ];
}

const EMPTY: Answer = { status: 200, body: {} };

function noSuchChain(): HttpProblem {
  return new HttpProblem('not_found', 'the user has no such chain');
}
