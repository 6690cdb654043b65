import { expect, test } from '@jest/globals';
import { algOf, parsePublicJwk, thumbprintInput } from '../../src/encoding/jwk.ts';

const X = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';
const OKP = { kty: 'OKP', crv: 'Ed25519', x: X } as const;
const EC = { kty: 'EC', crv: 'P-256', x: X, y: X } as const;

test('accepts exactly the members of the two kinds of key, in any order', () => {
  expect(parsePublicJwk(OKP)).toEqual(OKP);
  expect(parsePublicJwk({ y: X, x: X, crv: 'P-256', kty: 'EC' })).toEqual(EC);
  expect([algOf(OKP), algOf(EC)]).toEqual(['Ed25519', 'ES256']);
});

test.each([
  ['a private key', { ...OKP, d: X }],
  ['a kid', { ...OKP, kid: 'k1' }],
  ['an alg', { ...EC, alg: 'ES256' }],
  ['y beside Ed25519', { ...OKP, y: X }],
  ['no y', { kty: 'EC', crv: 'P-256', x: X }],
  ['another curve', { ...EC, crv: 'P-384' }],
  ['X25519', { ...OKP, crv: 'X25519' }],
  ['mixed kinds', { kty: 'EC', crv: 'Ed25519', x: X }],
  ['31 bytes', { ...OKP, x: X.slice(0, 42) }],
  ['33 bytes', { ...OKP, x: `${X}A` }],
  ['stray bits', { ...OKP, x: `${X.slice(0, 42)}p` }],
  ['padding', { ...OKP, x: `${X}=` }],
  ['a number', { ...OKP, x: 1 }],
  ['x of a list', { ...OKP, x: [X] }],
  ['a list', [OKP]],
  ['null', null],
  ['text', JSON.stringify(OKP)],
])('refuses a key with %s', (_, value) => {
  expect(parsePublicJwk(value)).toBeUndefined();
});

test('hashes the required members alone, sorted, whatever the order in the object', () => {
  expect(text(thumbprintInput(OKP))).toBe(`{"crv":"Ed25519","kty":"OKP","x":"${X}"}`);
  expect(text(thumbprintInput({ y: X, x: X, kty: 'EC', crv: 'P-256' }))).toBe(
    `{"crv":"P-256","kty":"EC","x":"${X}","y":"${X}"}`,
  );
});

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
