/** The administrator's calls about users, their keys and invitations, the same for all schemes. Who may call is `admin/`. */
import * as v from 'valibot';
import { deny } from '../core/decision.ts';
import type { UserKey, UserRecord } from '../core/directory.ts';
import { HttpProblem } from '../core/http.ts';
import type { Invitations } from '../core/registration.ts';
import { defineEndpoint, type Endpoint, type SchemeDefinition } from '../core/scheme.ts';
import { duration, identifier, keyId, tenantMember } from '../core/settings.ts';
import { isAcceptableKey, thumbprint } from '../crypto/signatures.ts';
import { encodeBase64url } from '../encoding/base64url.ts';
import { parsePublicJwk } from '../encoding/jwk.ts';
import { attributesSchema } from './attributes.ts';
import type { UserRecords } from './directory.ts';
import { revived, type UserKeys } from './keys-of-users.ts';

export interface AdminCallParts {
  readonly records: UserRecords;
  readonly keys: UserKeys;
  readonly invitations: Invitations;
  /** Configured ones. */
  readonly schemes: readonly Pick<SchemeDefinition, 'name' | 'publicKeys' | 'namesAccounts'>[];
  /** Removes what schemes keep of a user. */
  forget(tenant: string, user: string): Promise<void>;
  /** Awaited before the answer. */
  audit(action: string, subject: string): Promise<void>;
}

const subject = identifier();
const tenant = tenantMember();
const time = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

export function userCalls({ records, keys, forget, audit }: AdminCallParts): readonly Endpoint[] {
  const bySubject = v.strictObject({ subject, tenant });
  return [
    adminCall(
      'PUT',
      '/admin/v1/users',
      v.strictObject({
        subject,
        attributes: v.optional(attributesSchema),
        disabled: v.optional(v.boolean()),
        ifVersion: v.optional(time),
        tenant,
      }),
      async (body) => {
        let isNew = false as boolean; // Set by the callback below.
        const after = await records.update(body.tenant, body.subject, (before) => {
          if (body.ifVersion !== undefined && body.ifVersion !== (before?.v ?? 0))
            throw new HttpProblem('precondition_failed', 'another version');
          isNew = before === null || before.deleted;
          const base = before === null || before.deleted ? revived(before) : before;
          return { ...base, attributes: body.attributes ?? base.attributes, disabled: body.disabled ?? base.disabled };
        });
        await audit('users.put', body.subject);
        return { status: isNew ? 201 : 200, body: publicParts(found(after)) };
      },
    ),
    adminCall('POST', '/admin/v1/users/lookup', bySubject, async (body) => ({
      status: 200,
      body: publicParts(found(await records.current(body.tenant, body.subject))),
    })),
    adminCall('POST', '/admin/v1/users/revoke', bySubject, async (body) => {
      const epoch = await keys.raiseEpoch(body.tenant, body.subject);
      if (epoch === null) throw new HttpProblem('not_found', 'no such user');
      await audit('users.revoke', body.subject);
      return { status: 200, body: { epoch } };
    }),
    adminCall('POST', '/admin/v1/users/delete', bySubject, async (body) => {
      const isFound = await keys.deleteUser(body.tenant, body.subject);
      await forget(body.tenant, body.subject); // Of a tombstone too: an earlier attempt may have ended before this.
      if (!isFound) throw new HttpProblem('not_found', 'no such user');
      await audit('users.delete', body.subject);
      return { status: 200, body: {} };
    }),
  ];
}

