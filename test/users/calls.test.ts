/** Invitations (CT-23), enrolment, and the administrator's calls (CT-24): each effect, each refusal. */
import { describe, expect, test } from '@jest/globals';
import { generateKeyPair, sign, thumbprint } from '../../src/crypto/signatures.ts';
import { encodeBase64url } from '../../src/encoding/base64url.ts';
import { enrolMessage } from '../../src/encoding/enrol-message.ts';
import { outcomeOf } from '../support/refused.ts';
import { AUDIENCE, usersWorld } from './users-world.ts';

const SCHEME = 'challenge-signature';
const T = 'default';
const DAY_MS = 86_400_000;

type World = ReturnType<typeof usersWorld>;

async function invite({ invitations }: World, changes: object = {}): Promise<string> {
  const { token } = await invitations.issue(T, {
    scheme: SCHEME,
    user: 'alice',
    replace: false,
    ttlMs: DAY_MS,
    ...changes,
  });
  return token;
}

/** A client's request to register a fresh key. */
function enrolment(invitation: string, { aud = AUDIENCE, kid = 'k1', pair = generateKeyPair('ES256') } = {}) {
  const message = enrolMessage(aud, invitation, kid, thumbprint(pair.publicJwk));
  return { aud, invitation, kid, jwk: pair.publicJwk, signature: encodeBase64url(sign(pair.privateJwk, message)) };
}

const enrol = (world: World, body: object) => world.call('POST', 'enrol', body);

describe('invitations', () => {
  test('of 64 who spend one concurrently one gets it', async () => {
    const world = usersWorld();
    const token = await invite(world);
    const spent = await Promise.all(Array.from({ length: 64 }, () => world.invitations.spend(T, SCHEME, token)));
    expect(spent.filter((one) => one !== null)).toHaveLength(1);
  });

  test('is nothing for another scheme or tenant, and nothing at its expiry', async () => {
    const { invitations, clock, ...world } = usersWorld();
    const token = await invite({ invitations, clock, ...world });
    expect(await invitations.find(T, 'client-challenge', token)).toBeNull();
    expect(await invitations.find('acme', SCHEME, token)).toBeNull();
    expect(await invitations.find(T, SCHEME, `${token.slice(0, -1)}_`)).toBeNull();
    clock.advance(DAY_MS - 1);
    expect(await invitations.find(T, SCHEME, token)).toMatchObject({ user: 'alice', replace: false });
    clock.advance(1);
    expect(await invitations.find(T, SCHEME, token)).toBeNull();
  });

  test('the store holds its digest, not the token', async () => {
    const world = usersWorld();
    const token = await invite(world);
    expect(JSON.stringify(world.store.calls)).not.toContain(token);
  });

  test.each<[string, (world: World) => Promise<unknown>]>([
    ['deleted', ({ keys }) => keys.deleteUser(T, 'alice')],
    ['revoked', ({ keys }) => keys.raiseEpoch(T, 'alice')],
    ['stripped of all keys', ({ keys }) => keys.withdrawAll(T, 'alice', SCHEME)],
  ])('one that is outstanding ends when its user is %s; one issued afterwards is good', async (_title, end) => {
    const world = usersWorld();
    await world.keys.ensure(T, 'alice');
    const token = await invite(world);
    await end(world);
    expect(await world.invitations.find(T, SCHEME, token)).toBeNull();
    expect(await outcomeOf(enrol(world, enrolment(token)))).toBe('signature_invalid');
    expect((await world.records.user(T, 'alice'))?.keys ?? []).toEqual([]);
    expect((await enrol(world, enrolment(await invite(world)))).status).toBe(201);
  });

  test('one for accounts that name themselves belongs to nobody and ends with nobody', async () => {
    const world = usersWorld();
    const token = await invite(world, { scheme: 'better-auth', user: null });
    expect(await world.invitations.spend(T, 'better-auth', token)).toMatchObject({ user: null });
  });

  test.each(['', 'a', 'x'.repeat(42), '/'.repeat(43), 'ä'.repeat(43)])(
    '%j is none, and costs no lookup',
    async (token) => {
      const { invitations, store } = usersWorld();
      expect(await invitations.spend(T, SCHEME, token)).toBeNull();
      expect(store.calls).toEqual([]);
    },
  );
});

