/** The signer: when it logs in, what it keeps, and what it makes of refusals; alone, and within the client against a real server. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { clientChallenge, createClient } from '../../../src/client/index.ts';
import { CountersignError } from '../../../src/core/client-error.ts';
import type { IssuerConnection, OutgoingRequest, Signer, SigningKey } from '../../../src/core/signer.ts';
import { createSignatures, sign, thumbprint } from '../../../src/crypto/signatures.ts';
import { clientChallenge as definition } from '../../../src/schemes/client-challenge/index.ts';
import { signedBytes } from '../../../src/schemes/client-challenge/message.ts';
import { b64 } from '../../support/bytes.ts';
import { type Gateway, openGateway } from '../../support/gateway.ts';
import { createSchemeWorld, START_MS } from '../../support/scheme-world.ts';
import { userKey, userRecord } from '../../support/test-users.ts';
import { AUDIENCE, type KeyPair, NAME, newKey, registered, SETTINGS } from './prover.ts';

const REQUEST: OutgoingRequest = {
  method: 'GET',
  scheme: 'https',
  authority: 'api.example.com',
  target: '/',
  body: new Uint8Array(0),
  bodyDigest: new Uint8Array(32),
};

const signing = ({ privateJwk, publicJwk }: KeyPair): SigningKey => ({
  alg: publicJwk.kty === 'OKP' ? 'Ed25519' : 'ES256',
  publicJwk,
  sign: async (message) => sign(privateJwk, message),
});

type Login = Readonly<Record<string, unknown>>;

/** @param answer to each login. */
function setup(answer: (login: Login, count: number) => object | Promise<object> = (_login, count) => granted(count)) {
  const key = newKey();
  const logins: Login[] = [];
  const at = { nowMs: START_MS };
  const issuer: IssuerConnection = {
    post: async (_tail, body) => {
      logins.push(body as Login);
      return (await answer(body as Login, logins.length)) as Login;
    },
    parameters: async () => ({}),
    nowMs: () => at.nowMs,
  };
  return { key, signer: clientChallenge({ key: signing(key) }), issuer, logins, at };
}

const granted = (count: number, expiresAtMs = START_MS + 600_000) => ({
  token: `t${count}.b.c`,
  tokenType: 'Bearer',
  expiresAtMs,
});
async function headerOf(signer: Signer, issuer: IssuerConnection, request = REQUEST): Promise<string> {
  const [[name, value] = ['', '']] = await signer.sign(request, issuer);
  expect(name).toBe('authorization');
  return value;
}

