import { afterEach, expect, test } from '@jest/globals';
import { createAdmin, mountAdmin, type AdminFacts } from '../../src/admin/server.ts';
import { systemClock } from '../../src/core/clock.ts';
import { HttpProblem } from '../../src/core/http.ts';
import type { Endpoint } from '../../src/core/scheme.ts';
import { Secret } from '../../src/core/secret.ts';
import { randomBytes } from '../../src/crypto/random.ts';

const opened: { close(graceMs: number): Promise<void> }[] = [];
afterEach(() => Promise.all(opened.splice(0).map((admin) => admin.close(0))));

const facts: AdminFacts = {
  exposition: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'up 1\n' }),
  isAlive: () => true,
  readiness: () => ({ store: true }),
  status: () => ({}),
  keys: () => ({ keys: [] }),
  reload: async () => undefined,
  setLogLevel: () => undefined,
  audit: async () => undefined,
};

async function openAdmin(token: () => Secret<string> | undefined, order: string[] = []): Promise<string> {
  const own: Endpoint = {
    listener: 'admin',
    method: 'POST',
    path: 'forget',
    bucket: 'own',
    handle({ raw }) {
      if (raw.length > 0) throw new HttpProblem('conflict', 'in the way');
      order.push('changed');
      return { status: 200, body: {} };
    },
  };
  const audit = async (action: string) => void order.push(`audit ${action}`);
  const paths = mountAdmin({ ...facts, audit }, [{ endpoint: own, scheme: 'example' }]);
  const events = { request: () => undefined, fault: () => undefined };
  const admin = await createAdmin({
    address: '127.0.0.1:0',
    token,
    mounted: () => paths,
    clock: systemClock,
    random: randomBytes,
    events,
  });
  opened.push(admin);
  return `http://${admin.address}`;
}

const WITHOUT_TOKEN = [
  ['GET', '/admin/v1/status'],
  ['PUT', '/admin/v1/status'],
  ['POST', '/admin/v1/no-such-call'],
  ['OPTIONS', '/admin/v1/reload'],
  ['GET', '/'],
] as const;

test('who has no token gets unauthorized for every path, so that none is told to exist', async () => {
  const url = await openAdmin(() => new Secret('right'));
  for (const [method, path] of WITHOUT_TOKEN) {
    const answer = await fetch(url + path, { method });
    expect([path, answer.status, answer.headers.get('allow')]).toEqual([path, 401, null]);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="countersign"');
  }
});

test('without a token configured every path is not_found, whatever the method', async () => {
  const url = await openAdmin(() => undefined);
  for (const [method, path] of WITHOUT_TOKEN) {
    const answer = await fetch(url + path, { method });
    expect([path, answer.status, answer.headers.get('allow')]).toEqual([path, 404, null]);
  }
});

test('metrics and health answer without a token, with a query too', async () => {
  const url = await openAdmin(() => undefined);
  for (const path of ['/metrics', '/metrics?name=x', '/healthz', '/readyz', '/readyz?verbose']) {
    expect([path, (await fetch(url + path)).status]).toEqual([path, 200]);
  }
});

test("a change by a scheme's own call is audited, a refused one is not", async () => {
  const order: string[] = [];
  const url = await openAdmin(() => new Secret('right'), order);
  const call = (body: string) =>
    fetch(`${url}/admin/v1/example/forget`, { method: 'POST', body, headers: { authorization: 'Bearer right' } });
  expect((await call('x')).status).toBe(409);
  expect((await call('')).status).toBe(200);
  expect(order).toEqual(['changed', 'audit example.forget']);
});