describe('enrolment', () => {
  test('registers the key for the invited user, once', async () => {
    const world = usersWorld();
    const body = enrolment(await invite(world));
    expect(await enrol(world, body)).toEqual({
      status: 201,
      body: { subject: 'alice', keyId: 'k1', thumbprint: encodeBase64url(thumbprint(body.jwk)) },
    });
    expect((await world.records.user(T, 'alice'))?.keys).toMatchObject([
      { kid: 'k1', uses: [SCHEME], expiresAt: null },
    ]);
    expect(world.audited).toEqual([`credentials.${SCHEME}.enrol alice`]);
    expect(await outcomeOf(enrol(world, body))).toBe('signature_invalid');
  });

  test.each<[string, (body: ReturnType<typeof enrolment>) => object]>([
    ['another audience', (body) => ({ ...body, aud: 'https://evil.example.com' })],
    ['another key id than was signed', (body) => ({ ...body, kid: 'k2' })],
    ['another key than signed', (body) => ({ ...body, jwk: generateKeyPair('ES256').publicJwk })],
    ['an invitation that was not signed for', (body) => ({ ...body, invitation: 'A'.repeat(43) })],
    ['a signature of zeros', (body) => ({ ...body, signature: 'A'.repeat(86) })],
  ])('refuses with signature_invalid, and the invitation stays good: %s', async (_title, change) => {
    const world = usersWorld();
    const token = await invite(world);
    expect(await outcomeOf(enrol(world, change(enrolment(token))))).toBe('signature_invalid');
    expect(await world.invitations.find(T, SCHEME, token)).not.toBeNull();
    expect(await world.records.user(T, 'alice')).toBeNull();
  });

  test('refuses with signature_invalid one signed for another deployment', async () => {
    const world = usersWorld();
    const body = enrolment(await invite(world), { aud: 'https://other.example.com' });
    expect(await outcomeOf(enrol(world, { ...body, aud: AUDIENCE }))).toBe('signature_invalid');
  });

  test.each<[string, object]>([
    ['a private key', { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43), d: 'A'.repeat(43) }],
    ['a small-order point', { kty: 'OKP', crv: 'Ed25519', x: 'AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }],
    ['a point off the curve', { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) }],
    ['RSA', { kty: 'RSA', n: 'AAAA', e: 'AQAB' }],
  ])('refuses with malformed, before the invitation is touched: %s', async (_title, jwk) => {
    const world = usersWorld();
    const token = await invite(world);
    world.store.calls.length = 0;
    expect(await outcomeOf(enrol(world, { ...enrolment(token), jwk }))).toBe('malformed');
    expect(world.store.calls).toEqual([]);
  });

  test('a key id or key that is taken is conflict; replace in the invitation gives a new key the id', async () => {
    const world = usersWorld();
    const first = generateKeyPair('Ed25519');
    await enrol(world, enrolment(await invite(world), { pair: first }));
    await expect(enrol(world, enrolment(await invite(world)))).rejects.toMatchObject({ code: 'conflict' });
    await expect(enrol(world, enrolment(await invite(world, { user: 'bob' }), { pair: first }))).rejects.toMatchObject({
      code: 'conflict',
    });
    await expect(enrol(world, enrolment(await invite(world), { pair: first }))).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(await enrol(world, enrolment(await invite(world, { replace: true })))).toMatchObject({ status: 201 });
    expect((await world.records.user(T, 'alice'))?.keys).toHaveLength(1);
  });

  test('does not take away the expiry or the bar that an operator set', async () => {
    const world = usersWorld();
    const pair = generateKeyPair('Ed25519');
    const expiresAtMs = world.clock.nowMs() + 1_000;
    await world.call('PUT', '/admin/v1/credentials/client-challenge', {
      subject: 'alice',
      keyId: 'k1',
      jwk: pair.publicJwk,
      expiresAtMs,
    });
    await world.call('PUT', '/admin/v1/users', { subject: 'alice', disabled: true });
    await enrol(world, enrolment(await invite(world), { pair }));
    expect(await world.records.user(T, 'alice')).toMatchObject({
      disabled: true,
      keys: [{ uses: ['client-challenge', SCHEME], expiresAt: expiresAtMs }],
    });
  });
});

