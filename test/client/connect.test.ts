/** The issuer for calls beside requests: where it may be, and that only its own paths are called. */
import { expect, test } from '@jest/globals';
import { connectIssuer } from '../../src/client/index.ts';
import { thrownBy } from '../support/refusal.ts';

const answering = (schemes: object) => {
  const called: string[] = [];
  const send = (async (url: string | URL | Request) => {
    called.push(url instanceof Request ? url.url : url.toString());
    return new Response(JSON.stringify({ timeMs: 1_700_000_000_000, schemes }));
  }) as typeof fetch;
  return { called, send };
};

test.each(['http://api.example.com', 'ftp://api.example.com', 'http://10.0.0.1'])(
  'request_unsuitable for %s: a password login is not begun without TLS',
  (baseUrl) => {
    expect(thrownBy(() => connectIssuer({ scheme: 'opaque-pop', baseUrl }))).toMatchObject({
      code: 'request_unsuitable',
    });
  },
);

test('calls what discovery names, at the issuer where it has an origin of its own', async () => {
  const { called, send } = answering({
    'opaque-pop': { endpoints: { logout: '/auth/opaque-pop/logout' }, parameters: {} },
  });
  const issuer = connectIssuer({
    scheme: 'opaque-pop',
    baseUrl: 'https://api.example.com',
    issuerUrl: 'https://login.example.com/ignored',
    fetch: send,
  });
  await issuer.post('logout', {});
  expect(called).toEqual([
    'https://login.example.com/.well-known/countersign',
    'https://login.example.com/auth/opaque-pop/logout',
  ]);
  expect(Math.abs(issuer.nowMs() - 1_700_000_000_000)).toBeLessThan(60_000);
});

test('not_offered for a scheme that the deployment has not, answer_invalid for an endpoint elsewhere', async () => {
  const { send } = answering({ 'opaque-pop': { endpoints: { logout: 'https://evil.example.com/' }, parameters: {} } });
  const connect = (scheme: string) => connectIssuer({ scheme, baseUrl: 'https://api.example.com', fetch: send });
  await expect(connect('other').parameters()).rejects.toMatchObject({ code: 'not_offered' });
  await expect(connect('opaque-pop').post('logout', {})).rejects.toMatchObject({ code: 'answer_invalid' });
});
