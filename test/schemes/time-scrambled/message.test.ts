/** The header and the record against whatever bytes arrive: read as written, or refused. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { Denial } from '../../../src/core/decision.ts';
import { Fault } from '../../../src/core/fault.ts';
import { parseAuthHeader } from '../../../src/encoding/auth-header.ts';
import { toHex } from '../../../src/encoding/bytes.ts';
import {
  boundBytes,
  formatProof,
  parseProof,
  profileOf,
  type Proof,
  xor,
} from '../../../src/schemes/time-scrambled/message.ts';
import { type ChainRecord, formatRecord, parseRecord } from '../../../src/schemes/time-scrambled/record.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const name = fc.stringMatching(/^[A-Za-z0-9._~@+:-]{1,128}$/);

const proofs: fc.Arbitrary<Proof> = fc
  .record({
    chain: name,
    lane: fc.option(fc.integer({ min: 1, max: 63 })),
    order: fc.constantFrom(0 as const, 1 as const, 2 as const),
    parity: fc.constantFrom(0 as const, 1 as const),
    index: fc.integer({ min: 1, max: 65_536 }),
    isTold: fc.boolean(),
    isKeyed: fc.boolean(),
    x1: bytes(64),
    x2: bytes(64),
    length: fc.integer({ min: 2, max: 65_536 }),
    commitment: bytes(64),
    binding: bytes(32),
  })
  .map(({ lane, isTold, isKeyed, x2, length, commitment, binding, order, ...rest }) => ({
    ...rest,
    id: lane === null ? rest.chain : `${rest.chain}/${lane}`,
    order,
    index: isTold || isKeyed ? rest.index : null,
    newChain: order === 0 ? null : { x2, length, commitment: isKeyed ? null : commitment },
    binding: isKeyed ? binding : null,
  }));

const REQUEST = { method: 'POST', scheme: 'https', authority: 'a.example', target: '/' };
const NO_DIGEST = new Uint8Array(0);

describe('the header', () => {
  test('property: is read as it was written', () => {
    fc.assert(
      fc.property(proofs, (proof) => {
        const { chain: _, lane: __, ...written } = { lane: undefined, ...proof };
        const read = parseProof(parseAuthHeader(formatProof(written)).params, 65_536);
        expect({ ...read, lane: undefined }).toEqual({ ...proof, lane: undefined });
        expect(profileOf(read)).toBe(proof.binding === null ? 'seed' : 'keyed');
      }),
    );
  });

  test('property: edited in any way it is a proof, or malformed', () => {
    const edits = fc.record({
      proof: proofs,
      at: fc.nat(),
      removed: fc.nat({ max: 4 }),
      inserted: fc.string({ maxLength: 4 }),
    });
    fc.assert(
      fc.property(edits, ({ proof, at, removed, inserted }) => {
        const value = formatProof(proof);
        const start = at % value.length;
        try {
          const params = parseAuthHeader(value.slice(0, start) + inserted + value.slice(start + removed)).params;
          const read = parseProof(params, 65_536);
          expect(parseProof(parseAuthHeader(formatProof(read)).params, 65_536)).toEqual(read);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Denial);
          expect((thrown as Denial).code).toBe('malformed');
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('indices and lengths end at maxChain', () => {
    const params = (index: number) =>
      parseAuthHeader(`TimeScrambled id="a", s=0, m=0, n=${index}, x1="${'00'.repeat(64)}"`).params;
    expect(parseProof(params(100), 100).index).toBe(100);
    expect(() => parseProof(params(101), 100)).toThrow(expect.objectContaining({ code: 'malformed' }));
  });

  test('property: what is bound differs for any two different proofs or windows', () => {
    fc.assert(
      fc.property(proofs, proofs, fc.nat(), fc.nat(), (one, other, window, otherWindow) => {
        const told = ({ id, order, index, x1, newChain }: Proof, at: number) =>
          JSON.stringify([id, order, index ?? 0, toHex(x1), newChain && [toHex(newChain.x2), newChain.length], at]);
        const isSame = told(one, window) === told(other, otherWindow);
        const [a, b] = [
          boundBytes(one, window, REQUEST, NO_DIGEST),
          boundBytes(other, otherWindow, REQUEST, NO_DIGEST),
        ];
        expect(toHex(a) === toHex(b)).toBe(isSame);
      }),
    );
  });
});

test('scrambling twice is not scrambling', () => {
  fc.assert(fc.property(bytes(64), bytes(64), (token, pad) => expect(xor(xor(token, pad), pad)).toEqual(token)));
});

describe('the record', () => {
  const records: fc.Arbitrary<ChainRecord> = fc.record({
    v: fc.nat(),
    id: name,
    user: name,
    epoch: fc.nat(),
    profile: fc.constantFrom('keyed' as const, 'seed' as const),
    head: bytes(64),
    index: fc.option(fc.integer({ min: 1, max: 65_536 })),
    timeKey: fc.option(fc.base64String()),
    pending: fc.option(
      fc.record({
        anchor: bytes(64),
        commitment: bytes(64),
        length: fc.integer({ min: 2, max: 65_536 }),
        at: fc.nat(),
      }),
    ),
    owner: fc.option(fc.base64String()),
    proof: fc.option(fc.base64String()),
    at: fc.nat(),
    isFirstUse: fc.boolean(),
  });

  test('property: is read as it was written, and small', () => {
    fc.assert(
      fc.property(records, (record) => {
        const text = formatRecord(record);
        expect(parseRecord(text)).toEqual(record);
        expect(text.length).toBeLessThan(2000);
      }),
    );
  });

  test('has the members of its specification in their order, first_use only where it applies', () => {
    const [record] = fc.sample(records, 1) as [ChainRecord];
    const members = ['v', 'id', 'user', 'epoch', 'profile', 'h', 'n', 'kt', 'pend', 'owner', 'rx', 'at'];
    expect(Object.keys(JSON.parse(formatRecord({ ...record, isFirstUse: false })) as object)).toEqual(members);
  });

  test('property: damaged in any way it is a record, a fault protocol, or removed; never absent by accident', () => {
    const edits = fc.record({
      record: records,
      at: fc.nat(),
      removed: fc.nat({ max: 4 }),
      inserted: fc.string({ maxLength: 4 }),
    });
    fc.assert(
      fc.property(edits, ({ record, at, removed, inserted }) => {
        const text = formatRecord(record);
        const start = at % text.length;
        try {
          expect(parseRecord(text.slice(0, start) + inserted + text.slice(start + removed))).not.toBeNull();
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Fault);
          expect((thrown as Fault).reason).toBe('protocol');
        }
      }),
      { numRuns: 2000 },
    );
    for (const text of ['', 'null', '5', '[]', '{"v":1}']) expect(() => parseRecord(text)).toThrow(Fault);
    expect(parseRecord('{}')).toBeNull();
  });
});
