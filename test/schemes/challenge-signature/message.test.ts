/** The wire format: what is written is read back, and nothing but it is read. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { parseAuthHeader } from '../../../src/encoding/auth-header.ts';
import { encodeBase64url } from '../../../src/encoding/base64url.ts';
import {
  formatAuthenticationInfo,
  formatChallengeLine,
  formatProof,
  parseProof,
  parseUser,
  signedBytes,
  writeChallenge,
} from '../../../src/schemes/challenge-signature/message.ts';
import { outcomeOf } from '../../support/refused.ts';

const user = fc.stringMatching(/^[A-Za-z0-9._~@+:-]{1,128}$/);
const kid = fc.stringMatching(/^[A-Za-z0-9._~-]{1,64}$/);
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const kind = fc.constantFrom('stored' as const, 'stateless' as const);
const timeMs = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

const parse = (value: string) => {
  const { params } = parseAuthHeader(value);
  return parseProof(parseUser(params), params);
};

test('property: parse(format(proof)) is the proof', () => {
  fc.assert(
    fc.property(user, kid, kind, timeMs, bytes(32), bytes(64), (userId, keyId, kindOf, issuedAtMs, rest, signature) => {
      const challenge = writeChallenge(kindOf, issuedAtMs, rest);
      const header = formatProof({ user: userId, kid: keyId, challenge: encodeBase64url(challenge), signature });
      expect(parse(header)).toEqual({
        user: userId,
        kid: keyId,
        challenge: { kind: kindOf, issuedAtMs, bytes: challenge },
        signature,
      });
    }),
  );
});

test('property: any text is a proof or refused with malformed', async () => {
  const params = fc.record(
    { user: fc.string(), kid: fc.string(), ch: fc.string(), sig: fc.string() },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(params, async (given) => {
      const read = async () => parseProof(parseUser(new Map(Object.entries(given))), new Map(Object.entries(given)));
      expect(['malformed', 'allow']).toContain(await outcomeOf(read()));
    }),
  );
});

test('property: two different proofs never sign the same bytes', () => {
  const request = fc.record({ method: fc.string(), scheme: fc.string(), authority: fc.string(), target: fc.string() });
  const signable = fc.record({ user, kid, challenge: bytes(41), request, digest: fc.oneof(bytes(32), bytes(0)) });
  fc.assert(
    fc.property(signable, signable, (one, other) => {
      fc.pre(JSON.stringify(one) !== JSON.stringify(other));
      const of = (it: typeof one) => encodeBase64url(signedBytes(it, it.challenge, wellFormed(it.request), it.digest));
      expect(of(one)).not.toBe(of(other));
    }),
  );
});

function wellFormed<T extends Record<string, string>>(request: T): T {
  return Object.fromEntries(Object.entries(request).map(([name, text]) => [name, text.toWellFormed()])) as T;
}

describe('what answers carry', () => {
  const next = { challenge: 'A'.repeat(55), expiresAtMs: 1_700_000_030_000 };

  test('www-authenticate without and with error and challenge', () => {
    expect(formatChallengeLine('bank')).toBe('ChallengeSignature realm="bank"');
    expect(formatChallengeLine('bank', 'stale')).toBe('ChallengeSignature realm="bank", error="stale"');
    expect(formatChallengeLine('bank', 'stale', next)).toBe(
      `ChallengeSignature realm="bank", error="stale", challenge="${'A'.repeat(55)}", expires_at=1700000030000`,
    );
  });

  test('authentication-info', () => {
    expect(formatAuthenticationInfo(next)).toBe(`challenge="${'A'.repeat(55)}", expires_at=1700000030000`);
  });

  test('a signature that is not 64 bytes is never written', () => {
    const proof = { user: 'alice', kid: 'k1', challenge: next.challenge, signature: new Uint8Array(63) };
    expect(() => formatProof(proof)).toThrow('64 bytes');
  });
});
