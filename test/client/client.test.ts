/** The client against a real HTTP server that judges by the real scheme: what it signs, when it repeats, what it throws. */
import { Readable } from 'node:stream';
import { afterEach, describe, expect, test } from '@jest/globals';
import { problemBody } from '../../src/core/problem.ts';
import { challengeSignature, type Client, createClient, type CountersignError } from '../../src/client/index.ts';
import { challengeSignature as definition } from '../../src/schemes/challenge-signature/index.ts';
import { type Gateway, openGateway, problem } from '../support/gateway.ts';
import { createSchemeWorld, type SchemeWorld } from '../support/scheme-world.ts';
import { userRecord } from '../support/test-users.ts';
import { type Client as Credential, newKey, registered } from '../schemes/challenge-signature/prover.ts';

const opened: Gateway[] = [];
afterEach(() => Promise.all(opened.splice(0).map((gateway) => gateway.close())));

interface Setup {
  readonly world: SchemeWorld;
  readonly gateway: Gateway;
  readonly client: Client;
  readonly alice: Credential;
}

async function setup(settings: object = {}, change: Partial<Credential> = {}): Promise<Setup> {
  const world = createSchemeWorld(definition, { settings });
  const gateway = await openGateway(world);
  opened.push(gateway);
  const alice = await registered(world, 'alice', 'ES256');
  const { tenant: _, ...credential } = { ...alice, ...change };
  return {
    world,
    gateway,
    alice,
    client: createClient({ baseUrl: gateway.url, signer: challengeSignature(credential) }),
  };
}

async function errorOf(promise: Promise<unknown>): Promise<CountersignError> {
  return promise.then(
    () => {
      throw new Error('was answered');
    },
    (thrown: unknown) => thrown as CountersignError,
  );
}

const statelessWith = (more: object = {}) => ({ challenges: 'stateless', ...more });

