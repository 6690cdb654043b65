/** What an answer of ours does to the request on its way up and to the client: exactly what is written, once, and nothing else. */
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { expect, test } from '@jest/globals';
import { connectionManager, extAuthz, virtualHost } from '../../scripts/envoy-config.ts';
import { PATIENCE } from '../support/deployment.ts';
import { http1, rawHttp1, type RawAnswer } from './wire.ts';
import { echoOf, MAX_BODY, upstream, verdictOf } from './world.ts';
import { open } from './worlds.ts';

const allOf = (answer: RawAnswer, name: string) =>
  answer.headers.filter(([one]) => one === name).map(([, value]) => value);

test.each(['newest', 'oldest'] as const)(
  'EV-21 an allow writes its headers once, removes what was forged and consumed, and hands the client the next challenge (Envoy %s)',
  async (envoy) => {
    const at = await open({
      envoy,
      change(config) {
        config.schemes['challenge-signature'] = { ...config.schemes['challenge-signature'], inBand: true };
      },
      changeEnvoy: (config) => void delete connectionManager(config).early_header_mutation_extensions,
    });
    const headers = [
      ['authorization', await at.prove({ method: 'GET', target: '/a' })],
      ['x-auth-subject', 'root'],
      ['x-auth-subject', 'root'],
      ['x-auth-shadow', 'deny'],
      ['x-auth-body', 'none'],
      ['x-other', 'kept'],
    ] as const;
    const answer = await http1({ method: 'GET', target: '/a', to: at.to, headers });
    const echo = echoOf(answer);
    const ours = echo.headers.filter(([name]) => name.startsWith('x-auth-'));
    expect(ours).toHaveLength(5);
    expect(Object.fromEntries(ours)).toEqual({
      'x-auth-subject': 'alice',
      'x-auth-scheme': 'challenge-signature',
      'x-auth-key-id': 'k1',
      'x-auth-attributes': 'eyJyb2xlIjoiYWRtaW4ifQ',
      'x-auth-body': 'verified',
    });
    expect(upstream(echo, 'authorization')).toEqual([]);
    expect(upstream(echo, 'x-other')).toEqual(['kept']);
    const [info = '', ...more] = allOf(answer, 'authentication-info');
    expect(more).toEqual([]);
    expect(info).toMatch(/challenge="[\w-]+"/);
    expect(upstream(echo, 'authentication-info')).toEqual([]);
  },
);

test('EV-22 each refusal has its status, its headers once, and one line of problem', async () => {
  const at = await open({
    change(config) {
      config['rateLimit'] = { perSource: { rate: '1/h', burst: 5 } };
    },
  });
  const authorization = await at.prove({ method: 'GET', target: '/a' });
  const refused: RawAnswer[] = [
    await http1({ method: 'GET', target: '/a', to: at.to }), // 401
    await http1({ method: 'GET', target: '/a', to: at.to, authority: 'other.example' }), // 403
    await http1({ method: 'GET', target: `/${'a'.repeat(9000)}`, to: at.to }), // 413
    await http1({
      method: 'POST',
      target: '/a',
      to: at.to,
      body: new Uint8Array(MAX_BODY),
      framing: 'chunked',
      headers: [['authorization', authorization]],
    }), // 413 too
  ];
  for (let count = 0; count < 4; count += 1) refused.push(await http1({ method: 'GET', target: '/a', to: at.to }));
  expect(refused.map(verdictOf)).toEqual([
    '401 credentials_missing',
    '403 route_unknown',
    '413 malformed',
    '413 body_unverifiable',
    '401 credentials_missing',
    '401 credentials_missing',
    '429 rate_limited',
    '429 rate_limited',
  ]);
  for (const answer of refused) {
    expect(allOf(answer, 'cache-control')).toEqual(['no-store']);
    expect(allOf(answer, 'content-type')).toEqual(['application/problem+json']);
    expect(allOf(answer, 'www-authenticate')).toHaveLength(answer.status === 401 ? 1 : 0);
    expect(allOf(answer, 'retry-after')).toHaveLength(answer.status === 429 ? 1 : 0);
    expect(answer.body.length).toBeLessThanOrEqual(512);
    expect(answer.body).not.toContain('\n');
  }
});

test('EV-10 a client that waits for 100 is answered and allowed', async () => {
  const at = await open();
  const body = 'hello';
  const authorization = await at.prove({ method: 'POST', target: '/a', body: new TextEncoder().encode(body) });
  const [host = '', port = ''] = at.to.split(':');
  const socket = connect(Number(port), host);
  let seen = '';
  socket.on('data', (chunk) => {
    if (seen === '' && chunk.toString('latin1').startsWith('HTTP/1.1 100')) socket.write(body);
    seen += chunk.toString('latin1');
  });
  const head = ['POST /a HTTP/1.1', `host: ${at.to}`, `authorization: ${authorization}`, 'content-length: 5'];
  socket.write([...head, 'expect: 100-continue', 'connection: close', '', ''].join('\r\n'));
  await new Promise((done) => socket.once('close', done));
  expect(seen).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  expect(seen).toContain('"x-auth-subject","alice"');
});

