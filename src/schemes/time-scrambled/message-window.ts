/**
 * Time as both sides count it: numbered windows of W milliseconds, of which a message tells only the parity. From it and its own clock
 * the reader guesses the window in which the message was made.
 */

export type Parity = 0 | 1;

/** Number of the window that holds this instant. */
export function windowOf(atMs: number, windowMs: number): number {
  return Math.floor(atMs / windowMs);
}

export function parityOf(window: number): Parity {
  return window % 2 === 0 ? 0 : 1;
}

/**
 * Windows in which the client may have been, at most two. Parity never confuses windows that are two or more apart: none of the
 * candidates is then the client's, and its token comes out as noise.
 *
 * | parity | exact | with `allowAhead` |
 * |---|---|---|
 * | ours | our window | our window |
 * | the other | the one before | the one before, the one after |
 */
export function candidates(ownWindow: number, parity: Parity, allowAhead: boolean): readonly number[] {
  if (parityOf(ownWindow) === parity) return [ownWindow];
  const after = allowAhead ? [ownWindow + 1] : [];
  return ownWindow === 0 ? after : [ownWindow - 1, ...after];
}
