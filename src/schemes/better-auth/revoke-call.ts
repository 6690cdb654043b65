/** The shared admin call that takes a credential back: here `keyId` is a device, or `passphrase`. Each version's own calls do more. */
import * as v from 'valibot';
import { HttpProblem } from '../../core/http.ts';
import { defineEndpoint, type Endpoint } from '../../core/scheme.ts';
import { digest } from './fields.ts';
import type { Version } from './version.ts';

/** @param versions in use; a subject is an account of one of them. */
export function revokeCall(versions: readonly Version[]): Endpoint {
  return defineEndpoint({
    listener: 'admin',
    method: 'POST',
    path: '/admin/v1/credentials/better-auth/revoke',
    bucket: 'own',
    body: v.strictObject({ subject: digest('subject'), keyId: v.union([v.literal('passphrase'), digest('keyId')]) }),
    subject: (order) => order.subject,
    async handle({ body: { subject, keyId } }) {
      const what =
        keyId === 'passphrase' ? ({ kind: 'passphrase' } as const) : ({ kind: 'device', device: keyId } as const);
      for (const version of versions) if (await version.revoke(subject, what)) return { status: 200, body: {} };
      throw new HttpProblem('not_found', 'no such account or device');
    },
  });
}
