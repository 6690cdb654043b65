/** Each guard of a token's judgement, at its bounds. What a library can be made to forge is `foreign.test.ts`. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { StoreFault } from '../../src/core/fault.ts';
import type { RoutePolicy } from '../../src/core/request.ts';
import { hmacSha256 } from '../../src/crypto/mac.ts';
import { encodeBase64url } from '../../src/encoding/base64url.ts';
import { utf8 } from '../../src/encoding/bytes.ts';
import { rotateKey } from '../../src/keys/ring-changes.ts';
import { randomBytes } from '../../src/crypto/random.ts';
import { clientChallenge } from '../../src/schemes/client-challenge/index.ts';
import { createTokenKeys } from '../../src/tokens/token-keys.ts';
import { createVerifyAccessToken } from '../../src/tokens/verify-access-token.ts';
import { carrying, GET, SETTINGS } from '../schemes/client-challenge/prover.ts';
import { checkCall } from '../support/check-call.ts';
import { ringWith } from '../support/key-ring.ts';
import { codeOf, faultOf, outcomeOf } from '../support/refused.ts';
import { createSchemeWorld, SKEW_MS, START_MS, type SchemeWorld, type WorldOptions } from '../support/scheme-world.ts';
import { CACHE_TTL_MS, testUsers, userRecord } from '../support/test-users.ts';
import { claims, ISSUED_AT, part, ringKeyOf, signedToken } from './forge.ts';
import { altered } from '../support/bytes.ts';

const LIFETIME_MS = 600_000;
const KEY = String(claims()['key']);

let world: SchemeWorld;
async function open(settings: object = {}, options: WorldOptions = {}): Promise<SchemeWorld> {
  world = createSchemeWorld(clientChallenge, { settings: { ...SETTINGS, ...settings }, ...options });
  await world.users.save(userRecord('alice', { attributes: { role: 'admin' } }));
  world.store.calls.length = 0;
  return world;
}
beforeEach(() => open());

const judge = (payload: object | string, policy: Partial<RoutePolicy> = {}) =>
  world.judge(carrying(GET, signedToken(ringKeyOf(world), payload)), { policy });
const outcome = (payload: object | string, policy?: Partial<RoutePolicy>) => outcomeOf(judge(payload, policy));

test('names the user, the key that logged in, the current attributes, and that no body is covered', async () => {
  expect(await judge(claims())).toEqual({
    subject: 'alice',
    keyId: KEY,
    attributes: { role: 'admin' },
    consumed: ['authorization'],
    coversBody: false,
  });
});

describe('claims', () => {
  test.each([
    ...['iss', 'aud', 'sub', 'iat', 'exp', 'jti', 'epoch', 'key'].map(
      (name) => [`${name} missing`, { [name]: undefined }] as const,
    ),
    ['another issuer', { iss: 'https://evil.example' }],
    ['our issuer with a slash', { iss: 'https://auth.example.com/' }],
    ['another audience', { aud: 'https://other.example.com' }],
    ['the audience in a list', { aud: ['https://api.example.com'] }],
    ['a subject that is no identifier', { sub: 'a/b' }],
    ['an empty subject', { sub: '' }],
    ['a subject that is a number', { sub: 5 }],
    ['iat as text', { iat: String(ISSUED_AT) }],
    ['iat as a fraction', { iat: ISSUED_AT + 0.5 }],
    ['iat negative', { iat: -1 }],
    ['iat beyond 2^53', { iat: 2 ** 53 }],
    ['exp as text', { exp: String(ISSUED_AT + 600) }],
    ['exp as a fraction', { exp: ISSUED_AT + 599.5 }],
    ['exp negative', { exp: -1 }],
    ['exp beyond 2^53', { exp: 2 ** 53 }],
    ['exp before iat', { exp: ISSUED_AT - 1 }],
    ['jti of 15 bytes', { jti: 'EBESExQVFhcYGRobHB0e' }],
    ['jti not canonical', { jti: 'EBESExQVFhcYGRobHB0eHx' }],
    ['epoch negative', { epoch: -1 }],
    ['epoch as text', { epoch: '0' }],
    ['key of another length', { key: 'AAAA' }],
    ['public_key in upper case', { public_key: `0x${'A'.repeat(64)}` }],
    ['tenant as a number', { tenant: 1 }],
    ['another tenant', { tenant: 'other' }],
    ['cnf empty', { cnf: {} }],
    ['cnf null', { cnf: null }],
    ['cnf of a certificate', { cnf: { 'x5t#S256': KEY } }],
    ['cnf with more than jkt', { cnf: { jkt: KEY, jwk: {} } }],
    ['a second longer than any of ours', { exp: ISSUED_AT + 601 }],
  ])('refuses with signature_invalid: %s', async (_what, changes) => {
    expect(await outcome(claims(changes))).toBe('signature_invalid');
    expect(world.store.calls).toEqual([]);
  });

  test('takes claims of no meaning here, and the tenant default by name', async () => {
    expect(await outcome(claims({ scope: 'x', nbf: 'never', tenant: 'default' }))).toBe('allow');
  });

  test('each audience of the route passes, and none where the route has none', async () => {
    const both = { audience: ['https://a.example', 'https://api.example.com'] };
    expect(await outcome(claims(), both)).toBe('allow');
    expect(await outcome(claims({ aud: 'https://a.example' }), both)).toBe('allow');
    expect(await outcome(claims(), { audience: [] })).toBe('signature_invalid');
  });

  test('what a payload holds besides claims does not matter to its refusal: a list is malformed', async () => {
    expect(await outcome('[]')).toBe('malformed');
    expect(await outcome('{}')).toBe('signature_invalid');
    expect(await outcome('{"sub":{"a":1}}')).toBe('signature_invalid');
  });
});

describe('time', () => {
  const at = async (nowMs: number, changes: Readonly<Record<string, unknown>> = {}) => {
    const call = checkCall();
    const token = signedToken(ringKeyOf(world), claims(changes));
    const keys = createTokenKeys(world.resources);
    const verify = createVerifyAccessToken(world.resources, keys, {
      accounts: 'listed',
      maxLifetimeMs: LIFETIME_MS,
      revoked: undefined,
    });
    const result = await outcomeOf(verify(token, { policy: world.policy(), isBound: false, call, charge() {} }, nowMs));
    return { result, ages: call.ages };
  };

  test.each([
    [-SKEW_MS - 1, 'not_yet_valid'],
    [-SKEW_MS, 'allow'],
    [0, 'allow'],
    [LIFETIME_MS, 'allow'],
    [LIFETIME_MS + SKEW_MS - 1, 'allow'],
    [LIFETIME_MS + SKEW_MS, 'stale'],
  ])('%i ms after it was issued: %s (CT-05)', async (ageMs, wanted) => {
    const { result, ages } = await at(START_MS + ageMs);
    expect(result).toBe(wanted);
    expect(ages).toEqual([ageMs]);
  });

  test('a time too large to be one is no time: not_yet_valid, never an allow', async () => {
    const iat = Number.MAX_SAFE_INTEGER - 600;
    expect((await at(START_MS, { iat, exp: iat + 600 })).result).toBe('not_yet_valid');
    expect((await at(Number.NaN)).result).toBe('not_yet_valid');
  });

  test('exp equal to iat is over when the skew is', async () => {
    expect((await at(START_MS + SKEW_MS - 1, { exp: ISSUED_AT })).result).toBe('allow');
    expect((await at(START_MS + SKEW_MS, { exp: ISSUED_AT })).result).toBe('stale');
  });
});

describe('keys of the ring', () => {
  const PUBLISHED_MS = 10 * 60_000;
  const first = ringWith('token-signing');

  test('next, active and retired ones verify; one past its retireAt and one that is gone are unknown_credential', async () => {
    await open({ maxLifetime: '24h' }, { ring: first });
    const next = { ...first[0]!, ...ringWith('token-signing')[0]!, state: 'next' as const, activateAtMs: null };
    world.ring = [...first, next];
    expect(await outcomeOf(world.judge(carrying(GET, signedToken(next, claims()))))).toBe('allow');

    const nowMs = START_MS + PUBLISHED_MS;
    world.clock.advance(PUBLISHED_MS);
    const { ring } = rotateKey(world.ring as never, { use: 'token-signing', nowMs, random: randomBytes });
    world.ring = ring;
    const old = claims({ exp: ISSUED_AT + 86_400 });
    expect(await outcomeOf(world.judge(carrying(GET, signedToken(first[0]!, old))))).toBe('allow');
    expect(await outcomeOf(world.judge(carrying(GET, signedToken(next, old))))).toBe('allow');

    const retireAtMs = ring.find(({ kid }) => kid === first[0]!.kid)?.retireAtMs ?? 0;
    world.clock.advance(retireAtMs - nowMs - 1);
    expect(await codeOf(world.judge(carrying(GET, signedToken(first[0]!, old))))).toBe('stale');
    world.clock.advance(1);
    expect(await codeOf(world.judge(carrying(GET, signedToken(first[0]!, old))))).toBe('unknown_credential');
    world.ring = ring.filter(({ kid }) => kid !== next.kid);
    expect(await codeOf(world.judge(carrying(GET, signedToken(next, old))))).toBe('unknown_credential');
  });

  test('a key of another use is none of a token: unknown_credential', async () => {
    const other = { ...ringWith('token-signing')[0]!, use: 'access-signing' as const };
    world.ring = [...world.ring, other];
    expect(await codeOf(world.judge(carrying(GET, signedToken(other, claims()))))).toBe('unknown_credential');
  });

  test('an empty ring is unknown_credential, and cannot issue', async () => {
    const token = signedToken(ringKeyOf(world), claims());
    world.ring = [];
    expect(await codeOf(world.judge(carrying(GET, token)))).toBe('unknown_credential');
  });
});

describe('the user', () => {
  test('with another epoch, disabled or deleted: revoked, at once on the replica that was told', async () => {
    expect(await outcome(claims())).toBe('allow');
    await world.users.save(userRecord('alice', { epoch: 1 }));
    expect(await outcome(claims())).toBe('revoked');
    expect(await outcome(claims({ epoch: 1 }))).toBe('allow');
    await world.users.save(userRecord('alice', { epoch: 1, disabled: true }));
    expect(await outcome(claims({ epoch: 1 }))).toBe('revoked');
    await world.users.save(userRecord('alice', { epoch: 1, deleted: true }));
    expect(await outcome(claims({ epoch: 1 }))).toBe('revoked');
  });

  test('on another replica within cacheTtl', async () => {
    const other = testUsers(world.store, world.clock);
    expect(await outcome(claims())).toBe('allow');
    await other.save(userRecord('alice', { epoch: 1 }));
    world.clock.advance(CACHE_TTL_MS - 1);
    expect(await outcome(claims())).toBe('allow');
    world.clock.advance(1);
    expect(await outcome(claims())).toBe('revoked');
  });

  test('who was registered at another replica is in at once, though the name was looked for here before', async () => {
    expect(await outcome(claims({ sub: 'bob' }))).toBe('revoked');
    await testUsers(world.store, world.clock).save(userRecord('bob'));
    expect(await outcome(claims({ sub: 'bob' }))).toBe('allow');
  });

  test('has the attributes of now, not of the login', async () => {
    await world.users.save(userRecord('alice', { attributes: { role: 'guest' } }));
    expect((await judge(claims())).attributes).toEqual({ role: 'guest' });
  });

  test('of whom there is no record: revoked where accounts are listed', async () => {
    expect(await outcome(claims({ sub: 'bob' }))).toBe('revoked');
    expect(await outcome(claims({ sub: KEY }))).toBe('revoked');
  });

  test('of whom there is no record passes where accounts are open, as the key itself and in epoch 0 only', async () => {
    await open({ accounts: 'open' });
    expect(await judge(claims({ sub: KEY }))).toMatchObject({ subject: KEY, attributes: {} });
    expect(await outcome(claims({ sub: KEY, epoch: 1 }))).toBe('revoked');
    expect(await outcome(claims({ sub: 'bob' }))).toBe('revoked');
    await world.users.save(userRecord(KEY, { disabled: true }));
    expect(await outcome(claims({ sub: KEY }))).toBe('revoked');
  });

  test('of another tenant is another user', async () => {
    await world.users.save(userRecord('bob'), 'other');
    expect(await outcome(claims({ sub: 'bob' }))).toBe('revoked');
    expect(await outcome(claims({ sub: 'bob', tenant: 'other' }), { tenant: 'other' })).toBe('allow');
    expect(await outcome(claims({ sub: 'bob' }), { tenant: 'other' })).toBe('signature_invalid');
  });
});

describe('binding', () => {
  const bound = claims({ cnf: { jkt: KEY } });
  const judged = (payload: object, isBound: boolean) => {
    const keys = createTokenKeys(world.resources);
    const verify = createVerifyAccessToken(world.resources, keys, {
      accounts: 'listed',
      maxLifetimeMs: LIFETIME_MS,
      revoked: undefined,
    });
    return verify(
      signedToken(ringKeyOf(world), payload),
      { policy: world.policy(), isBound, call: checkCall(), charge() {} },
      START_MS,
    );
  };

  test('a bound token without a proof, and one that is not bound with a proof, are signature_invalid', async () => {
    expect(await codeOf(judged(bound, false))).toBe('signature_invalid');
    expect(await codeOf(judged(claims(), true))).toBe('signature_invalid');
    expect(await outcome(bound)).toBe('signature_invalid');
  });

  test.each([
    ['nothing', {}],
    ['null', null],
    ['a list', [{ jkt: KEY }]],
    ['text', KEY],
    ['a thumbprint of another length', { jkt: 'AAAA' }],
    ['a certificate', { 'x5t#S256': KEY }],
    ['another means besides', { jkt: KEY, jwk: {} }],
  ])('bound by %s it is signature_invalid with a proof too', async (_what, cnf) => {
    expect(await codeOf(judged(claims({ cnf }), true))).toBe('signature_invalid');
  });

  test('with its proof still to come a bound token is handed on with the key to prove', async () => {
    expect((await judged(bound, true)).claims.cnf).toEqual({ jkt: KEY });
    expect((await judged(claims(), false)).claims.cnf).toBeUndefined();
  });

  test('under DPoP a token is another scheme’s: credentials_missing', async () => {
    for (const word of ['DPoP', 'dpop', 'Token', 'Bearer2'])
      expect(await codeOf(world.judge({ ...GET, headers: [['authorization', `${word} a.b.c`]] }))).toBe(
        'credentials_missing',
      );
  });

  test('Bearer in any case is ours, and a value without a dot is not', async () => {
    const token = signedToken(ringKeyOf(world), claims());
    for (const word of ['Bearer', 'bearer', 'BEARER'])
      expect(await outcomeOf(world.judge({ ...GET, headers: [['authorization', `${word} ${token}`]] }))).toBe('allow');
    for (const value of ['Bearer', `Bearer ${'A'.repeat(43)}`, 'Bearer abc'])
      expect(await codeOf(world.judge({ ...GET, headers: [['authorization', value]] }))).toBe('credentials_missing');
  });
});

describe('cost', () => {
  test('one signature each time, no store write, and a store read only when the user is no longer cached', async () => {
    const verbs: string[][] = [];
    for (let request = 1; request <= 5; request += 1) {
      world.store.calls.length = 0;
      expect(await outcome(claims())).toBe('allow');
      expect(world.verifications).toBe(request);
      verbs.push(world.store.calls.map(({ verb }) => verb));
      if (request === 3) world.clock.advance(CACHE_TTL_MS);
    }
    expect(verbs).toEqual([['get'], [], [], ['get'], []]);
  });

  test('of a stranger of open accounts too: that there is no record is remembered as long', async () => {
    await open({ accounts: 'open' });
    for (let request = 1; request <= 3; request += 1) expect(await outcome(claims({ sub: KEY }))).toBe('allow');
    expect(world.store.calls.map(({ verb }) => verb)).toEqual(['get']);
  });

  test('with revokedTokens a read more', async () => {
    await open({ revokedTokens: true });
    await judge(claims());
    world.store.calls.length = 0;
    await judge(claims());
    expect(world.store.calls.map(({ verb, key }) => [verb, key.slice(0, 2)])).toEqual([['get', 'x:']]);
  });

  test('a token that is refused by its form or signature reads nothing', async () => {
    const genuine = signedToken(ringKeyOf(world), claims());
    for (const token of ['a.b.c', altered(genuine, genuine.length - 20)])
      await outcomeOf(world.judge(carrying(GET, token)));
    expect(world.store.calls).toEqual([]);
  });
});

describe('the store down', () => {
  const down = () => {
    world.store.before = () => {
      throw new StoreFault('down', 'no connection');
    };
  };
  const STALE_MS = 60_000;
  async function openWithGrace(settings: object = {}) {
    await open(settings);
    Object.assign(world.users, testUsers(world.store, world.clock, 'Ed25519', STALE_MS));
  }

  test('while the user is cached nothing is missed; then it is a fault', async () => {
    await judge(claims());
    down();
    expect(await outcome(claims())).toBe('allow');
    world.clock.advance(CACHE_TTL_MS);
    expect((await faultOf(judge(claims()))).reason).toBe('down');
  });

  test('within staleOnFault a cached user passes, on routes with storeFree alone', async () => {
    await openWithGrace();
    await judge(claims());
    down();
    world.clock.advance(CACHE_TTL_MS);
    expect((await faultOf(judge(claims()))).reason).toBe('down');
    expect(await outcome(claims(), { storeFree: true })).toBe('allow');
    world.clock.advance(STALE_MS - 1);
    expect(await outcome(claims(), { storeFree: true })).toBe('allow');
    world.clock.advance(1);
    expect((await faultOf(judge(claims(), { storeFree: true }))).reason).toBe('down');
  });

  test('a user who was never seen, and a stranger of open accounts, get no grace', async () => {
    await openWithGrace({ accounts: 'open' });
    await judge(claims({ sub: KEY }));
    down();
    world.clock.advance(CACHE_TTL_MS);
    expect((await faultOf(judge(claims({ sub: KEY }), { storeFree: true }))).reason).toBe('down');
    expect((await faultOf(judge(claims(), { storeFree: true }))).reason).toBe('down');
  });

  test('a look at single revocations gets no grace', async () => {
    await openWithGrace({ revokedTokens: true });
    await judge(claims());
    down();
    expect((await faultOf(judge(claims(), { storeFree: true }))).reason).toBe('down');
  });

  test('a forgery is refused all the same', async () => {
    down();
    expect(await codeOf(judge(claims({ iss: 'https://evil.example' })))).toBe('signature_invalid');
  });
});

describe('the shared secret', () => {
  const SECRET = 'a secret that other services of ours have too';
  const PUBLIC_KEY = `0x${'ab'.repeat(32)}`;
  const shared = { profiles: ['seed', 'strict'], seedHs256: { secretFile: '/secret', kid: 'seed-1' } };
  const by = (payload: object, header: object = {}, secret = SECRET) => {
    const input = `${part(JSON.stringify({ alg: 'HS256', kid: 'seed-1', typ: 'JWT', ...header }))}.${part(JSON.stringify(payload))}`;
    return outcomeOf(world.judge(carrying(GET, `${input}.${encodeBase64url(hmacSha256(utf8(secret), utf8(input)))}`)));
  };
  const seed = (changes: object = {}) => claims({ public_key: PUBLIC_KEY, exp: ISSUED_AT + 86_400, ...changes });
  beforeEach(() => open(shared, { secrets: { '/secret': SECRET } }));

  test('vouches for tokens of the seed form, which tell the upstream the key', async () => {
    expect(await by(seed())).toBe('allow');
    const input = `${part('{"alg":"HS256","kid":"seed-1","typ":"JWT"}')}.${part(JSON.stringify(seed()))}`;
    const token = `${input}.${encodeBase64url(hmacSha256(utf8(SECRET), utf8(input)))}`;
    expect((await world.judge(carrying(GET, token))).attributes).toEqual({
      role: 'admin',
      auth: { public_key: PUBLIC_KEY },
    });
  });

  test('for nothing else: other forms, tenants and bound tokens are signature_invalid', async () => {
    expect(await by(seed({ public_key: undefined }))).toBe('signature_invalid');
    expect(await by(seed({ tenant: 'default' }))).toBe('signature_invalid');
    expect(await by(seed({ cnf: { jkt: KEY } }))).toBe('signature_invalid');
  });

  test('under its own kid, alg and typ only', async () => {
    expect(await by(seed(), { kid: ringKeyOf(world).kid })).toBe('signature_invalid');
    expect(await by(seed(), { kid: 'seed-2' })).toBe('unknown_credential');
    expect(await by(seed(), { typ: 'at+jwt' })).toBe('signature_invalid');
    expect(await by(seed(), { alg: 'EdDSA' })).toBe('signature_invalid');
    expect(await by(seed(), {}, `${SECRET}x`)).toBe('signature_invalid');
    expect(await outcomeOf(world.judge(carrying(GET, signedToken(ringKeyOf(world), seed(), { kid: 'seed-1' }))))).toBe(
      'signature_invalid',
    );
  });

  test('where none is configured: unknown_credential', async () => {
    await open();
    expect(await by(seed())).toBe('unknown_credential');
  });
});
