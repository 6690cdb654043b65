/**
 * The bytes that a proof covers: one function for every strict profile, server and client.
 * Headers, trailers and the response are not covered.
 */
import { lpConcat } from './bytes.ts';

/** Method as sent; authority lower case without a default port; target the raw path and query, byte for byte. */
export interface CanonicalParts {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly target: string;
}

/**
 * Eight length-prefixed fields, always all of them, always in this order: two different requests never give equal bytes.
 *
 * @param label the scheme's label: no label serves two purposes.
 * @param credential who: bytes or text as the scheme says.
 * @param fresh what makes it once and now: the scheme's bytes.
 * @param bodyDigest SHA-256 of the complete body (of the empty string when there is none); zero-length under policy `none`.
 */
export function canonicalRequest(
  label: string,
  credential: string | Uint8Array,
  fresh: Uint8Array,
  request: CanonicalParts,
  bodyDigest: Uint8Array,
): Uint8Array {
  const { method, scheme, authority, target } = request;
  return lpConcat(label, credential, fresh, method, scheme, authority, target, bodyDigest);
}
