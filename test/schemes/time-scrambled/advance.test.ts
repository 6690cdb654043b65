/** What an accepted request makes of a record, where no honest client goes. */
import { describe, expect, test } from '@jest/globals';
import { hmacSha512 } from '../../../src/crypto/mac.ts';
import { advance, type Link } from '../../../src/schemes/time-scrambled/advance.ts';
import { commitmentBytes, type Proof, xor } from '../../../src/schemes/time-scrambled/message.ts';
import type { ChainRecord } from '../../../src/schemes/time-scrambled/record.ts';
import { seedScrambling } from '../../../src/schemes/time-scrambled/scrambling.ts';

const bytes = (byte: number) => new Uint8Array(64).fill(byte);
const [HEAD, TOKEN, ANCHOR] = [bytes(1), bytes(2), bytes(3)];
const WINDOW = 7;
const ACCEPTED = { owner: 'check', proofId: 'proof', nowMs: 5 };

const record: ChainRecord = {
  v: 1,
  id: 'a',
  user: 'alice',
  epoch: 0,
  profile: 'seed',
  head: HEAD,
  index: 100,
  timeKey: null,
  pending: null,
  owner: null,
  proof: null,
  at: 0,
  isFirstUse: false,
};
const ordinary: Proof = {
  id: 'a',
  chain: 'a',
  order: 0,
  parity: 1,
  index: null,
  x1: bytes(0),
  newChain: null,
  binding: null,
};
const link = (links: number): Link => ({ token: TOKEN, window: WINDOW, links });
const renewing = (anchor: Uint8Array): Proof => ({
  ...ordinary,
  order: 1,
  newChain: { x2: xor(anchor, seedScrambling.pad('x2', WINDOW)), length: 50, commitment: null },
});

describe('a new chain', () => {
  test.each([
    ['the head', HEAD],
    ['the token', TOKEN],
  ])('that begins with %s is malformed', (_title, anchor) => {
    const run = () => advance(record, renewing(anchor), link(1), seedScrambling, ACCEPTED);
    expect(run).toThrow(expect.objectContaining({ code: 'malformed' }));
  });

  test('that begins with another value takes the place of the old one', () => {
    const { next, renewal } = advance(record, renewing(ANCHOR), link(1), seedScrambling, ACCEPTED);
    expect([next.head, next.index, next.v, renewal]).toEqual([ANCHOR, 50, 2, 'committed']);
  });
});

describe('one that waits', () => {
  const commitment = hmacSha512(TOKEN, commitmentBytes('a', ANCHOR, 50));
  const waiting = { ...record, pending: { anchor: ANCHOR, commitment, length: 50, at: 0 } };

  test('is in force after the very next token, the one that it was committed to', () => {
    const { next, renewal } = advance(waiting, ordinary, link(1), seedScrambling, ACCEPTED);
    expect([next.head, next.index, next.pending, renewal]).toEqual([ANCHOR, 50, null, 'committed']);
  });

  test.each([
    ['after a token further on, whatever its commitment', waiting, 2],
    ['when it was committed to under another chain', { ...waiting, id: 'b' }, 1],
  ])('is dropped %s', (_title, held, links) => {
    const { next, renewal } = advance(held, ordinary, link(links), seedScrambling, ACCEPTED);
    expect([next.head, next.index, next.pending, renewal]).toEqual([TOKEN, 100 - links, null, 'dropped']);
  });
});
