/** Guards that another one would hide: each is met here with the other out of the way. */
import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { generateKeyPair, sign, thumbprint } from '../../src/crypto/signatures.ts';
import { encodeBase64url } from '../../src/encoding/base64url.ts';
import { enrolMessage } from '../../src/encoding/enrol-message.ts';
import { createInvitations } from '../../src/users/invitations.ts';
import { AUDIENCE, usersWorld } from './users-world.ts';

interface EnrolCase {
  input: { op: string; aud: string; invitation: string; kid: string; jwk: object };
  expect: { thumbprint: string; signature: string };
}
const { cases } = JSON.parse(readFileSync(new URL('../vectors/common.json', import.meta.url), 'utf8')) as {
  cases: EnrolCase[];
};
const VECTOR = cases.find(({ input }) => input.op === 'enrol-key') as EnrolCase;

const T = 'default';
const ENROL = 'enrol';

function enrolment(aud: string, invitation: string) {
  const { privateJwk, publicJwk } = generateKeyPair('Ed25519');
  const signature = sign(privateJwk, enrolMessage(aud, invitation, 'k1', thumbprint(publicJwk)));
  return { aud, invitation, kid: 'k1', jwk: publicJwk, signature: encodeBase64url(signature) };
}

const invite = { scheme: 'challenge-signature', user: 'alice', replace: false, ttlMs: 60_000 };

test('the enrolment of the vector is accepted end to end, once', async () => {
  const { call, records, store, clock } = usersWorld();
  const random = (count: number) => new Uint8Array(count).fill(0x11);
  const { token } = await createInvitations({ store, records, clock, random }).issue(T, invite);
  const { aud, kid, jwk } = VECTOR.input;
  expect([token, aud]).toEqual([VECTOR.input.invitation, AUDIENCE]);
  const request = { aud, invitation: token, kid, jwk, signature: VECTOR.expect.signature };
  const { status, body } = await call('POST', ENROL, request);
  expect([status, body]).toEqual([201, { subject: 'alice', keyId: kid, thumbprint: VECTOR.expect.thumbprint }]);
  expect((await records.user(T, 'alice'))?.keys).toMatchObject([{ kid, jwk, uses: ['challenge-signature'] }]);
  await expect(call('POST', ENROL, request)).rejects.toMatchObject({ code: 'signature_invalid' });
});

test('refuses with signature_invalid an enrolment that is rightly signed for another deployment, and leaves the invitation', async () => {
  const { call, invitations } = usersWorld();
  const { token } = await invitations.issue(T, invite);
  const other = enrolment('https://other.example.com', token);
  await expect(call('POST', ENROL, other)).rejects.toMatchObject({ code: 'signature_invalid' });
  expect((await call('POST', ENROL, enrolment(AUDIENCE, token))).status).toBe(201);
});

test('refuses an invitation at its end, which is exclusive, though the store still has it', async () => {
  const { invitations, store, clock } = usersWorld();
  const put = store.put.bind(store);
  store.put = (key, value) => put(key, value, Number.POSITIVE_INFINITY);
  const { token, expiresAtMs } = await invitations.issue(T, invite);
  clock.advance(expiresAtMs - clock.nowMs() - 1);
  expect(await invitations.find(T, invite.scheme, token)).not.toBeNull();
  clock.advance(1);
  expect(await invitations.find(T, invite.scheme, token)).toBeNull();
  expect(await invitations.spend(T, invite.scheme, token)).toBeNull();
});

test('an invitation ends with its user also while it is being used: conflict, and who was deleted stays deleted', async () => {
  const { call, invitations, records, store, replica } = usersWorld();
  await call('PUT', '/admin/v1/users', { subject: 'alice' });
  const { token } = await invitations.issue(T, invite);
  const swap = store.swap.bind(store);
  let swaps = 0;
  store.swap = async (...change) => {
    swaps += 1;
    // The first is the index: the invitation is spent by now, and the record not yet written.
    if (swaps === 1) await replica().keys.deleteUser(T, 'alice');
    return swap(...change);
  };
  await expect(call('POST', ENROL, enrolment(AUDIENCE, token))).rejects.toMatchObject({ code: 'conflict' });
  expect(await records.current(T, 'alice')).toMatchObject({ deleted: true, epoch: 1, keys: [] });
});

test('an enrolment that nobody waits for any more is a fault, and leaves the invitation', async () => {
  const { call, invitations } = usersWorld();
  const { token } = await invitations.issue(T, invite);
  const request = enrolment(AUDIENCE, token);
  await expect(call('POST', ENROL, request, AbortSignal.abort())).rejects.toMatchObject({ reason: 'deadline' });
  expect((await call('POST', ENROL, request)).status).toBe(201);
});

test('a damaged invitation is a fault, and nothing of it is told', async () => {
  const { invitations, store } = usersWorld();
  const { token } = await invitations.issue(T, invite);
  store.take = async () => 'alice, not JSON';
  const thrown: unknown = await invitations.spend(T, invite.scheme, token).catch((error: unknown) => error);
  expect(thrown).toMatchObject({ reason: 'protocol', message: expect.not.stringContaining('alice') });
});

test('who lost the key between index and record gives it up with conflict; the other keeps it', async () => {
  const { keys, records, store, replica } = usersWorld();
  const { publicJwk: jwk } = generateKeyPair('Ed25519');
  const key = { kid: 'k1', jwk, scheme: 'challenge-signature', replace: false };
  const other = replica();
  const swap = store.swap.bind(store);
  let swaps = 0;
  store.swap = async (...change) => {
    swaps += 1;
    // The second is the record: the index names alice by now, and bob sees that she lacks the key.
    if (swaps === 2) await other.keys.add(T, 'bob', key);
    return swap(...change);
  };
  await expect(keys.add(T, 'alice', key)).rejects.toMatchObject({ code: 'conflict' });
  expect((await records.current(T, 'alice'))?.keys).toEqual([]);
  expect((await records.current(T, 'bob'))?.keys.map(({ kid }) => kid)).toEqual(['k1']);
  expect(await records.byThumbprint(T, encodeBase64url(thumbprint(jwk)))).toEqual({ user: 'bob', kid: 'k1' });
});