describe('what is sent', () => {
  test.each<[string, () => NonNullable<RequestInit['body']>]>([
    ['text', () => '{"amount":50}'],
    ['bytes', () => Uint8Array.of(0, 255, 33, 10)],
    ['a part of a buffer', () => Uint8Array.of(9, 9, 1, 2, 3, 9).subarray(2, 5)],
    ['an ArrayBuffer', () => Uint8Array.of(1, 2, 3).buffer],
    ['a Blob', () => new Blob(['one', Uint8Array.of(0, 255)], { type: 'application/x-thing' })],
    ['URLSearchParams', () => new URLSearchParams({ to: 'bob', amount: '50 €' })],
    ['FormData', () => form()],
  ])('a body of %s is signed as it arrives', async (_kind, body) => {
    const { client, gateway } = await setup();
    const answer = await client.fetch('/transfer', { method: 'POST', body: body() });
    expect(answer.status).toBe(200);
    expect(gateway.judged).toHaveLength(1);
  });

  test.each<[string, () => unknown]>([
    ['a ReadableStream', () => new ReadableStream()],
    ['an async iterable', () => Readable.from(['a'])],
    ['an object', () => ({ amount: 50 })],
  ])('%s is body_not_fixed, and nothing is sent', async (_kind, body) => {
    const { client, gateway } = await setup();
    const init = { method: 'POST', body: body(), duplex: 'half' } as RequestInit;
    expect((await errorOf(client.fetch('/transfer', init))).code).toBe('body_not_fixed');
    expect(gateway.issued).toEqual([]);
  });

  test.each([
    ['/a/../b/./c', '/b/c'],
    ['/a//b///c', '/a/b/c'],
    ['/%41%7e%2d', '/A~-'],
    ['/a%2Fb%3fc', '/a%2Fb%3fc'],
    ['/%2e%2e/x', '/x'],
    ['/50%', '/50%25'],
    ['/%%34%31', '/%2541'],
    ['/<a>"|^`{}[]', '/%3Ca%3E%22%7C%5E%60%7B%7D%5B%5D'],
    ['/a\\x', '/a/x'],
    ['/ü ö', '/%C3%BC%20%C3%B6'],
    ["/a!$&'()*+,;=:@b", "/a!$&'()*+,;=:@b"],
    ['/a?b=%41&c=/../&&b=+%20', '/a?b=%41&c=/../&&b=+%20'],
    ['/a?', '/a'],
    ['/a#fragment', '/a'],
    ['', '/'],
  ])('the target of %j is signed and sent as %s', async (address, target) => {
    const { client, gateway } = await setup();
    expect((await client.fetch(address)).status).toBe(200);
    expect(gateway.judged.map((parts) => parts.target)).toEqual([target]);
  });

  test('headers of the caller and the content type of the body arrive beside the proof', async () => {
    const { client, gateway } = await setup();
    await client.fetch('/x', { method: 'patch'.toUpperCase(), body: 'text', headers: { 'x-mine': 'yes' } });
    const headers = new Map(gateway.judged[0]?.headers);
    expect(headers.get('x-mine')).toBe('yes');
    expect(headers.get('content-type')).toBe('text/plain;charset=UTF-8');
    expect(headers.get('authorization')).toMatch(/^ChallengeSignature user="alice"/);
  });

  test('a Request is taken as fetch takes one', async () => {
    const { client, gateway } = await setup();
    const request = new Request(`${gateway.url}/r`, { method: 'PUT', body: 'abc', headers: { 'x-mine': 'yes' } });
    expect((await client.fetch(request)).status).toBe(200);
    expect(gateway.judged[0]).toMatchObject({ method: 'PUT', target: '/r' });
    expect(new Map(gateway.judged[0]?.headers).get('x-mine')).toBe('yes');
  });

  test('signRequest returns what must be sent, and it passes once', async () => {
    const { client } = await setup();
    const { url, method, headers, body } = await client.signRequest('/t', { method: 'POST', body: 'abc' });
    const send = () => fetch(url, { method, headers, body: body ?? null });
    expect([(await send()).status, (await send()).status]).toEqual([200, 401]);
  });

  test.each<[string, string, RequestInit]>([
    ['another origin', 'https://evil.example.com/x', {}],
    ['a password in the address', 'http://me:secret@HOST/x', {}],
    ['an Authorization header', '/x', { headers: { authorization: 'Bearer abc' } }],
    ['redirects to be followed', '/x', { redirect: 'follow' }],
    ['a method in lower case', '/x', { method: 'purge' }],
    ['no address', 'http://', {}],
  ])('refuses with request_unsuitable before anything is sent: %s', async (_title, address, init) => {
    const { client, gateway } = await setup();
    const error = await errorOf(client.fetch(address.replace('HOST', new URL(gateway.url).host), init));
    expect(error.code).toBe('request_unsuitable');
    expect(gateway.issued).toEqual([]);
  });

  test('a base address without TLS is refused beyond loopback', () => {
    const signer = challengeSignature({ user: 'alice', kid: 'k1', key: newKey() });
    expect(() => createClient({ baseUrl: 'http://api.example.com', signer })).toThrow('request_unsuitable');
    expect(() => createClient({ baseUrl: 'https://api.example.com', issuerUrl: 'http://10.0.0.1', signer })).toThrow(
      'request_unsuitable',
    );
    expect(() => createClient({ baseUrl: 'http://127.0.0.1.example.com', signer })).toThrow('request_unsuitable');
  });

  test('for routes that cover no body the proof covers none', async () => {
    const { world, gateway, alice } = await setup();
    const required = world.policy();
    world.policy = () => ({ ...required, body: 'none' });
    const client = createClient({ baseUrl: gateway.url, signer: challengeSignature(alice), body: 'none' });
    expect((await client.fetch('/t', { method: 'POST', body: 'anything' })).status).toBe(200);
    world.policy = () => required;
    expect((await errorOf(client.fetch('/t', { method: 'POST', body: 'anything' }))).code).toBe('signature_invalid');
  });
});

describe('challenges', () => {
  test('stored: one call of the issuer for each request', async () => {
    const { client, gateway } = await setup();
    for (let count = 0; count < 3; count += 1) await client.fetch('/x');
    expect(gateway.issued).toEqual(['challenge', 'challenge', 'challenge']);
  });

  test('stateless: the first request asks, the others sign what the answer before brought', async () => {
    const { client, gateway } = await setup(statelessWith());
    for (let count = 0; count < 5; count += 1) await client.fetch('/x');
    expect(gateway.issued).toEqual(['challenge']);
  });

  test('requests in parallel never share a challenge', async () => {
    const { client, gateway } = await setup(statelessWith());
    for (let round = 0; round < 2; round += 1) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => client.fetch('/x')));
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    }
    expect(gateway.judged).toHaveLength(40);
    // Eight unused ones are kept; the first that are answered may leave theirs to the last that are sent.
    expect(gateway.issued.length).toBeGreaterThan(20 + 6);
    expect(gateway.issued.length).toBeLessThanOrEqual(20 + 12);
  });
});

