/**
 * Judges one request by the token it carries. What makes a token good is `tokens/verify-access-token.ts`, shared with whatever else
 * takes these tokens; here is only how it travels, and that a token bound to a key is none of ours to accept.
 */
import { deny } from '../../core/decision.ts';
import type { AuthRequest, RoutePolicy } from '../../core/request.ts';
import type { CheckCall, Identity, Resources } from '../../core/scheme.ts';
import type { VerifyAccessToken } from '../../tokens/verify-access-token.ts';
import { bearerToken, SCHEME } from './message.ts';

const CONSUMED = ['authorization'];

export interface VerifyParts {
  readonly limits: Resources['limits'];
  readonly verifyAccessToken: VerifyAccessToken;
}

/**
 * Nothing of the request is covered: whoever holds the token may send any. Does NOT check authorization.
 *
 * @throws {Denial} `credentials_missing` for everything but a `Bearer` value with a dot; then one code per guard of the token's.
 * @throws whatever directory, store and key ring throw; the caller treats that as a fault.
 */
export async function verify(
  { limits, verifyAccessToken }: VerifyParts,
  request: AuthRequest,
  policy: RoutePolicy,
  call: CheckCall,
): Promise<Identity> {
  const text = bearerToken(request.headers.single('authorization')) ?? deny('credentials_missing', 'no Bearer token');
  const { claims, attributes } = await verifyAccessToken(
    text,
    { policy, isBound: false, call, charge: (subject) => limits.credential(request.source, SCHEME, subject) },
    request.receivedAtMs,
  );
  return {
    subject: claims.sub,
    keyId: claims.key,
    attributes:
      claims.public_key === undefined ? attributes : { ...attributes, auth: { public_key: claims.public_key } },
    consumed: CONSUMED,
    coversBody: false,
  };
}
