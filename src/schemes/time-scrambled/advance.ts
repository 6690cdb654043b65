/** What an accepted request makes of a chain's record: the head moves on, or gives way to a new chain. Pure; storing it is `state.ts`. */
import { deny } from '../../core/decision.ts';
import { constantTimeEqual } from '../../crypto/equal.ts';
import { hmacSha512 } from '../../crypto/mac.ts';
import { commitmentBytes, xor, type NewChain, type Proof } from './message.ts';
import type { ChainRecord, Pending } from './record.ts';
import type { Scrambling } from './scrambling.ts';

/** A token in its place on the chain. */
export interface Link {
  /** 64 bytes. */
  readonly token: Uint8Array;
  /** By which the token was read. */
  readonly window: number;
  /** From the token to the head, at least 1. */
  readonly links: number;
}

export interface Acceptance {
  readonly owner: string;
  /** Names the proof in the record. */
  readonly proofId: string;
  readonly nowMs: number;
}

export interface Advance {
  readonly next: ChainRecord;
  /** `committed`: the new chain is in force; `pending`: it waits for the next token; `dropped`: it was not the client's. */
  readonly renewal?: 'committed' | 'pending' | 'dropped';
}

/** @throws {Denial} `malformed` for a new chain that begins where the old one is. */
export function advance(
  record: ChainRecord,
  proof: Proof,
  link: Link,
  scrambling: Scrambling,
  acceptance: Acceptance,
): Advance {
  const { token, links } = link;
  const { owner, proofId, nowMs } = acceptance;
  const index = record.index === null ? null : record.index - links;
  const next = { ...record, v: record.v + 1, head: token, index, pending: null, owner, proof: proofId, at: nowMs };
  if (proof.newChain !== null) {
    const anchor = anchorOf(record, proof.newChain, link, scrambling);
    const { length, commitment } = proof.newChain;
    if (commitment === null) return { next: { ...next, head: anchor, index: length }, renewal: 'committed' };
    return { next: { ...next, pending: { anchor, commitment, length, at: nowMs } }, renewal: 'pending' };
  }
  const { pending } = record;
  if (pending === null) return { next };
  if (links !== 1 || !isCommittedBy(token, record.id, pending)) return { next, renewal: 'dropped' };
  return { next: { ...next, head: pending.anchor, index: pending.length }, renewal: 'committed' };
}

function anchorOf(
  { head }: ChainRecord,
  { x2 }: NewChain,
  { token, window }: Link,
  scrambling: Scrambling,
): Uint8Array {
  const anchor = xor(x2, scrambling.pad('x2', window));
  if (constantTimeEqual(anchor, head) || constantTimeEqual(anchor, token))
    deny('malformed', 'a new chain that begins where the old one is');
  return anchor;
}

/** The commitment was made with this token as its key, when nobody else had it. */
function isCommittedBy(token: Uint8Array, id: string, { anchor, length, commitment }: Pending): boolean {
  return constantTimeEqual(hmacSha512(token, commitmentBytes(id, anchor, length)), commitment);
}