describe('users, by the administrator', () => {
  test('PUT makes (201) and changes (200), absent members stay, ifVersion guards', async () => {
    const world = usersWorld();
    const put = (body: object) => world.call('PUT', '/admin/v1/users', { subject: 'alice', ...body });
    expect(await put({ attributes: { role: 'admin', tags: ['a'], n: 1, on: true } })).toMatchObject({
      status: 201,
      body: {
        subject: 'alice',
        version: 1,
        epoch: 0,
        disabled: false,
        deleted: false,
        attributes: { role: 'admin', tags: ['a'], n: 1, on: true },
        keys: [],
      },
    });
    expect(await put({ disabled: true })).toMatchObject({
      status: 200,
      body: { version: 2, disabled: true, attributes: { role: 'admin' } },
    });
    await expect(put({ disabled: false, ifVersion: 1 })).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(await put({ disabled: false, ifVersion: 2 })).toMatchObject({
      status: 200,
      body: { version: 3, disabled: false },
    });
    await expect(world.call('PUT', '/admin/v1/users', { subject: 'bob', ifVersion: 1 })).rejects.toMatchObject({
      code: 'precondition_failed',
    });
  });

  test.each<[string, object]>([
    ['an unknown member', { subject: 'alice', role: 'admin' }],
    ['no identifier', { subject: 'a/b' }],
    ['the reserved attribute', { subject: 'alice', attributes: { auth: 'x' } }],
    ['an attribute of another type', { subject: 'alice', attributes: { a: { b: 1 } } }],
    ['a list for attributes', { subject: 'alice', attributes: ['x'] }],
    ['attributes above 2 KiB', { subject: 'alice', attributes: { a: 'x'.repeat(2048) } }],
    ['a tenant that is none', { subject: 'alice', tenant: 'A' }],
  ])('PUT takes no request with %s', async (_title, body) => {
    const world = usersWorld();
    await expect(world.call('PUT', '/admin/v1/users', body)).rejects.toThrow('');
    expect(world.store.calls).toEqual([]);
  });

  test('lookup, revoke and delete; 404 for nobody', async () => {
    const world = usersWorld();
    const call = (name: string) => world.call('POST', `/admin/v1/users/${name}`, { subject: 'alice' });
    for (const name of ['lookup', 'revoke', 'delete'])
      await expect(call(name)).rejects.toMatchObject({ code: 'not_found' });
    await world.call('PUT', '/admin/v1/users', { subject: 'alice' });
    expect(await call('revoke')).toEqual({ status: 200, body: { epoch: 1 } });
    expect(await call('lookup')).toMatchObject({ status: 200, body: { epoch: 1 } });
    expect(await call('delete')).toMatchObject({ status: 200 });
    expect(await world.records.user(T, 'alice')).toBeNull();
    await expect(call('delete')).rejects.toMatchObject({ code: 'not_found' });
    // Again for the tombstone: the first attempt may have ended between the two.
    expect(world.forgotten.slice(-2)).toEqual(['default/alice', 'default/alice']);
    expect(world.audited).toEqual(['users.put alice', 'users.revoke alice', 'users.delete alice']);
  });
});