describe('the signer', () => {
  test('logs in by a signature over site, key, time and a nonce of its own each time', async () => {
    const { key, signer, issuer, logins } = setup();
    expect(await headerOf(signer, issuer)).toBe('Bearer t1.b.c');
    const [{ nonce, signature, ...rest } = {}] = logins;
    expect(rest).toEqual({ aud: AUDIENCE, jwk: key.publicJwk, ts: START_MS });
    const bytes = signedBytes({
      aud: AUDIENCE,
      thumbprint: thumbprint(key.publicJwk),
      tsMs: START_MS,
      nonce: b64(String(nonce)),
    });
    const verifier = createSignatures({ mode: 'sync' });
    expect(verifier.verify({ alg: 'Ed25519', jwk: key.publicJwk }, bytes, b64(String(signature)))).toBe(true);
    await clientChallenge({ key: signing(key), tenant: 'acme' }).sign(REQUEST, issuer);
    expect(logins[1]).toMatchObject({ tenant: 'acme' });
    expect(logins[1]?.['nonce']).not.toBe(nonce);
  });

  test('keeps the token until 20 s before its end on the server clock, then logs in again', async () => {
    const { signer, issuer, logins, at } = setup((_login, count) => granted(count, at.nowMs + 600_000));
    for (const [nowMs, wanted] of [
      [START_MS, 't1'],
      [START_MS + 580_000, 't1'],
      [START_MS + 580_001, 't2'],
    ] as const) {
      at.nowMs = nowMs;
      expect(await headerOf(signer, issuer)).toBe(`Bearer ${wanted}.b.c`);
    }
    expect(logins).toHaveLength(2);
  });

  test('shares one login among all who wait', async () => {
    const { signer, issuer, logins } = setup();
    const headers = await Promise.all(Array.from({ length: 20 }, () => headerOf(signer, issuer)));
    expect(new Set(headers)).toEqual(new Set(['Bearer t1.b.c']));
    expect(logins).toHaveLength(1);
  });

  test('tells all who wait when the login is refused, and tries again for the next', async () => {
    const { signer, issuer, logins } = setup((_login, count) => {
      if (count === 1) throw new CountersignError('revoked', 'no');
      return granted(count);
    });
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => headerOf(signer, issuer)));
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(logins).toHaveLength(1);
    expect(await headerOf(signer, issuer)).toBe('Bearer t2.b.c');
  });

  test.each<[string, Error]>([
    ['as usual', new DOMException('given up', 'AbortError')],
    ['for a reason of its own', new Error('the user left')],
  ])('a request that is given up %s takes nobody with it: the next one logs in', async (_how, reason) => {
    const { signer, issuer, logins } = setup((_login, count) => {
      if (count === 1) throw reason;
      return granted(count);
    });
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => headerOf(signer, issuer)));
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(logins).toHaveLength(2);
  });

  test('an issuer that does not answer is told to all who wait', async () => {
    const { signer, issuer, logins } = setup(() => {
      throw new TypeError('fetch failed');
    });
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => headerOf(signer, issuer)));
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(logins).toHaveLength(1);
  });

  test('a token for one site is never sent to another', async () => {
    const { signer, issuer, logins } = setup();
    expect(await headerOf(signer, issuer)).toBe('Bearer t1.b.c');
    expect(await headerOf(signer, issuer, { ...REQUEST, authority: 'b.example' })).toBe('Bearer t2.b.c');
    expect(await headerOf(signer, issuer)).toBe('Bearer t1.b.c');
    expect(logins.map(({ aud }) => aud)).toEqual([AUDIENCE, 'https://b.example']);
  });

  test.each([
    ['stale', true, 2],
    ['revoked', false, 2],
    ['signature_invalid', false, 2],
    ['not_yet_valid', false, 1],
    ['malformed', false, 1],
    ['rate_limited', false, 1],
    ['unavailable', false, 1],
    ['credentials_missing', false, 1],
  ])(
    'after %s another proof is worth trying: %s; logins in all with the next request: %i',
    async (code, isWorthIt, logged) => {
      const { signer, issuer, logins } = setup();
      const sent = await signer.sign(REQUEST, issuer);
      expect(await signer.refused({ code, parameters: new Map() }, sent)).toBe(isWorthIt);
      await headerOf(signer, issuer);
      expect(logins).toHaveLength(logged);
    },
  );

  test('a refusal of an old token leaves the new one alone', async () => {
    const { signer, issuer, logins } = setup();
    const old = await signer.sign(REQUEST, issuer);
    await signer.refused({ code: 'stale', parameters: new Map() }, old);
    expect(await headerOf(signer, issuer)).toBe('Bearer t2.b.c');
    await signer.refused({ code: 'stale', parameters: new Map() }, old);
    expect(await headerOf(signer, issuer)).toBe('Bearer t2.b.c');
    expect(logins).toHaveLength(2);
  });

  test.each([['stale'], ['not_yet_valid']] as const)(
    'a login that is %s is repeated once, by the clock that the refusal told',
    async (code) => {
      const { signer, issuer, logins, at } = setup((_login, count) => {
        if (count === 2) return granted(count);
        at.nowMs = START_MS + 3_600_000; // What the library does with the refusal's time.
        throw new CountersignError(code, 'no');
      });
      expect(await headerOf(signer, issuer)).toBe('Bearer t2.b.c');
      expect(logins.map(({ ts }) => ts)).toEqual([START_MS, START_MS + 3_600_000]);
      const always = setup(() => {
        throw new CountersignError(code, 'no');
      });
      await expect(headerOf(always.signer, always.issuer)).rejects.toMatchObject({ code });
      expect(always.logins).toHaveLength(2);
    },
  );

  test.each([
    ['no token', {}],
    ['a token that is bound to a key', { ...granted(1), tokenType: 'DPoP' }],
    ['an end that is no time', { ...granted(1), expiresAtMs: '1700000000000' }],
  ])('an answer with %s is answer_invalid, and nothing is sent', async (_what, answer) => {
    const { signer, issuer } = setup(() => answer);
    await expect(headerOf(signer, issuer)).rejects.toMatchObject({ code: 'answer_invalid' });
  });
});

