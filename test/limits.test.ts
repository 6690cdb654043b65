/** CT-21. The bucket vector itself is run by vectors/common.test.ts. */
import { describe, expect, test } from '@jest/globals';
import { Denial } from '../src/core/decision.ts';
import type { BucketName, Charge, Limit } from '../src/core/limits.ts';
import { addressBlock, createLimits } from '../src/limits.ts';
import { createFakeClock } from './support/fake-clock.ts';
import { refusalOf, thrownBy } from './support/refusal.ts';

const three: Limit = { periodMs: 1000, burst: 3 };

function setUp(maxBuckets = 100) {
  const clock = createFakeClock(1_700_000_000_000);
  const refused: BucketName[] = [];
  const limits = createLimits({ clock, maxBuckets, perCredential: three, onRefused: (bucket) => refused.push(bucket) });
  return { clock, limits, refused };
}

/** How many charges pass before the first refusal. */
function passes(charge: () => void, most = 1000): number {
  let count = 0;
  while (count < most && refusalOf(charge) === undefined) count++;
  return count;
}

function source(address: string, limit: Limit = three): Charge {
  return { bucket: 'source', limit, key: [address, 'route'] };
}

describe('a bucket', () => {
  test('gives its burst, then one token per period, and is full again after burst periods', () => {
    const { clock, limits } = setUp();
    const charge = () => limits.charge([source('192.0.2.1')]);
    expect(passes(charge)).toBe(3);
    clock.advance(999);
    expect(passes(charge)).toBe(0);
    clock.advance(1);
    expect(passes(charge)).toBe(1);
    clock.advance(3000);
    expect(passes(charge)).toBe(3);
  });

  test.each([
    ['3 per second', { periodMs: 1000 / 3, burst: 7 }],
    ['7 per minute', { periodMs: 60_000 / 7, burst: 100 }],
    ['9999999 per hour', { periodMs: 3_600_000 / 9_999_999, burst: 1000 }],
  ])('of %s gives exactly its burst, whatever the rounding', (_, limit) => {
    const { clock, limits } = setUp();
    clock.advance(123_456_789.123);
    expect(passes(() => limits.charge([source('192.0.2.1', limit)]), 2000)).toBe(limit.burst);
    clock.advance(limit.burst * limit.periodMs);
    expect(passes(() => limits.charge([source('192.0.2.1', limit)]), 2000)).toBe(limit.burst);
  });

  test('has a token again that was given back, and never more than its burst', () => {
    const { limits } = setUp();
    const charge = () => limits.charge([source('192.0.2.1')]);
    expect(passes(charge)).toBe(3);
    limits.refund([source('192.0.2.1')]);
    expect(passes(charge)).toBe(1);
    for (let count = 0; count < 10; count++) limits.refund([source('192.0.2.1'), source('192.0.2.2')]);
    expect(passes(charge)).toBe(3);
    expect(passes(() => limits.charge([source('192.0.2.2')]))).toBe(3);
  });

  test('refuses with rate_limited and the whole seconds to wait, at least 1', () => {
    const { clock, limits } = setUp();
    const slow: Limit = { periodMs: 2500, burst: 1 };
    limits.charge([source('192.0.2.1', slow)]);
    expect(retryAfter(() => limits.charge([source('192.0.2.1', slow)]))).toBe(3);
    clock.advance(2499);
    expect(retryAfter(() => limits.charge([source('192.0.2.1', slow)]))).toBe(1);
    clock.advance(1);
    expect(refusalOf(() => limits.charge([source('192.0.2.1', slow)]))).toBeUndefined();
  });

  test('is neither filled nor emptied by a stepped wall clock', () => {
    const { clock, limits } = setUp();
    expect(passes(() => limits.charge([source('192.0.2.1')]))).toBe(3);
    clock.set(clock.nowMs() + 3_600_000);
    expect(passes(() => limits.charge([source('192.0.2.1')]))).toBe(0);
    clock.set(0);
    clock.advance(1000);
    expect(passes(() => limits.charge([source('192.0.2.1')]))).toBe(1);
  });

  test('says which bucket was empty, once per refusal', () => {
    const { limits, refused } = setUp();
    expect(passes(() => limits.credential('192.0.2.1', 'opaque-pop', 'alice'))).toBe(3);
    expect(refused).toEqual(['credential']);
  });
});

