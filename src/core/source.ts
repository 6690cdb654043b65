/** Whose request it is, for rate limits and logs: an address, never an identity. */
import { isIpAddress } from './address.ts';

/**
 * The client's address by `x-forwarded-for`, whose last entries come from our own proxies.
 *
 * @param forwardedFor all values of the header, in order.
 * @param trustedHops how many entries, from the right, were written by proxies that are trusted.
 * @param peer the proxy's peer: the answer when there is no such entry, or when it is no address.
 */
export function sourceOf(peer: string, forwardedFor: readonly string[], trustedHops: number): string {
  if (trustedHops === 0) return peer;
  const hop = forwardedFor.join(',').split(',').at(-trustedHops)?.trim();
  return hop !== undefined && isIpAddress(hop) ? hop : peer;
}
