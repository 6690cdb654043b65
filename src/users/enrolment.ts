/**
 * The endpoint where an invited client registers its own public key; one for all schemes with public keys.
 * The key signs for the deployment that it joins, so an enrolment caught at one is worthless at another.
 */
import * as v from 'valibot';
import { deny } from '../core/decision.ts';
import type { Signatures } from '../core/directory.ts';
import { HttpProblem } from '../core/http.ts';
import { isInvitationToken, type Invitations } from '../core/registration.ts';
import { defineEndpoint, requireTime, type Endpoint } from '../core/scheme.ts';
import { keyId, tenantMember } from '../core/settings.ts';
import { isAcceptableKey, thumbprint } from '../crypto/signatures.ts';
import { decodeBase64url, encodeBase64url } from '../encoding/base64url.ts';
import { enrolMessage } from '../encoding/enrol-message.ts';
import { algOf, parsePublicJwk } from '../encoding/jwk.ts';
import type { UserKeys } from './keys-of-users.ts';

export interface EnrolmentParts {
  readonly scheme: string;
  /** Origins of this deployment, `issuer.audiences`. */
  readonly audiences: readonly string[];
  readonly keys: UserKeys;
  readonly invitations: Invitations;
  readonly signatures: Signatures;
  /** Awaited before the answer. */
  audit(action: string, subject: string): Promise<void>;
}

/**
 * `POST <prefix>/<scheme>/enrol`: `{"aud","invitation","kid","jwk","signature"}` gives 201 `{"subject","keyId","thumbprint"}`.
 * A failed attempt after the invitation was spent needs a new one.
 */
export function enrolmentEndpoint({
  scheme,
  audiences,
  keys,
  invitations,
  signatures,
  audit,
}: EnrolmentParts): Endpoint {
  return defineEndpoint({
    listener: 'issuer',
    method: 'POST',
    path: 'enrol',
    bucket: 'issuer',
    body: v.strictObject({
      aud: v.pipe(v.string(), v.maxLength(300)),
      invitation: v.pipe(v.string(), v.check(isInvitationToken)),
      kid: keyId(),
      jwk: v.unknown(),
      signature: v.pipe(v.string(), v.length(86)),
      tenant: tenantMember(),
    }),
    async handle({ body: { aud, invitation, kid, jwk: given, signature: signatureText, tenant }, ...call }) {
      const jwk = parsePublicJwk(given);
      const signature = decodeBase64url(signatureText);
      if (jwk === undefined || signature === undefined) return deny('malformed', 'jwk or signature');
      if (!audiences.includes(aud)) deny('signature_invalid', 'aud is no origin of this deployment');
      if (!isAcceptableKey(jwk)) deny('malformed', 'a key that the key policy refuses');

      const digest = thumbprint(jwk);
      const isSigned = await signatures.verify(
        { alg: algOf(jwk), jwk },
        enrolMessage(aud, invitation, kid, digest),
        signature,
      );
      if (!isSigned) deny('signature_invalid', 'the key did not sign this enrolment');
      requireTime(call);
      const invited = await invitations.spend(tenant, scheme, invitation);
      if (invited?.user == null) return deny('signature_invalid', 'no such invitation');

      const subject = invited.user;
      const { replace, epoch } = invited;
      const { isNewUse } = await keys.add(tenant, subject, { kid, jwk, scheme, replace, epoch });
      if (!isNewUse) throw new HttpProblem('conflict', 'the key is registered already');
      await audit(`credentials.${scheme}.enrol`, subject);
      return { status: 201, body: { subject, keyId: kid, thumbprint: encodeBase64url(digest) } };
    },
  });
}
