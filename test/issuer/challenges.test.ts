/** What a refusal of the issuer says about how to come in (CT-12, CT-13): the scheme's own lines, as on the Check front. */
import { afterEach, expect, test } from '@jest/globals';
import { systemClock } from '../../src/core/clock.ts';
import { DENIAL_CODES, Denial, wireCode, type DenialCode } from '../../src/core/decision.ts';
import type { RoutePolicy } from '../../src/core/request.ts';
import type { Endpoint, Scheme } from '../../src/core/scheme.ts';
import { createHttpServer } from '../../src/http/server.ts';
import { mountIssuer } from '../../src/issuer/server.ts';

const opened: { close(graceMs: number): Promise<void> }[] = [];
afterEach(() => Promise.all(opened.splice(0).map((issuer) => issuer.close(0))));

let refusal: DenialCode = 'stale';
const login: Endpoint = {
  listener: 'issuer',
  method: 'POST',
  path: 'login',
  bucket: 'own',
  handle() {
    throw new Denial(refusal, 'as the test says');
  },
};

const scheme: Scheme = {
  name: 'example',
  verify() {
    throw new Error('not asked here');
  },
  endpoints: [login],
  challenges: ({ realm }, refused) => [
    `Example realm="${realm}", error="${refused === undefined ? '' : wireCode(refused.denial.code)}"`,
    `Bearer realm="${realm}"`,
  ],
  discovery: { profiles: [], parameters: {} },
};

const policy: RoutePolicy = {
  route: 'api',
  body: 'none',
  tenant: 'default',
  realm: 'here',
  audience: [],
  options: {},
};

async function openIssuer(): Promise<string> {
  const paths = mountIssuer('/auth', [{ scheme, endpoints: scheme.endpoints, policy }], {
    audiences: [],
    nowMs: () => 0,
    jwks: () => ({ members: {}, headers: [] }),
  });
  const issuer = await createHttpServer({
    address: '127.0.0.1:0',
    setting: 'listeners.issuer.address',
    headersTimeoutMs: 5000,
    requestTimeoutMs: 5000,
    keepAliveTimeoutMs: 1000,
    maxConnections: 10,
    mounted: () => paths,
    bodyBytes: () => 1024,
    trustedHops: () => 0,
    clock: systemClock,
    random: (count) => new Uint8Array(count),
    events: { request: () => undefined, fault: () => undefined },
  });
  opened.push(issuer);
  return `http://${issuer.address}/auth/example/login`;
}

async function answer(url: string) {
  const response = await fetch(url, { method: 'POST' });
  const headers = [...response.headers].filter(([name]) => name !== 'date' && name !== 'auth-server-time');
  return {
    status: response.status,
    headers,
    line: response.headers.get('www-authenticate'),
    body: await response.text(),
  };
}

test.each(Object.keys(DENIAL_CODES) as DenialCode[])('%s carries the lines exactly when it is a 401', async (code) => {
  const url = await openIssuer();
  refusal = code;
  const { status, line } = await answer(url);
  const lines = `Example realm="here", error="${wireCode(code)}", Bearer realm="here"`;
  expect([status, line]).toEqual([DENIAL_CODES[code].issuer, status === 401 ? lines : null]);
});

test('unknown_credential and signature_invalid are equal byte for byte, these lines included', async () => {
  const url = await openIssuer();
  refusal = 'unknown_credential';
  const unknown = await answer(url);
  refusal = 'signature_invalid';
  expect(await answer(url)).toEqual(unknown);
});