test('EV-20 a stream on a route that buffers ends in a timeout, and nothing was asked or passed on', async () => {
  const at = await open({
    changeEnvoy: (config) => void (connectionManager(config).request_timeout = '1s'),
  });
  const session = connectHttp2(at.url);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/chat.v1.Chat/Talk',
    'content-type': 'application/grpc',
    te: 'trailers',
    authorization: await at.prove({ method: 'POST', target: '/chat.v1.Chat/Talk' }),
  });
  stream.write(Buffer.from([0, 0, 0, 0, 0]));
  const status = await new Promise((resolve) => {
    stream.on('response', (headers) => resolve(headers['grpc-status'] ?? headers[':status']));
    stream.on('error', () => resolve('reset'));
  });
  session.destroy();
  expect(status).not.toBe(200);
  expect(status).not.toBe('0');
  expect([...(await at.decisions()).keys()]).toEqual([]);
});

test('EV-07 in text mode a body whose bytes were replaced is refused', async () => {
  const at = await open({
    change(config) {
      config['envoy'] = { maxRequestBytes: MAX_BODY, checkBudget: PATIENCE, tier: 'C', textBody: 'accept-ascii' };
    },
    changeEnvoy(config) {
      extAuthz(config).with_request_body.pack_as_bytes = false;
      extAuthz(config).encode_raw_headers = false;
    },
  });
  const send = async (proven: Uint8Array, sent: Uint8Array) => {
    const headers = [['authorization', await at.prove({ method: 'POST', target: '/a', body: proven })]] as const;
    return verdictOf(await http1({ method: 'POST', target: '/a', to: at.to, headers, body: sent }));
  };
  const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  expect(await send(bytes('abc'), bytes('abc'))).toBe('200');
  // Envoy writes "!" for what is no UTF-8.
  for (const sent of ['a!c', 'a\xffc']) {
    expect(await send(bytes('a!c'), bytes(sent))).toMatch(/^40[13] (signature_invalid|malformed|body_unverifiable)$/);
  }
});

test('EV-18 where upgrades are on, one is refused on a route that needs bodies and passes on one that takes none', async () => {
  const at = await open({
    changeEnvoy(config) {
      connectionManager(config).upgrade_configs = [{ upgrade_type: 'websocket' }];
      connectionManager(config).http2_protocol_options.allow_connect = true;
    },
  });
  const upgrade = async (target: string, body: Uint8Array | null) => {
    const headers = [
      ['authorization', await at.prove({ method: 'GET', target, body })],
      ['upgrade', 'websocket'],
      ['sec-websocket-version', '13'],
      ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
    ] as const;
    const bytes = [
      `GET ${target} HTTP/1.1`,
      `host: ${at.to}`,
      'connection: upgrade',
      ...headers.map((one) => one.join(': ')),
      '',
      '',
    ];
    return rawHttp1(at.to, Buffer.from(bytes.join('\r\n')));
  };
  expect(verdictOf(await upgrade('/a', new Uint8Array(0)))).toBe('403 body_unverifiable');
  const h2c = [
    ['authorization', await at.prove({ method: 'GET', target: '/a' })],
    ['upgrade', 'h2c'],
    ['http2-settings', 'AAMAAABkAAQAAP__'],
  ] as const;
  echoOf(await http1({ method: 'GET', target: '/a', to: at.to, headers: h2c }));
});

test('EV-38 redirects and direct answers of Envoy are checked as what the upstream answers is', async () => {
  const at = await open({
    changeEnvoy(config) {
      const { routes } = virtualHost(config);
      const { typed_per_filter_config } = routes.at(-1);
      routes.unshift(
        { match: { path: '/direct' }, direct_response: { status: 204 }, typed_per_filter_config },
        { match: { path: '/moved' }, redirect: { path_redirect: '/a' }, typed_per_filter_config },
      );
    },
  });
  const outcomes = [];
  for (const target of ['/direct', '/moved']) {
    const headers = [['authorization', await at.prove({ method: 'GET', target })]] as const;
    for (const given of [[], headers]) {
      outcomes.push(verdictOf(await http1({ method: 'GET', target, to: at.to, headers: given })));
    }
  }
  expect(outcomes).toEqual(['401 credentials_missing', '204', '401 credentials_missing', '301']);
});

test.each<[string, (manager: Record<string, unknown>) => void]>([
  [
    'nothing is normalised',
    (manager) =>
      Object.assign(manager, {
        normalize_path: false,
        merge_slashes: false,
        path_with_escaped_slashes_action: 'KEEP_UNCHANGED',
      }),
  ],
  [
    'slashes are merged only',
    (manager) => Object.assign(manager, { normalize_path: false, path_with_escaped_slashes_action: 'KEEP_UNCHANGED' }),
  ],
  [
    'escaped slashes are unescaped',
    (manager) => Object.assign(manager, { path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD' }),
  ],
  [
    'escaped slashes are redirected',
    (manager) => Object.assign(manager, { path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT' }),
  ],
])('EV-16 what was verified is what arrives, or it is refused, where %s', async (_how, set) => {
  const at = await open({ changeEnvoy: (config) => set(connectionManager(config)) });
  const targets = [
    '//a',
    '/a/../b',
    '/./a',
    '/a%2Fb',
    '/a%5cb',
    '/a;x=1/b',
    '/%41',
    '/a?',
    '/a?a&a',
    '/a?x=+',
    '/a?q=%2F',
  ];
  for (const target of targets) {
    const headers = [['authorization', await at.prove({ method: 'GET', target })]] as const;
    const answer = await http1({ method: 'GET', target, to: at.to, headers });
    if (answer.status === 200) expect(echoOf(answer).target).toBe(target);
    else expect(answer.status).toBeGreaterThanOrEqual(300);
  }
});
