/** What clients may send, through a real Envoy, oldest and newest, over both stores. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { echoOf, MAX_BODY, openWorld, upstream, verdictOf, type ProvenRequest, type World } from './world.ts';
import { headerOf, http1, http2, rawHttp1, type Http2Request, type RawAnswer, type RawRequest } from './wire.ts';

const text = (value: string) => new TextEncoder().encode(value);
const bodyOf = (length: number) => new Uint8Array(length).fill(0x61);

describe.each([
  ['newest', 'memory'],
  ['oldest', 'redis'],
] as const)('Envoy %s, store %s', (envoy, store) => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld({ envoy, store });
  }, 60_000);

  afterAll(() => world.stop());

  const signed1 = async (proof: ProvenRequest, request: Partial<RawRequest> = {}): Promise<RawAnswer> => {
    const { method, target, authority, body } = proof;
    const authorization = await world.prove(proof);
    const headers = [['authorization', authorization], ...(request.headers ?? [])] as const;
    return http1({
      method,
      target,
      to: world.to,
      ...(authority !== undefined && { authority }),
      ...(body && { body }),
      ...request,
      headers,
    });
  };
  const signed2 = async (proof: ProvenRequest, request: Partial<Http2Request> = {}): Promise<RawAnswer> => {
    const { method, target, authority } = proof;
    const authorization = await world.prove(proof);
    const headers = [['authorization', authorization], ...(request.headers ?? [])] as const;
    return http2({ method, target, to: world.to, ...(authority !== undefined && { authority }), ...request, headers });
  };

  test.each(['GET', 'POST'])('EV-01 allows %s without a body', async (method) => {
    const proof = { method, target: '/a?x=1' };
    for (const answer of [await signed1(proof), await signed2(proof)]) {
      const echo = echoOf(answer);
      expect(echo.target).toBe('/a?x=1');
      expect(upstream(echo, 'x-auth-subject')).toEqual(['alice']);
      expect(upstream(echo, 'x-auth-scheme')).toEqual(['challenge-signature']);
      expect(upstream(echo, 'x-auth-key-id')).toEqual(['k1']);
      expect(upstream(echo, 'x-auth-attributes')).toEqual(['eyJyb2xlIjoiYWRtaW4ifQ']);
      expect(upstream(echo, 'x-auth-body')).toEqual(['verified']);
      expect(upstream(echo, 'authorization')).toEqual([]);
    }
  });

  test('EV-02 allows an empty DATA frame at the end', async () => {
    echoOf(await signed2({ method: 'POST', target: '/a' }, { frames: [new Uint8Array(0)] }));
  });

  test('EV-03 allows a body of one byte, however it is framed', async () => {
    const proof = { method: 'POST', target: '/a', body: text('x') };
    for (const answer of [
      await signed1(proof),
      await signed1(proof, { framing: 'chunked' }),
      await signed2(proof, { frames: [proof.body] }),
      await signed2(proof, { frames: [proof.body], headers: [['content-length', '1']] }),
    ]) {
      expect(echoOf(answer).body).toBe('eA==');
    }
  });

  test('EV-03 refuses with signature_invalid another body of that length', async () => {
    const answer = await signed1({ method: 'POST', target: '/a', body: text('x') }, { body: text('y') });
    expect(verdictOf(answer)).toBe('401 signature_invalid');
  });

  describe('EV-04 bodies around the limit', () => {
    test.each([MAX_BODY - 1, MAX_BODY])('%i bytes with a content-length pass', async (length) => {
      const proof = { method: 'POST', target: '/a', body: bodyOf(length) };
      echoOf(await signed1(proof));
      echoOf(await signed2(proof, { frames: [proof.body], headers: [['content-length', String(length)]] }));
    });

    test('a byte less than the limit passes without a content-length', async () => {
      const proof = { method: 'POST', target: '/a', body: bodyOf(MAX_BODY - 1) };
      echoOf(await signed1(proof, { framing: 'chunked' }));
      echoOf(await signed2(proof, { frames: [proof.body] }));
    });

    test('at the limit without a content-length it is never called complete', async () => {
      const proof = { method: 'POST', target: '/a', body: bodyOf(MAX_BODY) };
      for (const answer of [
        await signed1(proof, { framing: 'chunked' }),
        await signed2(proof, { frames: [proof.body] }),
      ]) {
        expect(verdictOf(answer)).toBe('413 body_unverifiable');
      }
    });

    test.each([MAX_BODY + 1, 2 * MAX_BODY])('%i bytes are 413, however they are framed', async (length) => {
      const proof = { method: 'POST', target: '/a', body: bodyOf(length) };
      for (const answer of [
        await signed1(proof),
        await signed1(proof, { framing: 'chunked' }),
        await signed2(proof, { frames: [proof.body] }),
        await signed2(proof, { frames: [proof.body], headers: [['content-length', String(length)]] }),
      ]) {
        expect(answer.status).toBe(413);
      }
    });
  });

  test('EV-07 allows a binary body as it is', async () => {
    const body = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    expect(Buffer.from(echoOf(await signed1({ method: 'POST', target: '/a', body })).body, 'base64')).toEqual(
      Buffer.from(body),
    );
  });

  describe('EV-11 refuses with malformed two copies of the credential header', () => {
    test.each(['first', 'last'])('the right one %s', async (place) => {
      const right = await world.prove({ method: 'GET', target: '/a' });
      const pair = place === 'first' ? [right, 'Basic eDp5'] : ['Basic eDp5', right];
      const twice = {
        method: 'GET',
        target: '/a',
        to: world.to,
        headers: pair.map((value) => ['authorization', value] as const),
      };
      for (const answer of [await http1(twice), await http2(twice)]) expect(answer.status).toBe(401);
      const joined = { ...twice, headers: [['authorization', pair.join(', ')]] as const };
      for (const answer of [await http1(joined), await http2(joined)]) expect(answer.status).toBe(401);
    });

    test('twice the same', async () => {
      const right = await world.prove({ method: 'GET', target: '/a' });
      const headers = [
        ['authorization', right],
        ['authorization', right],
      ] as const;
      for (const send of [http1, http2])
        expect(verdictOf(await send({ method: 'GET', target: '/a', to: world.to, headers }))).toBe('401 malformed');
    });
  });

  test('EV-12 refuses bytes from 0x80 on in the credential and passes them untouched elsewhere', async () => {
    const authorization = `${await world.prove({ method: 'GET', target: '/a' })}, note="\xe9"`;
    expect(
      verdictOf(
        await http1({ method: 'GET', target: '/a', to: world.to, headers: [['authorization', authorization]] }),
      ),
    ).toBe('401 malformed');
    const echo = echoOf(await signed1({ method: 'GET', target: '/a' }, { headers: [['x-note', 'caf\xe9']] }));
    expect(upstream(echo, 'x-note')).toEqual(['caf\xe9']);
  });

  test('EV-13 takes header names that JavaScript knows, and refuses underscores', async () => {
    const names = [
      ['constructor', '1'],
      ['toString', '2'],
      ['X-UPPER', '3'],
    ] as const;
    echoOf(await signed1({ method: 'GET', target: '/a' }, { headers: names }));
    const answer = await signed1({ method: 'GET', target: '/a' }, { headers: [['__proto__', '1']] });
    expect(answer.status).toBe(400);
  });

  test('EV-14 never reaches the upstream without an identity when headers are many', async () => {
    for (const count of [80, 90, 94, 96, 98]) {
      const headers = Array.from({ length: count }, (_, index) => [`x-h${index}`, 'v'] as const);
      const answer = await signed1({ method: 'GET', target: '/a' }, { headers });
      if (answer.status === 200) expect(upstream(echoOf(answer), 'x-auth-subject')).toEqual(['alice']);
      else expect(answer.status).toBeGreaterThanOrEqual(400);
    }
  });

  test('EV-15 lets no header of ours through that a client sent', async () => {
    const forged = [
      ['x-auth-subject', 'root'],
      ['X-Auth-Subject', 'root'],
      ['X-AUTH-ROLE', 'root'],
      ['x-auth-shadow', 'allow'],
      ['x-envoy-auth-partial-body', 'false'],
      ['x-envoy-auth-failure-mode-allowed', 'true'],
    ] as const;
    for (const answer of [
      await signed1({ method: 'GET', target: '/a' }, { headers: forged }),
      await signed2(
        { method: 'GET', target: '/a' },
        { headers: forged.map(([name, value]) => [name.toLowerCase(), value] as const) },
      ),
    ]) {
      const echo = echoOf(answer);
      expect(upstream(echo, 'x-auth-subject')).toEqual(['alice']);
      expect(upstream(echo, 'x-auth-role')).toEqual([]);
      expect(upstream(echo, 'x-auth-shadow')).toEqual([]);
      expect(JSON.stringify(echo.headers)).not.toContain('root');
    }
  });

  describe('EV-16 what was verified is what arrives, or it is refused', () => {
    test.each(['/a?', '/a?a&a', '/a?x=+', '/a?x=%20%2F', '/a%20b', '/a?q=//../.'])(
      '%s passes byte for byte',
      async (target) => {
        for (const answer of [await signed1({ method: 'GET', target }), await signed2({ method: 'GET', target })]) {
          expect(echoOf(answer).target).toBe(target);
        }
      },
    );

    test.each(['//a', '/a/../b', '/./a', '/%41', '/a%2Fb', '/a%5cb', '/a;x=1/b', '/a#b'])(
      '%s is refused',
      async (target) => {
        expect((await signed1({ method: 'GET', target })).status).toBeGreaterThanOrEqual(400);
        await expect(
          signed2({ method: 'GET', target }).then(
            ({ status }) => (status >= 400 ? 'refused' : status),
            () => 'refused',
          ),
        ).resolves.toBe('refused');
      },
    );

    test('the absolute form is judged by its own host', async () => {
      const authorization = await world.prove({ method: 'GET', target: '/a' });
      const bytes = `GET http://${world.to}/a HTTP/1.1\r\nhost: evil.example\r\nauthorization: ${authorization}\r\nconnection: close\r\n\r\n`;
      expect(echoOf(await rawHttp1(world.to, Buffer.from(bytes))).target).toBe('/a');
    });

    test('* reaches no route', async () => {
      expect((await http1({ method: 'OPTIONS', target: '*', to: world.to })).status).toBe(404);
    });
  });

  describe('EV-17 hosts', () => {
    test('another host, or the right one twice, is refused', async () => {
      expect(verdictOf(await signed1({ method: 'GET', target: '/a', authority: 'other.example' }))).toBe(
        '403 route_unknown',
      );
      const authorization = await world.prove({ method: 'GET', target: '/a' });
      const bytes = `GET /a HTTP/1.1\r\nhost: ${world.to}\r\nhost: ${world.to}\r\nauthorization: ${authorization}\r\nconnection: close\r\n\r\n`;
      expect((await rawHttp1(world.to, Buffer.from(bytes))).status).toBeGreaterThanOrEqual(400);
    });

    test('upper case is the same host', async () => {
      const port = world.to.split(':')[1];
      const authorization = await world.prove({ method: 'GET', target: '/a', authority: `localhost:${port}` });
      const answer = await http1({
        method: 'GET',
        target: '/a',
        to: world.to,
        authority: `LOCALHOST:${port}`,
        headers: [['authorization', authorization]],
      });
      expect(verdictOf(answer)).toBe('403 route_unknown'); // localhost is not among this route's origins, in any case.
    });

    test('a host header beside :authority changes nothing', async () => {
      const answer = await signed2({ method: 'GET', target: '/a' }, { headers: [['host', 'evil.example']] }).catch(
        () => undefined,
      );
      if (answer !== undefined) expect([200, 400]).toContain(answer.status);
    });
  });

  test('EV-18 refuses upgrades and CONNECT', async () => {
    const websocket = [
      ['connection', 'Upgrade'],
      ['upgrade', 'websocket'],
      ['sec-websocket-version', '13'],
      ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
    ] as const;
    expect((await signed1({ method: 'GET', target: '/a' }, { headers: websocket })).status).toBe(403);
    expect((await http1({ method: 'CONNECT', target: world.to, to: world.to })).status).toBeGreaterThanOrEqual(400);
  });

  test('EV-22 tells a refusal with its header, body and no store', async () => {
    const answer = await http1({ method: 'GET', target: '/a', to: world.to });
    expect(verdictOf(answer)).toBe('401 credentials_missing');
    expect(headerOf(answer, 'www-authenticate')).toBe('ChallengeSignature realm="countersign"');
    expect(headerOf(answer, 'content-type')).toBe('application/problem+json');
    expect(headerOf(answer, 'cache-control')).toBe('no-store');
    expect(answer.body).toMatch(
      /^\{"type":"about:blank","title":"Unauthorized","status":401,"code":"credentials_missing","check":"[\w-]{22}"\}$/,
    );
    const wrong = await signed1({ method: 'GET', target: '/a' }, { target: '/b' });
    expect(headerOf(wrong, 'www-authenticate')).toBe(
      'ChallengeSignature realm="countersign", error="signature_invalid"',
    );
  });

  test('EV-22 a refused HEAD has no body', async () => {
    const answer = await http2({ method: 'HEAD', target: '/a', to: world.to });
    expect(answer.status).toBe(401);
    expect(answer.body).toBe('');
  });

  test('EV-28 refuses with replayed the same signed request again, and all but one of ten at once', async () => {
    const request = { method: 'POST', target: '/pay', to: world.to, body: text('{}') };
    const headers = [['authorization', await world.prove(request)]] as const;
    echoOf(await http1({ ...request, headers }));
    expect(verdictOf(await http1({ ...request, headers }))).toBe('401 replayed');

    const once = [['authorization', await world.prove(request)]] as const;
    const verdicts = await Promise.all(
      Array.from({ length: 10 }, () => http1({ ...request, headers: once }).then(verdictOf)),
    );
    expect(verdicts.filter((verdict) => verdict === '200')).toHaveLength(1);
    expect(verdicts.filter((verdict) => verdict === '401 replayed')).toHaveLength(9);
  });

  describe('refuses with signature_invalid a request altered after signing', () => {
    const proof = { method: 'POST', target: '/pay?dry=0', body: text('{"amount":50}') };
    test.each([
      ['method', { method: 'PUT' }],
      ['path', { target: '/pay2?dry=0' }],
      ['query', { target: '/pay?dry=1' }],
      ['a byte of the body', { body: text('{"amount":51}') }],
      ['one byte more', { body: text('{"amount":50} ') }],
    ])('%s', async (_, change) => {
      expect(verdictOf(await signed1(proof, change))).toBe('401 signature_invalid');
    });
  });

  describe('EV-38 routes without the filter', () => {
    test('the issuer is reached without a proof and forged identity is gone', async () => {
      const answer = await http1({
        method: 'GET',
        target: '/.well-known/countersign',
        to: world.to,
        headers: [['x-auth-subject', 'root']],
      });
      expect(answer.status).toBe(200);
      expect((await http1({ method: 'GET', target: '/.well-known/jwks.json', to: world.to })).body).toBe('{"keys":[]}');
    });
  });
});
