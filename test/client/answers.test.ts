/** What the client reads out of answer headers, whatever they hold. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { challengeParameters, infoParameters } from '../../src/client/answers.ts';
import { formatAuthHeader } from '../../src/encoding/auth-header.ts';

const read = (value: string, scheme = 'ChallengeSignature') => Object.fromEntries(challengeParameters(value, scheme));

test.each<[string, Record<string, string | number>]>([
  ['', {}],
  ['ChallengeSignature', {}],
  ['ChallengeSignature realm="a", error="stale"', { realm: 'a', error: 'stale' }],
  ['challengesignature realm=a,expires_at=17', { realm: 'a', expires_at: 17 }],
  ['Basic realm="x", ChallengeSignature realm="a"', { realm: 'a' }],
  ['ChallengeSignature realm="a", Basic realm="x", error="y"', { realm: 'a' }],
  [
    'ChallengeSignature realm="Basic realm, ChallengeSignature error=1", error="e"',
    { realm: 'Basic realm, ChallengeSignature error=1', error: 'e' },
  ],
  ['Negotiate YWJj==, ChallengeSignature error="e"', { error: 'e' }],
  ['ChallengeSignature expires_at=99999999999999999999', { expires_at: '99999999999999999999' }],
  ['ChallengeSignature expires_at=007', { expires_at: '007' }],
  ['Bearer error="stale"', {}],
])('of %j', (value, parameters) => {
  expect(read(value)).toEqual(parameters);
});

test('authentication-info has parameters without a scheme', () => {
  expect(Object.fromEntries(infoParameters('challenge="abc", expires_at=5'))).toEqual({
    challenge: 'abc',
    expires_at: 5,
  });
  expect(Object.fromEntries(infoParameters(''))).toEqual({});
});

test('property: reads back what the server writes, among lines of other schemes', () => {
  const text = fc.stringMatching(/^[\x20\x21\x23-\x5b\x5d-\x7e]{0,40}$/);
  fc.assert(
    fc.property(text, text, fc.nat(), (realm, error, n) => {
      const line = formatAuthHeader('ChallengeSignature', { realm, error, expires_at: n });
      const joined = ['Bearer realm="b", error="x"', line, 'Basic realm="c"'].join(', ');
      expect(read(joined)).toEqual({ realm, error, expires_at: n });
    }),
  );
});

test('property: never throws', () => {
  fc.assert(
    fc.property(fc.string(), (value) => expect(challengeParameters(value, 'ChallengeSignature')).toBeDefined()),
  );
});

test('hostile length costs no more than its length', () => {
  for (const hostile of [
    'a'.repeat(200_000),
    'a='.repeat(100_000),
    `a="${'b'.repeat(200_000)}`,
    'a'.repeat(100_000) + ' '.repeat(100_000),
  ]) {
    expect(challengeParameters(hostile, 'x')).toBeDefined();
  }
});