describe('refusals', () => {
  test('stale: signs again once, with the challenge that the refusal brought', async () => {
    const { client, gateway, world } = await setup(statelessWith());
    await client.fetch('/x');
    world.clock.advance(31_000);
    expect((await client.fetch('/x', { method: 'POST', body: 'abc' })).status).toBe(200);
    expect(gateway.judged).toHaveLength(3);
    expect(gateway.issued).toEqual(['challenge']);
  });

  test('replayed: signs again once, with a challenge it asks for when the refusal brings none', async () => {
    const { client, gateway, world } = await setup();
    gateway.beforeJudging = async (parts) => {
      gateway.beforeJudging = async () => {};
      await world.judge(parts); // Another copy was faster.
    };
    expect((await client.fetch('/x')).status).toBe(200);
    expect(gateway.judged).toHaveLength(2);
    expect(gateway.issued).toHaveLength(2);
  });

  test.each(['stored', 'stateless'])('%s: refused again, it throws replayed after two attempts', async (challenges) => {
    const { client, gateway, world } = await setup({ challenges });
    gateway.beforeJudging = async (parts) => {
      await world.judge(parts);
    };
    const error = await errorOf(client.fetch('/x'));
    expect([error.code, error.status, error.name]).toEqual(['replayed', 401, 'CountersignError']);
    expect(gateway.judged).toHaveLength(2);
  });

  test('signature_invalid is thrown at once, with the id of the Check and the answer', async () => {
    const { client, gateway } = await setup({}, { key: newKey('ES256') });
    const error = await errorOf(client.fetch('/x'));
    expect([error.code, gateway.judged.length]).toEqual(['signature_invalid', 1]);
    expect(error.checkId).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(await error.response?.json()).toMatchObject({ code: 'signature_invalid', check: error.checkId });
  });

  test('an unknown user is told signature_invalid too', async () => {
    const { client } = await setup({}, { user: 'mallory' });
    expect((await errorOf(client.fetch('/x'))).code).toBe('signature_invalid');
  });

  test('revoked is thrown at once', async () => {
    const { client, gateway, world } = await setup();
    const alice = await world.users.record('default', 'alice');
    await world.users.save(userRecord('alice', { ...alice, disabled: true }));
    expect((await errorOf(client.fetch('/x'))).code).toBe('revoked');
    expect(gateway.judged).toHaveLength(1);
  });

  test('HEAD, which has no body, is told by the header', async () => {
    const { client } = await setup({}, { key: newKey() });
    expect((await errorOf(client.fetch('/x', { method: 'HEAD' }))).code).toBe('signature_invalid');
  });

  test.each([
    [429, 'rate_limited', '7', 7],
    [503, 'unavailable', '30', 30],
    [503, 'unavailable', 'tomorrow', undefined],
    [403, 'route_unknown', '', undefined],
    [413, 'body_unverifiable', '', undefined],
  ])('%i %s is thrown with the seconds to wait, after one attempt', async (status, code, retryAfter, seconds) => {
    const { client, gateway } = await setup();
    let attempts = 0;
    gateway.instead = (request, response) => {
      if (request.url !== '/x') return false;
      attempts += 1;
      if (retryAfter !== '') response.setHeader('retry-after', retryAfter);
      problem(response, status, problemBody(status, code, { check: 'K5eNXMK1e6uh4_FTMW58zw' }));
      return true;
    };
    const error = await errorOf(client.fetch('/x'));
    expect([error.code, error.status, error.retryAfterSeconds]).toEqual([code, status, seconds]);
    expect(attempts).toBe(1);
  });

  test.each([401, 403, 429, 503])("the upstream's own %i is returned, not thrown", async (status) => {
    const { client, gateway } = await setup();
    gateway.upstream = (_parts, response) => problem(response, status, '{"code":"stale"}');
    const answer = await client.fetch('/x');
    expect([answer.status, await answer.text()]).toEqual([status, '{"code":"stale"}']);
  });

  test('an answer of the upstream that looks like a refusal under another status is returned', async () => {
    const { client, gateway } = await setup();
    const body = problemBody(401, 'stale', { check: 'K5eNXMK1e6uh4_FTMW58zw' });
    gateway.upstream = (_parts, response) => problem(response, 404, body);
    expect((await client.fetch('/x')).status).toBe(404);
    expect(gateway.judged).toHaveLength(1);
  });

  test('a redirect is returned: a proof fits one address', async () => {
    const { client, gateway } = await setup();
    gateway.upstream = (_parts, response) => response.writeHead(303, { location: '/elsewhere' }).end();
    const answer = await client.fetch('/x', { method: 'POST' });
    expect([answer.status, answer.headers.get('location'), gateway.judged.length]).toEqual([303, '/elsewhere', 1]);
  });

  test('an aborted request asks for nothing more', async () => {
    const { client, gateway } = await setup();
    const signal = AbortSignal.abort(new Error('changed my mind'));
    await expect(client.fetch('/x', { signal })).rejects.toThrow('changed my mind');
    expect(gateway.judged).toEqual([]);
  });
});