describe('keys', () => {
  test('a bucket emptied from one address leaves the owner at another untouched', () => {
    const { limits } = setUp();
    expect(passes(() => limits.credential('192.0.2.66', 'opaque-pop', 'alice'))).toBe(3);
    expect(passes(() => limits.credential('192.0.2.1', 'opaque-pop', 'alice'))).toBe(3);
  });

  test('scheme, id and bucket are told apart, and no border between parts can be moved', () => {
    const { limits } = setUp();
    const keys: Charge[] = [
      { bucket: 'issuer', limit: three, key: ['192.0.2.1', 'ab', 'c'] },
      { bucket: 'issuer', limit: three, key: ['192.0.2.1', 'a', 'bc'] },
      { bucket: 'issuer', limit: three, key: ['192.0.2.1', 'abc'] },
      { bucket: 'issuer', limit: three, key: ['192.0.2.1'] },
      { bucket: 'challenge', limit: three, key: ['192.0.2.1'] },
    ];
    for (const charge of keys) expect(passes(() => limits.charge([charge]))).toBe(3);
    expect(limits.entries()).toBe(keys.length);
  });

  test('a bound over all addresses is no bucket of an address, though the user is called like one', () => {
    const { limits } = setUp();
    const byUser: Charge = { bucket: 'login', limit: three, key: ['2001:db8::1'], anyAddress: true };
    const byAddress: Charge = { bucket: 'login', limit: three, key: ['2001:db8::1'] };
    expect(passes(() => limits.charge([byUser]))).toBe(3);
    expect(passes(() => limits.charge([byAddress]))).toBe(3);
    expect(passes(() => limits.charge([{ ...byUser, key: ['2001:db8::2'] }]))).toBe(3);
  });

  test('one machine has one bucket: IPv6 addresses of a /64 share theirs', () => {
    const { limits } = setUp();
    const addresses = ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:DB8:1:2:0:0:0:3'];
    for (const address of addresses) limits.charge([source(address)]);
    expect(refusalOf(() => limits.charge([source('2001:db8:1:2::4')]))).toBe('rate_limited');
    expect(refusalOf(() => limits.charge([source('2001:db8:1:3::1')]))).toBeUndefined();
  });

  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:0db8:0000:0000:0000::1', '2001:db8:0:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['1:2:3:4:5:6:7::', '1:2:3:4::/64'],
    ['1::3:4:5:6:7:8', '1:0:3:4::/64'],
    ['::2:3:4:5:6:7:8', '0:2:3:4::/64'],
    ['::1', '0:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['1:2:3:4:5:6:192.0.2.1', '1:2:3:4::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['unix:/run/x', 'unix:/run/x'],
    ['not:an:address', 'not:an:address'],
    ['', ''],
  ])('%j counts as %j', (address, block) => {
    expect(addressBlock(address)).toBe(block);
  });
});

describe('several buckets of one request', () => {
  const narrow: Charge = { bucket: 'login', limit: { periodMs: 1000, burst: 2 }, key: ['192.0.2.1', 'alice'] };
  const wide: Charge = { bucket: 'login', limit: { periodMs: 1000, burst: 5 }, key: ['alice'], anyAddress: true };

  test('a refusal charges none of them, so refused attempts do not drain the wide one', () => {
    const { limits } = setUp();
    expect(passes(() => limits.charge([narrow, wide]))).toBe(2);
    for (let i = 0; i < 100; i++) expect(refusalOf(() => limits.charge([narrow, wide]))).toBe('rate_limited');
    expect(passes(() => limits.charge([wide]))).toBe(3);
  });

  test('a refusal by the wide one leaves the narrow one as it was', () => {
    const { limits } = setUp();
    expect(passes(() => limits.charge([wide]))).toBe(5);
    expect(refusalOf(() => limits.charge([narrow, wide]))).toBe('rate_limited');
    expect(passes(() => limits.charge([narrow]))).toBe(2);
  });

  test('the first empty one, the narrowest, is the one that is told', () => {
    const { limits, refused } = setUp();
    const issuer: Charge = { bucket: 'issuer', limit: three, key: ['192.0.2.1'] };
    passes(() => limits.charge([issuer]));
    passes(() => limits.charge([narrow]));
    refused.length = 0;
    expect(refusalOf(() => limits.charge([narrow, issuer]))).toBe('rate_limited');
    expect(refused).toEqual(['login']);
  });
});

describe('memory', () => {
  test('stays at its cap under a flood of distinct ids', () => {
    const { limits } = setUp(50);
    for (let i = 0; i < 5000; i++) limits.credential('192.0.2.1', 'opaque-pop', `user${i}`);
    expect(limits.entries()).toBe(50);
  });

  test('a bucket that had to go starts full again, and the least recently used goes first', () => {
    const { limits } = setUp(2);
    const charge = (address: string) => () => limits.charge([source(address)]);
    expect(passes(charge('192.0.2.1'))).toBe(3);
    limits.charge([source('192.0.2.2')]);
    // Looked at again, though refused: so the other one is the oldest.
    expect(passes(charge('192.0.2.1'))).toBe(0);
    limits.charge([source('192.0.2.3')]);
    expect(passes(charge('192.0.2.1'))).toBe(0);
    limits.charge([source('192.0.2.4')]);
    limits.charge([source('192.0.2.5')]);
    expect(passes(charge('192.0.2.1'))).toBe(3);
  });
});

function retryAfter(charge: () => void): number | undefined {
  const thrown = thrownBy(charge);
  return thrown instanceof Denial && thrown.code === 'rate_limited' ? thrown.options.retryAfterSeconds : undefined;
}