describe('keys, by the administrator', () => {
  const path = `/admin/v1/credentials/${SCHEME}`;
  const { publicJwk: jwk } = generateKeyPair('Ed25519');
  const put = (world: World, body: object = {}) =>
    world.call('PUT', path, { subject: 'alice', keyId: 'k1', jwk, ...body });

  test('PUT makes the user too (201), the same again is 200, another key or user is conflict', async () => {
    const world = usersWorld();
    expect(await put(world)).toEqual({
      status: 201,
      body: { subject: 'alice', keyId: 'k1', thumbprint: encodeBase64url(thumbprint(jwk)) },
    });
    expect(await put(world)).toMatchObject({ status: 200 });
    await expect(put(world, { jwk: generateKeyPair('ES256').publicJwk })).rejects.toMatchObject({ code: 'conflict' });
    await expect(put(world, { subject: 'bob' })).rejects.toMatchObject({ code: 'conflict' });
    expect(await outcomeOf(put(world, { keyId: 'k2', jwk: { ...jwk, kid: 'x' } }))).toBe('malformed');
  });

  test('the same key for a second scheme adds a use; lookup shows only the keys of its scheme', async () => {
    const world = usersWorld();
    await put(world);
    const lookup = (scheme: string) =>
      world.call('POST', `/admin/v1/credentials/${scheme}/lookup`, { subject: 'alice' });
    expect((await lookup('client-challenge')).body['keys']).toEqual([]);
    await world.call('PUT', '/admin/v1/credentials/client-challenge', { subject: 'alice', keyId: 'k1', jwk });
    expect((await lookup('client-challenge')).body['keys']).toMatchObject([
      { keyId: 'k1', uses: [SCHEME, 'client-challenge'] },
    ]);
    expect(JSON.stringify((await lookup(SCHEME)).body)).not.toContain(jwk.x);
  });

  test('revoke of one key leaves the epoch, of all raises it', async () => {
    const world = usersWorld();
    await put(world);
    const revoke = (body: object = {}) => world.call('POST', `${path}/revoke`, { subject: 'alice', ...body });
    await expect(revoke({ keyId: 'k9' })).rejects.toMatchObject({ code: 'not_found' });
    expect(await revoke({ keyId: 'k1' })).toMatchObject({ status: 200 });
    expect(await world.records.user(T, 'alice')).toMatchObject({ epoch: 0, keys: [] });
    await put(world);
    expect(await revoke()).toMatchObject({ status: 200 });
    expect(await world.records.user(T, 'alice')).toMatchObject({ epoch: 1, keys: [] });
  });
});

describe('invites, by the administrator', () => {
  test('the token works for what it was made for', async () => {
    const world = usersWorld();
    const { status, body } = await world.call('POST', '/admin/v1/invites', {
      scheme: SCHEME,
      subject: 'alice',
      ttl: '1h',
    });
    expect([status, body['expiresAtMs']]).toEqual([201, world.clock.nowMs() + 3_600_000]);
    expect(await enrol(world, enrolment(String(body['token'])))).toMatchObject({ status: 201 });
    expect(JSON.stringify(world.audited)).not.toContain(String(body['token']));
  });

  test.each<[string, object]>([
    ['a scheme that is not there', { scheme: 'dpop', subject: 'alice', ttl: '1h' }],
    ['no subject', { scheme: SCHEME, ttl: '1h' }],
    ['a subject where accounts name themselves', { scheme: 'better-auth', subject: 'alice', ttl: '1h' }],
  ])('refuses with malformed: %s', async (_title, body) => {
    expect(await outcomeOf(usersWorld().call('POST', '/admin/v1/invites', body))).toBe('malformed');
  });

  test.each(['59s', '8d', '0s'])('takes no ttl of %s', async (ttl) => {
    await expect(
      usersWorld().call('POST', '/admin/v1/invites', { scheme: SCHEME, subject: 'alice', ttl }),
    ).rejects.toThrow('');
  });
});
