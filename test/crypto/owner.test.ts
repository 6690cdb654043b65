import { expect, test } from '@jest/globals';
import { checkOwner } from '../../src/crypto/owner.ts';

test('names one Check: another id, second or nanosecond is another owner', () => {
  const owners = [
    checkOwner('1', 1_700_000_000, 0),
    checkOwner('2', 1_700_000_000, 0),
    checkOwner('1', 1_700_000_001, 0),
    checkOwner('1', 1_700_000_000, 1),
    checkOwner('11', 700_000_000, 0),
  ];
  expect(new Set(owners).size).toBe(owners.length);
  expect(owners.every((owner) => /^[A-Za-z0-9_-]{22}$/.test(owner))).toBe(true);
  expect(checkOwner('1', 1_700_000_000n, 0)).toBe(owners[0]);
});

test.each([
  [-1n, 0],
  [0, -1],
  [0.5, 0],
  [0, 2 ** 32],
])('refuses the time %p s, %p ns instead of cutting it', (seconds, nanos) => {
  expect(() => checkOwner('1', seconds, nanos)).toThrow(/u32|u64/);
});
