/** Chains and their checkpoints, the state that is kept, and the cases of the vector file that are the client's. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { CountersignError } from '../../../src/core/client-error.ts';
import { hkdfSha512 as serverHkdf, sha512 as serverSha512 } from '../../../src/crypto/digest.ts';
import { fromHex, toHex } from '../../../src/encoding/bytes.ts';
import { loadSha512 } from '../../../src/encoding/sha512.ts';
import {
  type Chain,
  indexOf,
  makeChain,
  spacingOf,
  tokenOf,
} from '../../../src/schemes/time-scrambled/client-chain.ts';
import { hkdfSha512, keyedScrambling, seedScrambling } from '../../../src/schemes/time-scrambled/client-scrambling.ts';
import { formatLane, type Lane, parseLane } from '../../../src/schemes/time-scrambled/client-state.ts';
import { resynchronised } from '../../../src/schemes/time-scrambled/client-steps.ts';
import { type Profile, resyncBytes, xor } from '../../../src/schemes/time-scrambled/message.ts';
import { parityOf, windowOf } from '../../../src/schemes/time-scrambled/message-window.ts';
import * as server from '../../../src/schemes/time-scrambled/scrambling.ts';
import { hex } from '../../support/bytes.ts';
import vectors from '../../vectors/time-scrambled.json' with { type: 'json' };

const sha512 = await loadSha512();
const SECRET = hex(Array.from({ length: 64 }, (_, at) => at.toString(16).padStart(2, '0')).join(''));

function laneWith(chain: Chain, changes: Partial<Lane> = {}): Lane {
  const usual = {
    id: 'client-1',
    windowMs: 30_000,
    maxSkip: 64,
    isEnrolled: true,
    renewal: null,
    old: null,
    resyncs: 0,
  };
  return { ...usual, profile: 'keyed', timeKey: new Uint8Array(32).fill(7), chain, ...changes };
}

describe('a chain', () => {
  test.each([2, 3, 4, 5, 17, 100, 1000])(
    'of length %i has the tokens that hashing gives, its anchor among them',
    (length) => {
      const { chain, anchor } = makeChain(SECRET, length, sha512);
      let token = SECRET;
      for (let index = 1; index <= length; index += 1) {
        token = serverSha512(token);
        expect(toHex(tokenOf(chain, index, sha512))).toBe(toHex(token));
      }
      expect(toHex(anchor)).toBe(toHex(token));
      expect(chain.next).toBe(length - 1);
    },
  );

  test('a token of the longest chain takes at most 256 hashes, of one of 4096 at most 64', () => {
    for (const length of [65_536, 4096]) {
      let hashes = 0;
      const counting = (bytes: Uint8Array) => {
        hashes += 1;
        return sha512(bytes);
      };
      const { chain } = makeChain(SECRET, length, sha512);
      const spacing = Math.sqrt(length);
      for (const index of [1, 2, spacing - 1, spacing, spacing + 1, 2 * spacing - 1, length - 1, length]) {
        hashes = 0;
        tokenOf(chain, index, counting);
        expect(hashes).toBeLessThanOrEqual(spacing);
      }
    }
  });

  test('has no token 0, which would be its secret, and none beyond its anchor', () => {
    const { chain } = makeChain(SECRET, 10, sha512);
    for (const index of [0, -1, 11, 1.5, Number.NaN]) expect(() => tokenOf(chain, index, sha512)).toThrow(RangeError);
  });

  test('a head is found where it lies, and one of another chain nowhere', () => {
    const { chain } = makeChain(SECRET, 100, sha512);
    for (const index of [1, 50, 100]) expect(indexOf(chain, [tokenOf(chain, index, sha512)], sha512)).toBe(index);
    expect(indexOf(chain, [SECRET, new Uint8Array(64)], sha512)).toBeUndefined();
  });
});

test('pads, MACs and lane secrets of both halves agree', async () => {
  const key = new Uint8Array(32).fill(7);
  const [mine, theirs] = [await keyedScrambling(key, 'client-1/3'), server.keyedScrambling(key, 'client-1/3')];
  const seeds = [seedScrambling(sha512), server.seedScrambling] as const;
  for (const purpose of ['x1', 'x2', 'y1'] as const) {
    expect(await mine.pad(purpose, 56_666_667)).toEqual(theirs.pad(purpose, 56_666_667));
    expect(await seeds[0].pad(purpose, 5)).toEqual(seeds[1].pad(purpose, 5));
  }
  expect(await mine.mac?.(SECRET)).toEqual(theirs.mac(SECRET));
  expect(await hkdfSha512(SECRET, 'info', 64)).toEqual(serverHkdf(SECRET, 'info', 64));
});

describe('what is kept of a lane', () => {
  const { chain } = makeChain(SECRET, 100, sha512);
  const renewal = { chain, order: 2, index: 7, isAcknowledged: true } as const;
  const full = laneWith(chain, { renewal, old: { chain, untilMs: 5 }, resyncs: 2 });

  test('is read as it was written', () => {
    for (const lane of [full, laneWith(chain), laneWith(chain, { profile: 'seed', timeKey: null, isEnrolled: false })])
      expect(parseLane(formatLane(lane))).toEqual(lane);
  });

  test('property: damaged in any way it is key_unusable or a lane, never another error', () => {
    const text = formatLane(full);
    const edits = fc.record({
      at: fc.nat({ max: text.length }),
      removed: fc.nat({ max: 5 }),
      inserted: fc.string({ maxLength: 5 }),
    });
    fc.assert(
      fc.property(edits, ({ at, removed, inserted }) => {
        try {
          parseLane(text.slice(0, at) + inserted + text.slice(at + removed));
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(CountersignError);
          expect((thrown as CountersignError).code).toBe('key_unusable');
        }
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ['nothing', ''],
    ['no object', '5'],
    ['null', 'null'],
    ['another version', formatLane(full).replace('"version":1', '"version":2')],
    ['a next token beyond the anchor', formatLane(full).replace('"next":99', '"next":100')],
    ['a chain too long', formatLane(full).replace('"length":100', '"length":65537')],
    ['a keyed chain in use without its time key', formatLane(full).replace(/"timeKey":"[0-9a-f]+"/, '"timeKey":null')],
    ['a seed chain in use with one', formatLane(full).replace('"profile":"keyed"', '"profile":"seed"')],
    ['a time key too short', formatLane(full).replace(/"timeKey":"[0-9a-f]{2}/, '"timeKey":"')],
    ['a time key of no bytes', formatLane(full).replace(/"timeKey":"[0-9a-f]+"/, '"timeKey":""')],
    ['checkpoints of another length', formatLane(full).replace('"length":100', '"length":1000')],
  ])('key_unusable, and never quoted: %s', (_title, text) => {
    expect(() => parseLane(text)).toThrow(expect.objectContaining({ code: 'key_unusable' }));
    expect(() => parseLane(text)).toThrow(
      /^key_unusable: the kept state of the chain is none, or damaged: enrol again$/,
    );
  });
});

interface ResyncCase {
  readonly profile: Profile;
  readonly kt_hex?: string;
  readonly id?: string;
  readonly x1?: string;
  readonly y1: string;
  readonly m: number;
  readonly t_ms?: number;
  readonly a?: string;
  readonly now_ms: number;
  readonly k_hex: string;
  readonly chain_length: number;
  readonly last_revealed: number;
  readonly max_skip?: number;
}

describe('vectors', () => {
  const cases = vectors.cases.filter(({ input }) => input.op === 'client-resync');
  test('there are six', () => expect(cases).toHaveLength(6));

  test.each(cases.map(({ name, input, expect: wanted }) => [name, input, wanted] as const))(
    '%s',
    async (_name, input, wanted) => {
      const given = input as unknown as ResyncCase;
      const expected = wanted as Readonly<Record<string, unknown>>;
      const timeKey = given.kt_hex === undefined ? null : hex(given.kt_hex);
      const scrambling = timeKey === null ? seedScrambling(sha512) : await keyedScrambling(timeKey, given.id ?? '');
      const y1 = hex(given.y1);
      if (scrambling.mac !== null) {
        const message = resyncBytes(given.id ?? '', hex(given.x1 ?? ''), y1, given.t_ms ?? 0);
        const isAuthentic = toHex(await scrambling.mac(message)) === given.a;
        expect(isAuthentic).toBe(expected['authentic']);
        if (!isAuthentic) return;
      }
      const own = windowOf(given.now_ms, 30_000);
      const window = parityOf(own) === given.m ? own : own - 1;
      const head = xor(y1, await scrambling.pad('y1', window));
      const { chain: fresh } = makeChain(hex(given.k_hex), given.chain_length, sha512);
      const chain = { ...fresh, next: given.last_revealed - 1 };
      const lane = laneWith(chain, { profile: given.profile, timeKey, maxSkip: given.max_skip ?? 64 });
      const tools = { sha512, random: (bytes: number) => new Uint8Array(bytes) };
      const after = resynchronised(lane, [head], given.now_ms, tools);
      expect(after.isFound).toBe(expected['enrol'] !== true);
      if (!after.isFound) return;
      expect(toHex(head)).toBe(expected['head']);
      expect(indexOf(chain, [head], sha512)).toBe(expected['index']);
      if (expected['ordinary'] === true)
        expect([after.lane.renewal, after.lane.chain.next]).toEqual([null, expected['next_index']]);
      else expect(after.lane.renewal).toMatchObject({ order: 2, index: expected['rescue_index'] });
    },
  );
});

test('checkpoints lie every square root of the length', () => {
  expect([2, 4, 5, 4096, 65_536].map(spacingOf)).toEqual([2, 2, 3, 64, 256]);
  expect(fromHex(toHex(makeChain(SECRET, 4096, sha512).chain.checkpoints))).toHaveLength(64 * 64);
});
