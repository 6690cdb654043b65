/**
 * What a proof covers of a request's body, by the route's policy. How a body comes to be complete or not is the front's
 * (`envoy/decode-request.ts`); digests are the scheme's.
 */
import { deny } from './decision.ts';
import type { AuthRequest, RoutePolicy } from './request.ts';

const NO_BYTES = new Uint8Array(0);

/**
 * @returns the bytes whose SHA-256 is signed, empty for an absent body; null under policy `none`, where the field is zero-length,
 *   so that a proof made for a route without body never verifies on one with.
 * @throws {Denial} `body_unverifiable` when the policy needs a body that is not proven whole. `digest` counts as `required`:
 *   only proofs that cover a digest header can do with less.
 */
export function coveredBody(request: AuthRequest, policy: RoutePolicy): Uint8Array | null {
  if (policy.body === 'none') return null;
  const { body } = request;
  if (body.kind === 'complete') return body.bytes;
  if (body.kind === 'absent') return NO_BYTES;
  return deny('body_unverifiable', `the body is not proven whole: ${body.why}`, {
    oversized: body.why === 'partial' || body.why === 'at_limit',
  });
}
