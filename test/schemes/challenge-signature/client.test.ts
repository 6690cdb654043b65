/** The signer alone: which challenge it signs with, and what it makes of answers. */
import { expect, test } from '@jest/globals';
import type { IssuerConnection, OutgoingRequest, Signer } from '../../../src/core/signer.ts';
import { encodeBase64url } from '../../../src/encoding/base64url.ts';
import { challengeSignature } from '../../../src/schemes/challenge-signature/client.ts';
import { writeChallenge } from '../../../src/schemes/challenge-signature/message.ts';
import { newKey } from './prover.ts';

const REQUEST: OutgoingRequest = {
  method: 'GET',
  scheme: 'https',
  authority: 'api.example.com',
  target: '/',
  body: new Uint8Array(0),
  bodyDigest: new Uint8Array(32),
};
const NOW_MS = 1_700_000_000_000;

const numbered = (n: number) => encodeBase64url(writeChallenge('stateless', NOW_MS, new Uint8Array(32).fill(n)));
const carrying = (n: number, expiresAtMs = NOW_MS + 30_000) =>
  new Map<string, string | number>([
    ['challenge', numbered(n)],
    ['expires_at', expiresAtMs],
  ]);

function setup() {
  const bodies: object[] = [];
  const issuer: IssuerConnection = {
    post: async (_tail, body) => {
      bodies.push(body);
      return { challenge: numbered(100 + bodies.length) };
    },
    parameters: async () => ({}),
    nowMs: () => NOW_MS,
  };
  const signer = challengeSignature({ user: 'alice', kid: 'k1', key: newKey() });
  return { signer, issuer, bodies };
}

async function signedWith(signer: Signer, issuer: IssuerConnection): Promise<string | undefined> {
  const [[, value] = ['', '']] = await signer.sign(REQUEST, issuer);
  return /ch="([^"]*)"/.exec(value)?.[1];
}

test('asks the issuer for its user, and for its tenant when it has one', async () => {
  const { signer, issuer, bodies } = setup();
  expect(await signedWith(signer, issuer)).toBe(numbered(101));
  await challengeSignature({ user: 'bob', kid: 'k1', key: newKey(), tenant: 'acme' }).sign(REQUEST, issuer);
  expect(bodies).toEqual([{ user: 'alice' }, { user: 'bob', tenant: 'acme' }]);
});

test('signs with what an answer brought, once, the newest first', async () => {
  const { signer, issuer, bodies } = setup();
  await signer.accepted(carrying(1), []);
  await signer.refused({ code: 'stale', parameters: carrying(2) }, []);
  expect([await signedWith(signer, issuer), await signedWith(signer, issuer)]).toEqual([numbered(2), numbered(1)]);
  expect(bodies).toEqual([]);
  expect(await signedWith(signer, issuer)).toBe(numbered(101));
});

test('drops what has expired on the server clock, keeps what expires now', async () => {
  const { signer, issuer } = setup();
  await signer.accepted(carrying(1, NOW_MS - 1), []);
  expect(await signedWith(signer, issuer)).toBe(numbered(101));
  await signer.accepted(carrying(2, NOW_MS), []);
  expect(await signedWith(signer, issuer)).toBe(numbered(2));
});

test('keeps the newest eight', async () => {
  const { signer, issuer } = setup();
  for (let n = 1; n <= 20; n += 1) await signer.accepted(carrying(n), []);
  for (let n = 20; n > 12; n -= 1) expect(await signedWith(signer, issuer)).toBe(numbered(n));
  expect(await signedWith(signer, issuer)).toBe(numbered(101));
});

test('ignores answers that bring no challenge, or half of one', async () => {
  const { signer, issuer } = setup();
  await signer.accepted(new Map(), []);
  await signer.accepted(new Map([['challenge', numbered(1)]]), []);
  await signer.accepted(
    new Map<string, string | number>([
      ['challenge', 5],
      ['expires_at', NOW_MS + 1],
    ]),
    [],
  );
  await signer.accepted(
    new Map<string, string | number>([
      ['challenge', numbered(1)],
      ['expires_at', 'soon'],
    ]),
    [],
  );
  expect(await signedWith(signer, issuer)).toBe(numbered(101));
});

test.each([
  ['stale', true],
  ['replayed', true],
  ['signature_invalid', false],
  ['revoked', false],
  ['malformed', false],
  ['not_yet_valid', false],
  ['credentials_missing', false],
  ['rate_limited', false],
  ['unavailable', false],
])('after %s another proof is worth trying: %s', async (code, isWorthIt) => {
  expect(await setup().signer.refused({ code, parameters: new Map() }, [])).toBe(isWorthIt);
});
