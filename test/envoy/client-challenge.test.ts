/** client-challenge through a real Envoy, profile `strict`: logins, tokens, what is forged of both, and the store away. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createRemoteJWKSet, exportJWK, generateKeyPair as joseKeyPair, jwtVerify, SignJWT, UnsecuredJWT } from 'jose';
import { clientChallenge, createClient, enrol } from '../../src/client/index.ts';
import type { SigningKey } from '../../src/core/signer.ts';
import { sign } from '../../src/crypto/signatures.ts';
import { utf8 } from '../../src/encoding/bytes.ts';
import { parseRing, type StoredKey } from '../../src/keys/ring.ts';
import { claimsOf, type KeyPair, newKey, strictLogin, thumbprintText } from '../schemes/client-challenge/prover.ts';
import { signedToken } from '../tokens/forge.ts';
import { echoOf, openWorld, upstream, verdictOf, type World } from './world.ts';
import { headerOf, http1, http2, type RawAnswer } from './wire.ts';

describe.each([
  ['newest', 'memory'],
  ['oldest', 'redis'],
] as const)('Envoy %s, store %s', (envoy, store) => {
  let world: World;
  let key: KeyPair;
  let ringKey: StoredKey;

  beforeAll(async () => {
    world = await openWorld({
      envoy,
      store,
      ringUses: ['challenge-mac', 'token-signing'],
      change(config) {
        const { audiences } = config['issuer'] as { audiences: string[] };
        const { redis } = config['store'] as { redis?: object };
        // What is tested is verdicts, on machines that may stall.
        if (redis !== undefined) Object.assign(redis, { commandTimeout: '1s', socketTimeout: '5s' });
        config['issuer'] = { url: audiences[0], audiences };
        // A store that was just adopted refuses what may have been spent before: with no future tolerance, only until now.
        config.schemes['client-challenge'] = { revokedTokens: store === 'memory', future: '0s' };
        config['directory'] = { staleOnFault: '60s' };
        config.routes['api'] = {
          ...config.routes['api'],
          schemes: ['challenge-signature', 'client-challenge'],
          storeFree: 'allow',
        };
      },
    });
    ringKey = parseRing(readFileSync(world.ringFile)).find(({ use }) => use === 'token-signing')!;
    key = newKey();
    await world.admin('PUT', 'credentials/client-challenge', { subject: 'alice', keyId: 'k2', jwk: key.publicJwk });
  }, 60_000);
  afterAll(() => world.stop());

  const signing = (): SigningKey => ({
    alg: 'Ed25519',
    publicJwk: key.publicJwk,
    sign: async (message) => sign(key.privateJwk, message),
  });
  const post = (path: string, body: object) =>
    http1({
      method: 'POST',
      target: path,
      to: world.to,
      headers: [['content-type', 'application/json']],
      body: utf8(JSON.stringify(body)),
    });
  const logIn = (changes: Parameters<typeof strictLogin>[2] = {}) =>
    strictLogin(key, Date.now(), { aud: world.url, ...changes });
  /** On a busy machine the store may be behind for a moment, which is 503 and no verdict. */
  async function token(): Promise<string> {
    for (let attempt = 0; attempt < 50; attempt += 1) {
      const answer = await post('/auth/client-challenge/token', logIn());
      if (answer.status === 200) return (JSON.parse(answer.body) as { token: string }).token;
      if (answer.status !== 503) throw new Error(`login: ${answer.status} ${answer.body}`);
      await new Promise((done) => setTimeout(done, 200));
    }
    throw new Error('no login within ten seconds');
  }
  const send = (value: string, target = '/a') =>
    http1({ method: 'GET', target, to: world.to, headers: [['authorization', value]] });
  const bearer = (text: string) => send(`Bearer ${text}`);
  const nowS = () => Math.floor(Date.now() / 1000);
  const claims = (changes: object = {}) => ({
    iss: world.url,
    aud: world.url,
    sub: 'alice',
    iat: nowS(),
    exp: nowS() + 600,
    jti: 'EBESExQVFhcYGRobHB0eHw',
    epoch: 0,
    key: thumbprintText(key),
    ...changes,
  });

  test('one login lets requests in, and the upstream is told whose they are, that no body was proven, and not the token', async () => {
    let sent = 0;
    const client = createClient({
      baseUrl: world.url,
      signer: clientChallenge({ key: signing() }),
      fetch: (input, init) => {
        if (init?.method === 'POST' && (input as URL).pathname.startsWith('/auth/')) sent += 1;
        return fetch(input, init);
      },
    });
    for (const target of ['/a?x=1', '/b']) {
      const answer = await client.fetch(target, { method: 'PUT', body: '{"amount":50}' });
      const echo = echoOf({ status: answer.status, headers: [], body: await answer.text() });
      expect(echo.target).toBe(target);
      expect(upstream(echo, 'x-auth-subject')).toEqual(['alice']);
      expect(upstream(echo, 'x-auth-scheme')).toEqual(['client-challenge']);
      expect(upstream(echo, 'x-auth-key-id')).toEqual([thumbprintText(key)]);
      expect(upstream(echo, 'x-auth-attributes')).toEqual(['eyJyb2xlIjoiYWRtaW4ifQ']);
      expect(upstream(echo, 'x-auth-body')).toEqual(['none']);
      expect(upstream(echo, 'authorization')).toEqual([]);
    }
    expect(sent).toBe(1);
  });

  test('beside it on the same route a challenge is signed as before, and covers its body', async () => {
    const proof = await world.prove({ method: 'GET', target: '/a' });
    expect(upstream(echoOf(await send(proof)), 'x-auth-body')).toEqual(['verified']);
  });

  test('a foreign verifier needs the published keys alone; who has them already is told so', async () => {
    const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', world.url));
    const { payload } = await jwtVerify(await token(), keys, { issuer: world.url, audience: world.url, typ: 'at+jwt' });
    expect(payload.sub).toBe('alice');
    const get = (headers: [string, string][]) =>
      http1({ method: 'GET', target: '/.well-known/jwks.json', to: world.to, headers });
    const first = await get([]);
    expect(headerOf(first, 'cache-control')).toBe('public, max-age=300');
    const again = await get([['if-none-match', headerOf(first, 'etag') ?? '']]);
    expect([again.status, again.body]).toEqual([304, '']);
    expect((await get([['if-none-match', '"other"']])).status).toBe(200);
  });

  test('an invited client registers a key of its own and logs in with it', async () => {
    const invited = await world.admin('POST', 'invites', { scheme: 'client-challenge', subject: 'bob', ttl: '10m' });
    const own = newKey('ES256');
    const mine: SigningKey = {
      alg: 'ES256',
      publicJwk: own.publicJwk,
      sign: async (message) => sign(own.privateJwk, message),
    };
    const joining = {
      baseUrl: world.url,
      scheme: 'client-challenge',
      invitation: String(invited['token']),
      kid: 'laptop',
      key: mine,
    };
    expect(await enrol(joining)).toMatchObject({ subject: 'bob', thumbprint: thumbprintText(own) });
    const answer = await createClient({ baseUrl: world.url, signer: clientChallenge({ key: mine }) }).fetch('/mine');
    expect(answer.status).toBe(200);
    await world.admin('POST', 'credentials/client-challenge/revoke', { subject: 'bob', keyId: 'laptop' });
    expect(
      verdictOf(await post('/auth/client-challenge/token', strictLogin(own, Date.now(), { aud: world.url }))),
    ).toBe('401 signature_invalid');
  });

  describe('logins', () => {
    test('replayed, from wherever: 401 replayed, and no second token', async () => {
      const body = logIn();
      expect((await post('/auth/client-challenge/token', body)).status).toBe(200);
      for (const answer of await Promise.all([1, 2, 3].map(() => post('/auth/client-challenge/token', body)))) {
        expect(verdictOf(answer)).toBe('401 replayed');
        expect(answer.body).not.toContain('token');
      }
    });

    test('relayed from another site: 401 signature_invalid', async () => {
      const caught = logIn({ aud: 'https://other.example.com' });
      expect(verdictOf(await post('/auth/client-challenge/token', caught))).toBe('401 signature_invalid');
      expect(verdictOf(await post('/auth/client-challenge/token', { ...caught, aud: world.url }))).toBe(
        '401 signature_invalid',
      );
    });

    test('of a stranger, and wrongly signed: byte for byte the same answer but for its id', async () => {
      const wrong = { ...logIn(), nonce: 'A'.repeat(22) };
      const stranger = strictLogin(newKey(), Date.now(), { aud: world.url });
      const [one, other] = await Promise.all(
        [wrong, stranger].map((body) => post('/auth/client-challenge/token', body)),
      );
      const told = ({ status, headers, body }: RawAnswer) => [
        status,
        headers.filter(([name]) => name !== 'date' && name !== 'x-envoy-upstream-service-time'),
        body.replace(/"request":"[^"]*"/, ''),
      ];
      expect(verdictOf(one!)).toBe('401 signature_invalid');
      expect(told(other!)).toEqual(told(one!));
    });

    test('old and ahead: 401 stale and not_yet_valid, with the time of the server', async () => {
      for (const [tsMs, verdict] of [
        [Date.now() - 61_000, '401 stale'],
        [Date.now() + 30_000, '401 not_yet_valid'],
      ] as const) {
        const answer = await post('/auth/client-challenge/token', logIn({ tsMs }));
        expect(verdictOf(answer)).toBe(verdict);
        expect(Math.abs(Number(headerOf(answer, 'auth-server-time')) - Date.now())).toBeLessThan(30_000);
      }
    });

    test('of the profile that is off: 404; of another form: 400 malformed', async () => {
      expect((await post('/auth', {})).status).toBe(404);
      expect(verdictOf(await post('/auth/client-challenge/token', { ...logIn(), kid: 'k1' }))).toBe('400 malformed');
      expect(verdictOf(await post('/auth/client-challenge/token', {}))).toBe('400 malformed');
    });
  });

  describe('tokens', () => {
    test('forged with a library: alg none, the public key as secret, another key, an embedded key, crit', async () => {
      const right = { alg: 'EdDSA', kid: ringKey.kid, typ: 'at+jwt' };
      const { privateKey, publicKey } = await joseKeyPair('EdDSA', { extractable: true });
      const jwk = await exportJWK(publicKey);
      const made = (header: object, by: Parameters<SignJWT['sign']>[0]) =>
        new SignJWT(claims()).setProtectedHeader({ ...right, ...header }).sign(by);
      const publicText = (await (await fetch(`${world.url}/.well-known/jwks.json`)).json()) as {
        keys: [{ x: string }];
      };
      for (const [forged, verdict] of [
        [new UnsecuredJWT(claims()).encode(), '401 malformed'],
        [await made({ alg: 'HS256' }, utf8(publicText.keys[0].x)), '401 signature_invalid'],
        [await made({}, privateKey), '401 signature_invalid'],
        [await made({ kid: 'evil' }, privateKey), '401 signature_invalid'],
        [await made({ jwk }, privateKey), '401 malformed'],
        [await made({ jku: 'https://evil.example/jwks.json' }, privateKey), '401 malformed'],
        [signedToken(ringKey, claims(), { crit: ['exp'] }), '401 malformed'],
        [signedToken(ringKey, `${JSON.stringify(claims()).slice(0, -1)},"sub":"root"}`), '401 malformed'],
        [`${signedToken(ringKey, claims())}=`, '401 malformed'],
      ] as const) {
        const answer = await bearer(forged);
        expect(verdictOf(answer)).toBe(verdict);
        const lines = answer.headers.filter(([name]) => name === 'www-authenticate').map(([, value]) => value);
        expect(lines).toEqual([
          'ChallengeSignature realm="countersign"',
          'Bearer realm="countersign", error="invalid_token"',
        ]);
      }
      echoOf(await bearer(signedToken(ringKey, claims())));
    });

    test('expired: 401 stale with the time of the server; made ahead of it: 401 not_yet_valid', async () => {
      const old = await bearer(signedToken(ringKey, claims({ iat: nowS() - 700, exp: nowS() - 100 })));
      expect(verdictOf(old)).toBe('401 stale');
      expect(Math.abs(Number(headerOf(old, 'auth-server-time')) - Date.now())).toBeLessThan(30_000);
      expect(verdictOf(await bearer(signedToken(ringKey, claims({ iat: nowS() + 60, exp: nowS() + 660 }))))).toBe(
        '401 not_yet_valid',
      );
    });

    test('for another site, issuer or tenant, or bound to a key: 401 signature_invalid', async () => {
      for (const changes of [
        { aud: 'https://other.example.com' },
        { iss: 'https://evil.example' },
        { tenant: 'other' },
        { cnf: { jkt: thumbprintText(key) } },
      ]) {
        expect(verdictOf(await bearer(signedToken(ringKey, claims(changes))))).toBe('401 signature_invalid');
      }
    });

    test('twice, in whatever case and protocol: refused, never one of them taken', async () => {
      const value = `Bearer ${await token()}`;
      const headers = [
        ['authorization', value],
        ['authorization', value],
      ] as const;
      const request = { method: 'GET', target: '/a', to: world.to, headers };
      for (const answer of [await http1(request), await http2(request)])
        expect(verdictOf(answer)).toBe('401 malformed');
      expect(verdictOf(await send(`${value}, ${value}`))).toBe('401 malformed');
    });

    test('none, or under another word: 401 credentials_missing with every way in', async () => {
      for (const value of ['Basic YTpi', 'DPoP a.b.c', 'Bearer opaque']) {
        const answer = await send(value);
        expect(verdictOf(answer)).toBe('401 credentials_missing');
        expect(headerOf(answer, 'www-authenticate')).not.toContain('error');
      }
    });

    test('above 4096 characters: 413', async () => {
      expect(verdictOf(await bearer(`${await token()}${'A'.repeat(4096)}`))).toBe('413 malformed');
    });

    if (store === 'memory') {
      test('one of them revoked by the administrator: 401 revoked, the other passes', async () => {
        const [one, other] = [await token(), await token()];
        const { jti, exp } = claimsOf(one);
        await world.admin('POST', 'client-challenge/revoke-token', {
          jti: String(jti),
          expiresAtMs: Number(exp) * 1000,
        });
        expect(verdictOf(await bearer(one))).toBe('401 revoked');
        echoOf(await bearer(other));
        const audited = (await world.log()).split('\n').find((line) => line.includes('client-challenge.revoke-token'));
        expect(JSON.parse(audited ?? '{}')).toMatchObject({ event: 'audit', target_hash: expect.any(String) });
      });
    }

    test('all of a user revoked: 401 revoked, and a new login passes', async () => {
      const before = await token();
      echoOf(await bearer(before));
      await world.admin('POST', 'users/revoke', { subject: 'alice' });
      expect(verdictOf(await bearer(before))).toBe('401 revoked');
      const after = await token();
      echoOf(await bearer(after));
      await world.admin('PUT', 'users', { subject: 'alice', disabled: true });
      expect(verdictOf(await bearer(after))).toBe('401 revoked');
      expect(verdictOf(await post('/auth/client-challenge/token', logIn()))).toBe('401 revoked');
      await world.admin('PUT', 'users', { subject: 'alice', disabled: false });
      echoOf(await bearer(after));
    });
  });

  test('neither log nor metrics hold a token, a nonce, a signature or a jti', async () => {
    const body = logIn();
    const answer = JSON.parse((await post('/auth/client-challenge/token', body)).body) as { token: string };
    echoOf(await bearer(answer.token));
    await bearer(`${answer.token}x`);
    await post('/auth/client-challenge/token', body);
    const told = `${await world.log()}${await world.metrics()}`;
    expect(told).toContain('client-challenge');
    const secrets = [
      ...answer.token.split('.').slice(1),
      body['nonce'],
      body['signature'],
      claimsOf(answer.token)['jti'],
    ];
    for (const secret of secrets) expect(told).not.toContain(secret);
  });

  if (store === 'redis') {
    test('with Redis away a token is 503, or passes for a while on a route that says so; a login is 503', async () => {
      const text = await token();
      echoOf(await bearer(text));
      await world.redis?.kill();
      // The user is cached for 5 s; then the grace of the route is all there is.
      await new Promise((done) => setTimeout(done, 5_500));
      echoOf(await bearer(text));
      expect(verdictOf(await post('/auth/client-challenge/token', logIn()))).toBe('503 unavailable');
      expect(verdictOf(await bearer(`${text.slice(0, -4)}AAAA`))).toMatch(/^401 (malformed|signature_invalid)$/);
      await world.reconfigure((config) => {
        config.routes['api'] = { ...config.routes['api'], storeFree: 'deny' };
        config['directory'] = {};
      });
      const answer = await bearer(text);
      expect(verdictOf(answer)).toBe('503 unavailable');
      expect(Number(headerOf(answer, 'retry-after'))).toBeGreaterThanOrEqual(1);
      await world.redis?.restart();
    }, 60_000);
  }
});
