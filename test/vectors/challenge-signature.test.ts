/** Every case of `challenge-signature.json`: challenges, signed bytes, verdicts. */
import { describe, expect, test } from '@jest/globals';
import type { RoutePolicy } from '../../src/core/request.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { scopedStoreKey } from '../../src/crypto/store-key.ts';
import { encodeBase64url } from '../../src/encoding/base64url.ts';
import { toHex } from '../../src/encoding/bytes.ts';
import { createChallenges } from '../../src/schemes/challenge-signature/challenge.ts';
import { challengeSignature } from '../../src/schemes/challenge-signature/index.ts';
import { signedBytes } from '../../src/schemes/challenge-signature/message.ts';
import { b64, hex } from '../support/bytes.ts';
import { sharedKey, vectorWorld, verdictOf, type VerifyCase } from '../support/vector-world.ts';
import vectors from './challenge-signature.json' with { type: 'json' };

interface ChallengeCase {
  readonly kind: 'stored' | 'stateless';
  readonly ts_ms: number;
  readonly nonce_hex: string;
  readonly user?: string;
  readonly challenge_mac_key_hex?: string;
}
interface CanonicalCase {
  readonly user: string;
  readonly kid: string;
  readonly challenge: string;
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly target: string;
  readonly body_hex: string;
}
interface SignedCase extends VerifyCase {
  readonly settings: { readonly skew_ms: number; readonly lifetime_ms: number; readonly accept: readonly string[] };
  readonly challenge_mac_keys_hex?: readonly string[];
}

const cases = vectors.cases as readonly { name: string; input: { op: string }; expect: Record<string, unknown> }[];
const of = <Input>(op: string) =>
  cases.filter(({ input }) => input.op === op).map(({ name, input, expect: wanted }) => [name, input as Input, wanted] as const);

test('the file has the 57 cases of its specification, of three kinds', () => {
  expect(cases).toHaveLength(57);
  expect(of('challenge').length + of('canonical').length + of('verify').length).toBe(57);
});

describe('challenges', () => {
  test.each(of<ChallengeCase>('challenge'))('%s', (_name, input, wanted) => {
    const { kind, ts_ms: nowMs, nonce_hex: nonce, user = 'alice', challenge_mac_key_hex: macKey = '' } = input;
    const key = sharedKey('challenge-mac', macKey);
    const challenges = createChallenges({ keyring: { active: () => key, usable: () => [key] }, random: () => hex(nonce) });
    const challenge = kind === 'stored' ? challenges.makeStored(nowMs) : challenges.makeStateless('default', user, nowMs);
    expect(encodeBase64url(challenge)).toBe(wanted['challenge']);

    const keyOf = scopedStoreKey('challenge-signature');
    const digest = sha256(challenge);
    expect(keyOf('c', 'default', 'spent', user, digest).text).toBe(wanted['spent_key']);
    if (kind === 'stored') expect(keyOf('o', 'default', 'challenge', user, digest).text).toBe(wanted['store_key']);
  });
});

describe('signed bytes', () => {
  test.each(of<CanonicalCase>('canonical'))('%s', (_name, input, wanted) => {
    const bytes = signedBytes(input, b64(input.challenge), input, sha256(hex(input.body_hex)));
    expect(toHex(bytes)).toBe(wanted['canonical_hex']);
  });
});

describe.each(['sync', 'threadpool'] as const)('verdicts with verification %s', (mode) => {
  test.each(of<SignedCase>('verify'))('%s', async (_name, input, wanted) => {
    const { lifetime_ms: lifetimeMs, accept } = input.settings;
    const keys = (input.challenge_mac_keys_hex ?? []).map((material) => sharedKey('challenge-mac', material));
    const world = await vectorWorld('challenge-signature', input, keys, mode);
    const challengeLimit = { periodMs: 20, burst: 200 };
    const settings = { challenges: 'stored', accept, lifetimeMs, inBand: false, challengeLimit };
    const scheme = challengeSignature.create(settings, world.resources);
    const policy: RoutePolicy = { route: 'api', body: 'required', tenant: 'default', realm: 'countersign', audience: [], options: settings };
    expect(await verdictOf(scheme, input, policy, world)).toMatchObject(wanted);
  });
});
