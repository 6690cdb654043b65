/** CT-02 and CT-03: what a proof covers can't be read in two ways. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { generateKeyPair, createSignatures, sign } from '../../src/crypto/signatures.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { toHex } from '../../src/encoding/bytes.ts';
import { canonicalRequest } from '../../src/encoding/canonical-request.ts';
import { isLong } from '../support/long.ts';

interface Fields {
  readonly label: string;
  readonly credential: string;
  readonly fresh: Uint8Array;
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly target: string;
  readonly bodyDigest: Uint8Array;
}

const FIELDS = ['label', 'credential', 'fresh', 'method', 'scheme', 'authority', 'target', 'bodyDigest'] as const;

const short = fc.string({ unit: fc.constantFrom('a', 'b', '/', '\u0000', '\u0001', 'é'), maxLength: 6 });
const someBytes = fc.uint8Array({ maxLength: 6 });
const fields: fc.Arbitrary<Fields> = fc.record({
  label: short,
  credential: short,
  fresh: someBytes,
  method: short,
  scheme: short,
  authority: short,
  target: short,
  bodyDigest: someBytes,
});

function canonical({ label, credential, fresh, method, scheme, authority, target, bodyDigest }: Fields): string {
  return toHex(canonicalRequest(label, credential, fresh, { method, scheme, authority, target }, bodyDigest));
}

describe('canonicalRequest', () => {
  test('has equal bytes for equal fields only', () => {
    fc.assert(
      fc.property(fields, fields, (one, other) => {
        expect(canonical(one) === canonical(other)).toBe(
          FIELDS.every((field) => String(one[field]) === String(other[field])),
        );
      }),
    );
  });

  test.each(FIELDS.slice(0, -1).map((field, i) => [field, FIELDS[i + 1]] as const))(
    'changes when a character moves from %s to %s',
    (left, right) => {
      fc.assert(
        fc.property(fields, fc.integer({ min: 0, max: 127 }), (one, unit) => {
          expect(canonical(extend(one, left, unit, 'end'))).not.toBe(
            canonical(extend(one, right as typeof left, unit, 'start')),
          );
        }),
      );
    },
  );

  test.each(FIELDS)('changes when a byte of %s is flipped', (field) => {
    fc.assert(
      fc.property(fields, fc.nat(), fc.integer({ min: 1, max: 127 }), (one, at, flip) => {
        if (one[field].length === 0) return;
        expect(canonical({ ...one, [field]: flipped(one[field], at, flip) })).not.toBe(canonical(one));
      }),
    );
  });
});

describe.each(['Ed25519', 'ES256'] as const)('a signature by %s over it', (alg) => {
  const { privateJwk, publicJwk } = generateKeyPair(alg);
  const { privateJwk: strangerJwk } = generateKeyPair(alg);
  const signatures = createSignatures({ mode: 'sync' });
  const body = sha256('body');

  test('verifies, and does not with any bit of message or signature flipped, nor by another key', () => {
    fc.assert(
      fc.property(fields, fc.nat(), (one, at) => {
        const { method, scheme, authority, target } = one;
        const request = { method, scheme, authority, target };
        const message = canonicalRequest(one.label, one.credential, one.fresh, request, body);
        const signature = sign(privateJwk, message);
        const key = { alg, jwk: publicJwk };
        expect(signatures.verify(key, message, signature)).toBe(true);
        expect(signatures.verify(key, bitFlipped(message, at), signature)).toBe(false);
        expect(signatures.verify(key, message, bitFlipped(signature, at))).toBe(false);
        expect(signatures.verify(key, message, sign(strangerJwk, message))).toBe(false);
      }),
      { numRuns: isLong ? 2000 : 100 },
    );
  });

  test('of any bytes is false, never a throw', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 70 }),
        fc.uint8Array({ minLength: 64, maxLength: 64 }),
        (message, signature) => {
          expect(signatures.verify({ alg, jwk: publicJwk }, message, signature)).toBe(false);
        },
      ),
    );
  });
});

function extend(one: Fields, field: (typeof FIELDS)[number], unit: number, where: 'start' | 'end'): Fields {
  const value = one[field];
  if (typeof value === 'string') {
    const character = String.fromCharCode(unit);
    return { ...one, [field]: where === 'end' ? value + character : character + value };
  }
  return { ...one, [field]: where === 'end' ? Uint8Array.of(...value, unit) : Uint8Array.of(unit, ...value) };
}

function flipped(value: string | Uint8Array, at: number, flip: number): string | Uint8Array {
  const index = at % value.length;
  if (typeof value !== 'string') return value.map((byte, i) => (i === index ? byte ^ flip : byte));
  return value.slice(0, index) + String.fromCharCode(value.charCodeAt(index) ^ flip) + value.slice(index + 1);
}

function bitFlipped(bytes: Uint8Array, at: number): Uint8Array {
  const index = (at >> 3) % bytes.length;
  return Uint8Array.from(bytes, (byte, i) => (i === index ? byte ^ (1 << (at & 7)) : byte));
}