describe('within the client', () => {
  const opened: Gateway[] = [];
  afterEach(() => Promise.all(opened.splice(0).map((gateway) => gateway.close())));

  async function open() {
    const world = createSchemeWorld(definition, { settings: SETTINGS });
    const gateway = await openGateway(world);
    opened.push(gateway);
    const key = newKey('ES256');
    await registered(world, 'alice', key);
    const client = createClient({
      baseUrl: AUDIENCE,
      signer: clientChallenge({ key: signing(key) }),
      fetch: (input, init) => fetch(new URL((input as URL).pathname, gateway.url), init),
    });
    return { world, gateway, key, client };
  }

  test('twenty requests at once, and more later, take one login; the server’s clock is learnt from discovery', async () => {
    const { gateway, client } = await open();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => client.fetch(`/${n}`, { method: 'POST', body: 'x' })),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    await client.fetch('/later');
    expect(gateway.issued).toEqual(['token']);
  });

  test('a clock that is wrong is corrected once by what the refusal told', async () => {
    const { world, gateway, client } = await open();
    world.clock.advance(3_600_000); // Discovery tells the time of before.
    expect((await client.fetch('/x')).status).toBe(200);
    expect(gateway.issued).toEqual(['token', 'token']);
    await client.fetch('/y');
    expect(gateway.issued).toHaveLength(2);
  });

  test('a token that expired on the server is renewed, and the request repeated, once', async () => {
    const { world, gateway, client } = await open();
    await client.fetch('/x');
    world.clock.advance(700_000);
    expect((await client.fetch('/y')).status).toBe(200);
    // The refusal of the request told the time by which the second login is dated.
    expect(gateway.issued).toEqual(['token', 'token']);
    expect(gateway.judged.map(({ target }) => target)).toEqual(['/x', '/y', '/y']);
  });

  test('so is it for HEAD, whose refusal has no body', async () => {
    const { world, gateway, client } = await open();
    await client.fetch('/x');
    world.clock.advance(700_000);
    expect((await client.fetch('/y', { method: 'HEAD' })).status).toBe(200);
    expect(gateway.judged.map(({ method }) => method)).toEqual(['GET', 'HEAD', 'HEAD']);
  });

  test('after the epoch was raised one request is revoked, the next logs in anew', async () => {
    const { world, key, client } = await open();
    await client.fetch('/x');
    await world.users.save(userRecord('alice', { epoch: 1, keys: [userKey('k1', key.publicJwk, [NAME])] }));
    await expect(client.fetch('/y')).rejects.toMatchObject({ code: 'revoked', status: 401 });
    expect((await client.fetch('/z')).status).toBe(200);
  });

  test('a login that is refused is thrown with its code, and no request is sent', async () => {
    const { world, gateway, client } = await open();
    await world.users.save(userRecord('alice'));
    await expect(client.fetch('/x')).rejects.toMatchObject({ code: 'signature_invalid' });
    expect(gateway.judged).toEqual([]);
  });

  test('a signed request carries the token for whoever sends it', async () => {
    const { world, client } = await open();
    const { headers } = await client.signRequest('/x');
    const value = headers.get('authorization') ?? '';
    expect(
      await world.judge({ ...REQUEST, headers: [['authorization', value]], body: { kind: 'absent' } }),
    ).toMatchObject({ subject: 'alice' });
  });
});