describe('the issuer', () => {
  test('rate_limited and unavailable carry the seconds to wait', async () => {
    const { client, gateway } = await setup();
    for (const [status, code] of [
      [429, 'rate_limited'],
      [503, 'unavailable'],
    ] as const) {
      answering(
        gateway,
        /challenge$/,
        status,
        problemBody(status, code, { request: 'abc' }),
        'application/problem+json',
      );
      const error = await errorOf(client.fetch('/x'));
      expect([error.code, error.retryAfterSeconds]).toEqual([code, 3]);
    }
    expect(gateway.judged).toEqual([]);
  });

  test.each([
    ['not JSON', /countersign$/, 200, '<html>', 'answer_invalid'],
    ['not an object', /countersign$/, 200, '[]', 'answer_invalid'],
    ['no schemes', /countersign$/, 200, '{}', 'answer_invalid'],
    ['other schemes', /countersign$/, 200, '{"schemes":{}}', 'not_offered'],
    ['no such endpoint', /countersign$/, 200, '{"schemes":{"challenge-signature":{"endpoints":{}}}}', 'not_offered'],
    [
      'an endpoint elsewhere',
      /countersign$/,
      200,
      '{"schemes":{"challenge-signature":{"endpoints":{"challenge":"https://evil.example.com/"}}}}',
      'answer_invalid',
    ],
    [
      'an endpoint elsewhere by two slashes',
      /countersign$/,
      200,
      '{"schemes":{"challenge-signature":{"endpoints":{"challenge":"//evil.example.com/"}}}}',
      'answer_invalid',
    ],
    ['404', /countersign$/, 404, '', 'answer_invalid'],
    ['no challenge', /challenge$/, 200, '{"timeMs":1}', 'answer_invalid'],
    ['a challenge that is no base64url', /challenge$/, 200, '{"challenge":"a b"}', 'answer_invalid'],
  ])('%s: %s', async (_title, path, status, body, code) => {
    const { client, gateway } = await setup();
    answering(gateway, path, status, body);
    expect((await errorOf(client.fetch('/x'))).code).toBe(code);
    expect(gateway.judged).toEqual([]);
  });

  test('discovery is asked for once', async () => {
    const { client, gateway } = await setup();
    let asked = 0;
    gateway.instead = (request) => {
      if (request.url === '/.well-known/countersign') asked += 1;
      return false;
    };
    for (let count = 0; count < 3; count += 1) await client.fetch('/x');
    expect(asked).toBe(1);
  });
});

function form(): FormData {
  const fields = new FormData();
  fields.set('to', 'bob');
  fields.set('file', new Blob([Uint8Array.of(0, 255, 13, 10)]), 'f.bin');
  return fields;
}

const answering = (gateway: Gateway, path: RegExp, status: number, body: string, type = 'application/json') => {
  gateway.instead = (request, response) => {
    if (!path.test(request.url ?? '')) return false;
    response.writeHead(status, { 'content-type': type, 'retry-after': '3' }).end(body);
    return true;
  };
};
