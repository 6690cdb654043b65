import { expect, test } from '@jest/globals';
import { formatAttributes } from '../../src/encoding/attributes.ts';
import { b64 } from '../support/bytes.ts';

const written = (attributes: Record<string, unknown>) =>
  new TextDecoder().decode(b64(formatAttributes(attributes) ?? ''));

test('has no header for no attributes', () => {
  expect(formatAttributes({})).toBeUndefined();
});

test('sorts members at every depth, integers among them', () => {
  expect(written({ b: 1, a: [{ z: true, y: null }], 10: 'x', 9: 'y', auth: { profile: 'seed' } })).toBe(
    '{"10":"x","9":"y","a":[{"y":null,"z":true}],"auth":{"profile":"seed"},"b":1}',
  );
});

test('leaves out members that are undefined', () => {
  expect(written({ a: undefined, b: 1 })).toBe('{"b":1}');
});

test('keeps text outside ASCII', () => {
  expect(written({ name: 'Zoë "😀"' })).toBe('{"name":"Zoë \\"😀\\""}');
});
