/**
 * The chain itself: does this token hash to the head? SHA-512, 64 bytes each. A token that does is one that nobody could compute from
 * what was seen before.
 */
import { sha512 } from '../../crypto/digest.ts';
import { constantTimeEqual } from '../../crypto/equal.ts';

/**
 * How many links the token lies before the head. Takes `maxSkip` hashes for a token that does not, wherever it comes from: what a
 * refusal costs tells nothing of the chain.
 *
 * @returns 1 to `maxSkip`, or undefined.
 */
export function linksTo(head: Uint8Array, token: Uint8Array, maxSkip: number): number | undefined {
  let link = token;
  for (let links = 1; links <= maxSkip; links += 1) {
    link = sha512(link);
    if (constantTimeEqual(link, head)) return links;
  }
  return undefined;
}

/**
 * Whether a token so many links before the head is the one that it says it is. Index 0 is the client's secret: it is never reached.
 *
 * @param headIndex null when nobody told it, in chains begun by first use.
 * @param index as the client tells it; null when it doesn't.
 */
export function isInPlace(headIndex: number | null, index: number | null, links: number): boolean {
  if (headIndex === null) return true;
  const reached = headIndex - links;
  return reached >= 1 && (index === null || index === reached);
}

/** Whether one of the tokens is the head, or one of the `maxSkip` that were spent before it. */
export function isSpent(head: Uint8Array, tokens: readonly Uint8Array[], maxSkip: number): boolean {
  let spent = head;
  let isFound = false;
  for (let links = 0; links <= maxSkip; links += 1) {
    for (const token of tokens) isFound ||= constantTimeEqual(token, spent);
    spent = sha512(spent);
  }
  return isFound;
}