/** For one scheme with public keys. */
export function keyCalls(scheme: string, { records, keys, audit }: AdminCallParts): readonly Endpoint[] {
  const path = `/admin/v1/credentials/${scheme}`;
  const byKey = v.strictObject({ subject, keyId: v.optional(keyId()), tenant });
  return [
    adminCall(
      'PUT',
      path,
      v.strictObject({ subject, keyId: keyId(), jwk: v.unknown(), expiresAtMs: v.optional(time), tenant }),
      async (body) => {
        const jwk = parsePublicJwk(body.jwk);
        if (jwk === undefined || !isAcceptableKey(jwk)) return deny('malformed', 'a key that the key policy refuses');
        const { isNewKey } = await keys.add(body.tenant, body.subject, {
          kid: body.keyId,
          jwk,
          scheme,
          ...(body.expiresAtMs !== undefined && { expiresAt: body.expiresAtMs }),
          replace: false,
        });
        await audit(`credentials.${scheme}.put`, body.subject);
        return {
          status: isNewKey ? 201 : 200,
          body: { subject: body.subject, keyId: body.keyId, thumbprint: encodeBase64url(thumbprint(jwk)) },
        };
      },
    ),
    adminCall('POST', `${path}/lookup`, byKey, async (body) => {
      const record = found(await records.current(body.tenant, body.subject));
      const shown = record.keys.filter(
        ({ kid, uses }) => uses.includes(scheme) && (body.keyId === undefined || kid === body.keyId),
      );
      if (body.keyId !== undefined && shown.length === 0) throw new HttpProblem('not_found', 'no such key');
      return { status: 200, body: publicParts({ ...record, keys: shown }) };
    }),
    adminCall('POST', `${path}/revoke`, byKey, async (body) => {
      const isFound =
        body.keyId === undefined
          ? await keys.withdrawAll(body.tenant, body.subject, scheme)
          : await keys.withdraw(body.tenant, body.subject, scheme, body.keyId);
      if (!isFound) throw new HttpProblem('not_found', 'no such user or key');
      await audit(`credentials.${scheme}.revoke`, body.subject);
      return { status: 200, body: {} };
    }),
  ];
}

export function invitationCall({ invitations, schemes, audit }: AdminCallParts): Endpoint {
  const body = v.strictObject({
    scheme: v.string(),
    subject: v.optional(subject),
    ttl: duration({ min: '1m', max: '7d' }),
    replace: v.optional(v.boolean(), false),
    tenant,
  });
  return adminCall(
    'POST',
    '/admin/v1/invites',
    body,
    async ({ scheme: name, subject: user, ttl, replace, tenant: inTenant }) => {
      const scheme = schemes.find((one) => one.name === name);
      if (scheme === undefined) return deny('malformed', 'scheme is none that is configured');
      if ((user === undefined) !== (scheme.namesAccounts === true))
        return deny('malformed', 'subject is for schemes whose accounts do not name themselves');
      const issued = await invitations.issue(inTenant, { scheme: name, user: user ?? null, replace, ttlMs: ttl });
      await audit('invites.issue', user ?? '');
      return { status: 201, body: { token: issued.token, expiresAtMs: issued.expiresAtMs } };
    },
  );
}

function adminCall<Schema extends v.GenericSchema>(
  method: 'POST' | 'PUT',
  path: string,
  body: Schema,
  handle: (body: v.InferOutput<Schema>) => Promise<{ status: number; body: object }>,
): Endpoint {
  return defineEndpoint({ listener: 'admin', method, path, body, bucket: 'own', handle: (call) => handle(call.body) });
}

function found(record: UserRecord | null): UserRecord {
  if (record === null) throw new HttpProblem('not_found', 'no such user');
  return record;
}

/** What may be told of a user. */
function publicParts({ user, v: version, epoch, disabled, deleted, attributes: given, keys }: UserRecord) {
  return { subject: user, version, epoch, disabled, deleted, attributes: given, keys: keys.map(publicKeyParts) };
}

function publicKeyParts({ kid, alg, jwk, uses, addedAt, expiresAt }: UserKey) {
  return {
    keyId: kid,
    alg,
    thumbprint: encodeBase64url(thumbprint(jwk)),
    uses,
    addedAtMs: addedAt,
    expiresAtMs: expiresAt,
  };
}
