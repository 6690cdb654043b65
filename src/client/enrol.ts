/** Registers a client's own public key by an invitation, for schemes whose users hold keys. */
import { CountersignError } from '../core/client-error.ts';
import type { SigningKey } from '../core/signer.ts';
import { encodeBase64url } from '../encoding/base64url.ts';
import { enrolMessage } from '../encoding/enrol-message.ts';
import { secureOrigin } from './client.ts';
import { createIssuer } from './issuer.ts';
import { thumbprint } from './keys.ts';

export interface Enrolment {
  /** Origin of the API that the client means to join. It is signed, so an invitation lured elsewhere is worthless here. */
  readonly baseUrl: string | URL;
  /** Origin from which the issuer is reached; default: `baseUrl`. */
  readonly issuerUrl?: string | URL;
  /** `challenge-signature`, or another scheme with public keys. */
  readonly scheme: string;
  /** 43 characters; works once. */
  readonly invitation: string;
  /** Name of the key among the user's keys. */
  readonly kid: string;
  readonly key: SigningKey;
  readonly tenant?: string;
  readonly fetch?: typeof fetch;
}

export interface Enrolled {
  /** The user that the invitation was made for. */
  readonly subject: string;
  readonly keyId: string;
  readonly thumbprint: string;
}

/** @throws {CountersignError} `signature_invalid` for an invitation spent, expired or made for another scheme; `conflict` for a key or key id that is taken. */
export async function enrol(enrolment: Enrolment): Promise<Enrolled> {
  const { scheme, invitation, kid, key, tenant } = enrolment;
  const base = secureOrigin(enrolment.baseUrl);
  const send: typeof fetch = enrolment.fetch ?? ((input, init) => fetch(input, init));
  const issuer = createIssuer(secureOrigin(enrolment.issuerUrl ?? base), send).connect(scheme);
  const aud = base.origin;
  const jwk = key.publicJwk;
  const signature = encodeBase64url(await key.sign(enrolMessage(aud, invitation, kid, await thumbprint(jwk))));
  const answer = await issuer.post('enrol', {
    aud,
    invitation,
    kid,
    jwk,
    signature,
    ...(tenant !== undefined && { tenant }),
  });
  return { subject: text(answer['subject']), keyId: text(answer['keyId']), thumbprint: text(answer['thumbprint']) };
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new CountersignError('answer_invalid', 'the issuer answered without the members of an enrolment');
}
