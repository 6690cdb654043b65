/** What depends on how the proxy is set: limits, slow and partial bodies, gRPC, faults told as errors, and the switch that opens. */
import { expect, test } from '@jest/globals';
import { cluster, connectionManager, extAuthz, virtualHost } from '../../scripts/envoy-config.ts';
import { headerOf, http1, http2, rawHttp1 } from './wire.ts';
import { PATIENCE } from '../support/deployment.ts';
import { echoOf, MAX_BODY, upstream, verdictOf, type WorldOptions } from './world.ts';
import { open } from './worlds.ts';

test('EV-05 a body cut at the limit is never complete, although the proxy may send parts', async () => {
  const at = await open({
    changeEnvoy: (config) => {
      extAuthz(config).with_request_body.allow_partial_message = true;
    },
  });
  const whole = new Uint8Array(MAX_BODY + 1000).fill(0x61);
  const cut = whole.subarray(0, MAX_BODY);
  const headers = [['authorization', await at.prove({ method: 'POST', target: '/a', body: cut })]] as const;
  const frames = [cut, whole.subarray(MAX_BODY)];
  for (const answer of [
    await http2({ method: 'POST', target: '/a', to: at.to, headers, frames }),
    await http1({ method: 'POST', target: '/a', to: at.to, headers, body: whole }),
  ]) {
    expect(verdictOf(answer)).toBe('413 body_unverifiable');
  }
});

test('EV-06 a body with trailers passes; trailers are not signed', async () => {
  const at = await open();
  const authorization = await at.prove({ method: 'POST', target: '/a', body: new TextEncoder().encode('abc') });
  const head = `POST /a HTTP/1.1\r\nhost: ${at.to}\r\nauthorization: ${authorization}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n`;
  echoOf(await rawHttp1(at.to, Buffer.from(`${head}\r\n3\r\nabc\r\n0\r\nx-trailer: 1\r\n\r\n`)));
});

test('EV-08 headers near our limit pass, beyond it they are 413, never open', async () => {
  const at = await open({
    changeEnvoy: (config) => {
      connectionManager(config).max_request_headers_kb = 96;
    },
  });
  const send = async (kilobytes: number) => {
    const filling = Array.from({ length: kilobytes }, (_, index) => [`x-h${index}`, 'v'.repeat(1000)] as const);
    const authorization = await at.prove({ method: 'GET', target: '/a' });
    return http1({ method: 'GET', target: '/a', to: at.to, headers: [['authorization', authorization], ...filling] });
  };
  // The echo upstream takes no more than 16 kB of headers and says so itself: what matters is that the check let it pass.
  const near = await send(40);
  expect([200, 431]).toContain(near.status);
  expect((await at.decisions()).get('api challenge-signature allow ok')).toBe(1);
  expect((await send(70)).status).toBe(413);
});

test('EV-09 a body that does not come is 408 by the proxy, and nothing is spent', async () => {
  const at = await open({
    changeEnvoy: (config) => {
      connectionManager(config).request_timeout = '1s';
    },
  });
  const body = new TextEncoder().encode('0123456789');
  const authorization = await at.prove({ method: 'POST', target: '/a', body });
  const head = `POST /a HTTP/1.1\r\nhost: ${at.to}\r\nauthorization: ${authorization}\r\ncontent-length: 10\r\n\r\n01234`;
  expect((await rawHttp1(at.to, Buffer.from(head))).status).toBe(408);
  expect(
    verdictOf(
      await http1({ method: 'POST', target: '/a', to: at.to, headers: [['authorization', authorization]], body }),
    ),
  ).toBe('200');
});

test('EV-19 gRPC without a body policy: a proof passes, a refusal maps to grpc-status 16', async () => {
  const at = await open();
  const target = '/example.v1.Feed/Watch';
  const grpc = [
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ] as const;
  const authorization = await at.prove({ method: 'POST', target, body: null });
  const frames = [Uint8Array.of(0, 0, 0, 0, 0)];
  const answer = await http2({
    method: 'POST',
    target,
    to: at.to,
    headers: [['authorization', authorization], ...grpc],
    frames,
  });
  expect(upstream(echoOf(answer), 'x-auth-body')).toEqual(['none']);
  const refused = await http2({ method: 'POST', target, to: at.to, headers: grpc, frames });
  expect([refused.status, headerOf(refused, 'grpc-status')]).toEqual([200, '16']);
});

test.each([
  ['newest', 503],
  ['oldest', 403],
] as const)('EV-23 a fault told as an error is refused by Envoy %s with %i', async (envoy, status) => {
  const at = await open({
    envoy,
    change(config) {
      config['envoy'] = { maxRequestBytes: MAX_BODY, checkBudget: PATIENCE, faultResponse: 'error' };
    },
    changeEnvoy: (config) => {
      const settings = virtualHost(config).typed_per_filter_config['envoy.filters.http.ext_authz'].check_settings;
      settings.context_extensions = { 'countersign.rout': 'api' };
    },
  });
  const authorization = await at.prove({ method: 'GET', target: '/a' });
  const answer = await http1({ method: 'GET', target: '/a', to: at.to, headers: [['authorization', authorization]] });
  expect(answer.status).toBe(status);
});

test('EV-25 failure_mode_allow opens when the service is gone: why the shipped configuration says false', async () => {
  const gone = (config: Parameters<NonNullable<WorldOptions['changeEnvoy']>>[0]) => {
    const [endpoint] = cluster(config, 'countersign').load_assignment.endpoints[0].lb_endpoints;
    endpoint.endpoint.address = { pipe: { path: '/nonexistent/check.sock' } };
  };
  const closed = await open({ changeEnvoy: gone });
  expect((await http1({ method: 'GET', target: '/a', to: closed.to })).status).toBe(503);
  await closed.stop();

  const opened = await open({
    changeEnvoy: (config) => {
      gone(config);
      extAuthz(config).failure_mode_allow = true;
    },
  });
  const echo = echoOf(
    await http1({ method: 'GET', target: '/a', to: opened.to, headers: [['x-auth-subject', 'root']] }),
  );
  expect(upstream(echo, 'x-auth-subject')).toEqual([]);
});
