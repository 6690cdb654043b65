/** The wire of the header form: what is written is read again, what differs is signed differently. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { Denial } from '../../../src/core/decision.ts';
import { parseAuthHeader } from '../../../src/encoding/auth-header.ts';
import { toHex } from '../../../src/encoding/bytes.ts';
import {
  formatHeaderProof,
  headerSignedBytes,
  parseHeaderProof,
} from '../../../src/schemes/better-auth/message-header.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.split('');
const word = (length: number) =>
  fc.array(fc.constantFrom(...ALPHABET), { minLength: length, maxLength: length }).map((all) => all.join(''));
const proofs = fc.record({
  token: fc.integer({ min: 90, max: 200 }).chain(word),
  timestampMs: fc.maxSafeNat(),
  nonce: word(22).map((text) => `0A${text}`),
  signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
});

test('property: parse(format(proof)) is the proof', () => {
  fc.assert(
    fc.property(proofs, (proof) => {
      const read = parseHeaderProof(parseAuthHeader(formatHeaderProof(proof)).params);
      expect({ ...read, signature: toHex(read.signature) }).toEqual({ ...proof, signature: toHex(proof.signature) });
    }),
  );
});

test('property: whatever the parameters hold, it is a proof or malformed', () => {
  const value = fc.oneof(fc.string(), fc.double(), word(88), word(24), word(100));
  const params = fc.dictionary(fc.constantFrom('token', 'ts', 'nonce', 'sig', 'more'), value);
  fc.assert(
    fc.property(params, (given) => {
      try {
        parseHeaderProof(new Map(Object.entries(given)));
      } catch (thrown) {
        if (!(thrown instanceof Denial)) throw thrown;
        expect(thrown.code).toBe('malformed');
      }
    }),
  );
});

test('property: two different requests, times, nonces or tokens never have the same bytes, and all begin with a zero byte', () => {
  const signed = fc.record({
    digest: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    timestampMs: fc.nat({ max: 3 }),
    nonce: fc.constantFrom(`0A${'A'.repeat(22)}`, `0A${'B'.repeat(22)}`),
    method: fc.constantFrom('GET', 'POST', 'GE'),
    scheme: fc.constantFrom('http', 'https'),
    authority: fc.constantFrom('a.example', 'a.exampl', 'Ta.example'),
    target: fc.constantFrom('/', '/a', 'e/', '/a?b'),
    body: fc.constantFrom(new Uint8Array(32), new Uint8Array(32).fill(1), new Uint8Array(0)),
  });
  const bytesOf = ({
    digest,
    body,
    timestampMs,
    nonce,
    ...request
  }: typeof signed extends fc.Arbitrary<infer T> ? T : never) =>
    toHex(headerSignedBytes(digest, { timestampMs, nonce }, request, body));
  fc.assert(
    fc.property(signed, signed, (one, other) => {
      const isSame = JSON.stringify(plain(one)) === JSON.stringify(plain(other));
      expect(bytesOf(one) === bytesOf(other)).toBe(isSame);
      expect(bytesOf(one).startsWith('00')).toBe(true);
    }),
  );
});

function plain(value: object): object {
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, ArrayBuffer.isView(one) ? toHex(one as Uint8Array) : one]),
  );
}
