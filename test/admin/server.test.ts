/** The administrator's listener: who gets in (OP-19), and what it says to everybody. */
import { afterEach, describe, expect, test } from '@jest/globals';
import * as v from 'valibot';
import { type AdminFacts, createAdmin, mountAdmin } from '../../src/admin/server.ts';
import { systemClock } from '../../src/core/clock.ts';
import { defineEndpoint } from '../../src/core/scheme.ts';
import { Secret } from '../../src/core/secret.ts';
import { randomBytes } from '../../src/crypto/random.ts';

const opened: { close(graceMs: number): Promise<void> }[] = [];
afterEach(() => Promise.all(opened.splice(0).map((admin) => admin.close(0))));

const TOKEN = 'a-token-of-some-length-0123456789';
const bearer = (token: string) => ({ authorization: `Bearer ${token}`, 'content-type': 'application/json' });

async function openAdmin(
  token: () => Secret<string> | undefined = () => new Secret(TOKEN),
  changes: Partial<AdminFacts> = {},
) {
  const audited: string[] = [];
  const order: string[] = [];
  const facts: AdminFacts = {
    exposition: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'up 1\n' }),
    isAlive: () => true,
    readiness: () => ({ store: true, draining: true }),
    status: () => ({ version: '1' }),
    keys: () => ({ keys: [] }),
    reload: async () => void order.push('reload'),
    setLogLevel: (level, ttlMs) => order.push(`${level} ${ttlMs}`),
    async audit(action) {
      order.push(`audit ${action}`);
      audited.push(action);
    },
    ...changes,
  };
  const call = defineEndpoint({
    listener: 'admin',
    method: 'POST',
    path: 'revoke-token',
    bucket: 'own',
    body: v.strictObject({ jti: v.string() }),
    handle: () => ({ status: 200, body: {} }),
  });
  const admin = await createAdmin({
    address: '127.0.0.1:0',
    token,
    mounted: () => mountAdmin(facts, [{ endpoint: call, scheme: 'example' }]),
    clock: systemClock,
    random: randomBytes,
    events: { request() {}, fault() {} },
  });
  opened.push(admin);
  return { url: `http://${admin.address}`, audited, order };
}

describe('the token', () => {
  test.each<[string, Record<string, string>]>([
    ['none', {}],
    ['another one', bearer('another-token-0123456789')],
    ['a prefix', bearer(TOKEN.slice(0, -1))],
    ['a longer one', bearer(`${TOKEN}x`)],
    ['another scheme', { authorization: `Basic ${TOKEN}` }],
    ['lower case', { authorization: `bearer ${TOKEN}` }],
    ['two blanks', { authorization: `Bearer  ${TOKEN}` }],
    ['an empty one', { authorization: 'Bearer ' }],
  ])('%s is unauthorized, on every path of the API', async (_title, headers) => {
    const { url, audited } = await openAdmin();
    for (const [method, path] of [
      ['GET', 'status'],
      ['GET', 'keys'],
      ['POST', 'reload'],
      ['PUT', 'log-level'],
      ['POST', 'example/revoke-token'],
    ] as const) {
      const answer = await fetch(`${url}/admin/v1/${path}`, {
        method,
        headers,
        ...(method !== 'GET' && { body: '{}' }),
      });
      expect([path, answer.status]).toEqual([path, 401]);
      expect(await answer.json()).toMatchObject({ code: 'unauthorized' });
    }
    expect(audited).toEqual([]);
  });

  test('the right one gets in; it is read anew each time', async () => {
    let current = TOKEN;
    const { url } = await openAdmin(() => new Secret(current));
    const status = async () => (await fetch(`${url}/admin/v1/status`, { headers: bearer(TOKEN) })).status;
    expect(await status()).toBe(200);
    current = 'rotated-token-0123456789';
    expect(await status()).toBe(401);
  });

  test('without one configured there is no API, and with a file that can not be read nobody gets in', async () => {
    const off = await openAdmin(() => undefined);
    expect((await fetch(`${off.url}/admin/v1/status`, { headers: bearer(TOKEN) })).status).toBe(404);
    const broken = await openAdmin(() => {
      throw new Error('ENOENT');
    });
    expect((await fetch(`${broken.url}/admin/v1/status`, { headers: bearer(TOKEN) })).status).toBe(503);
  });
});

describe('everybody', () => {
  test('sees metrics, health and readiness', async () => {
    const { url } = await openAdmin();
    const metrics = await fetch(`${url}/metrics`);
    expect([metrics.status, metrics.headers.get('content-type'), await metrics.text()]).toEqual([
      200,
      'text/plain; version=0.0.4',
      'up 1\n',
    ]);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });

  test('readiness is every condition; verbose says which one', async () => {
    const { url } = await openAdmin(undefined, { readiness: () => ({ store: false, draining: true }) });
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    const verbose = await fetch(`${url}/readyz?verbose`);
    expect([verbose.status, await verbose.json()]).toEqual([503, { store: false, draining: true }]);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });
});

describe('calls', () => {
  test('a change is audited before it is answered', async () => {
    const { url, order } = await openAdmin();
    const put = await fetch(`${url}/admin/v1/log-level`, {
      method: 'PUT',
      headers: bearer(TOKEN),
      body: '{"level":"debug","ttl":"10m"}',
    });
    expect([put.status, await put.json()]).toEqual([200, { level: 'debug', ttlMs: 600_000 }]);
    const reload = await fetch(`${url}/admin/v1/reload`, { method: 'POST', headers: bearer(TOKEN), body: '{}' });
    expect([reload.status, await reload.json()]).toEqual([200, { result: 'applied' }]);
    expect(order).toEqual(['debug 600000', 'audit log-level', 'reload', 'audit reload']);
  });

  test('when the audit fails the answer is a fault', async () => {
    const { url } = await openAdmin(undefined, {
      audit: async () => {
        throw new Error('the pipe is gone');
      },
    });
    const answer = await fetch(`${url}/admin/v1/reload`, { method: 'POST', headers: bearer(TOKEN), body: '{}' });
    expect(answer.status).toBe(503);
  });

  test('a refused reload is 409 with the reason', async () => {
    const { url } = await openAdmin(undefined, { reload: async () => 'restart required: store' });
    const answer = await fetch(`${url}/admin/v1/reload`, { method: 'POST', headers: bearer(TOKEN), body: '{}' });
    expect([answer.status, await answer.json()]).toEqual([
      409,
      { result: 'refused', reason: 'restart required: store' },
    ]);
  });

  test.each([
    ['PUT', 'log-level', '{"level":"trace","ttl":"10m"}'],
    ['PUT', 'log-level', '{"level":"debug","ttl":"2h"}'],
    ['PUT', 'log-level', '{"level":"debug"}'],
    ['POST', 'reload', '{"force":true}'],
    ['POST', 'example/revoke-token', '{"jti":"a","more":1}'],
  ])('%s %s %s is malformed', async (method, path, body) => {
    const { url, audited } = await openAdmin();
    const init = { method, headers: bearer(TOKEN), body };
    const answer = await fetch(`${url}/admin/v1/${path}`, init);
    expect([answer.status, audited]).toEqual([400, []]);
  });

  test("a scheme's own call is mounted under its name", async () => {
    const { url } = await openAdmin();
    const answer = await fetch(`${url}/admin/v1/example/revoke-token`, {
      method: 'POST',
      headers: bearer(TOKEN),
      body: '{"jti":"a"}',
    });
    expect(answer.status).toBe(200);
  });
});
