/**
 * The signer of challenge-signature for the client library: obtains challenges, or takes them from answers, and signs each
 * request with one. Sending and repeating is `client/`; the signed bytes are `message.ts`, the same as the verifier's.
 */
import { CountersignError } from '../../core/client-error.ts';
import { within } from '../../core/clock.ts';
import type { HeaderParameters, IssuerConnection, Signer, SigningKey } from '../../core/signer.ts';
import { decodeBase64url } from '../../encoding/base64url.ts';
import { AUTH_SCHEME, formatProof, SCHEME, signedBytes, type IssuedChallenge } from './message.ts';

export interface ChallengeSignatureCredential {
  readonly user: string;
  readonly kid: string;
  readonly key: SigningKey;
  /** Name space of the deployment's user; absent for the default one. */
  readonly tenant?: string;
}

/** Challenges that answers brought and nobody has used yet. As many as a page may have requests in flight. */
const MAX_WAITING = 8;

export function challengeSignature({ user, kid, key, tenant }: ChallengeSignatureCredential): Signer {
  const waiting: IssuedChallenge[] = [];

  /** Newest first: it lives longest. */
  function takeWaiting(nowMs: number): string | undefined {
    const newest = waiting.pop();
    if (newest !== undefined && within(nowMs, newest.expiresAtMs, Number.MAX_SAFE_INTEGER)) return newest.challenge;
    waiting.length = 0; // All others are older still.
    return undefined;
  }

  function keep(params: HeaderParameters): void {
    const challenge = params.get('challenge');
    const expiresAtMs = params.get('expires_at');
    if (typeof challenge !== 'string' || typeof expiresAtMs !== 'number') return;
    waiting.push({ challenge, expiresAtMs });
    if (waiting.length > MAX_WAITING) waiting.shift();
  }

  async function fetchChallenge(issuer: IssuerConnection): Promise<string> {
    const { challenge } = await issuer.post('challenge', { user, ...(tenant !== undefined && { tenant }) });
    if (typeof challenge !== 'string')
      throw new CountersignError('answer_invalid', 'the issuer answered without a challenge');
    return challenge;
  }

  return {
    scheme: SCHEME,
    authScheme: AUTH_SCHEME,
    async sign(request, issuer) {
      const challenge = takeWaiting(issuer.nowMs()) ?? (await fetchChallenge(issuer));
      const bytes = decodeBase64url(challenge);
      if (bytes === undefined)
        throw new CountersignError('answer_invalid', 'the issuer answered with a challenge that is not base64url');
      const signature = await key.sign(signedBytes({ user, kid }, bytes, request, request.bodyDigest));
      return [['authorization', formatProof({ user, kid, challenge, signature })]];
    },
    accepted: keep,
    refused({ code, parameters }) {
      keep(parameters);
      return code === 'stale' || code === 'replayed';
    },
  };
}
