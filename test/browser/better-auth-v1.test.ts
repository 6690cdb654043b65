/** better-auth v1 in a real browser, through a real Envoy: a device of keys that no script can read, shared among tabs. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type * as library from '../../src/client/index.ts';
import { routeToIssuer } from '../../scripts/envoy-config.ts';
import { OPERATIONS } from '../../src/schemes/better-auth/v1/message.ts';
import { openBrowser } from '../support/browser.ts';
import { bundleClient } from '../support/client-bundle.ts';
import { type Deployment, openDeployment } from '../support/deployment.ts';

let browser: Browser;
let files: ReadonlyMap<string, string>;
let deployment: Deployment;
let context: BrowserContext;
let page: Page;

beforeAll(async () => {
  [browser, files, deployment] = await Promise.all([
    openBrowser(),
    bundleClient(),
    openDeployment({
      ringUses: ['response-signing', 'access-signing'],
      change(config) {
        delete config.schemes['challenge-signature'];
        config.schemes['better-auth'] = { versions: ['v1'] };
        for (const route of Object.values(config.routes)) route['schemes'] = ['better-auth'];
      },
      changeEnvoy: (config) =>
        routeToIssuer(config, [...OPERATIONS.map((operation) => `/${operation}`), '/better-auth/keys']),
    }),
  ]);
  context = await browser.newContext();
  page = await openPage();
}, 120_000);
afterAll(async () => {
  await browser.close();
  await deployment.stop();
});

/** A page of the deployment's origin on which the library is the global `countersign`. */
async function openPage(): Promise<Page> {
  const opened = await context.newPage();
  const origin = deployment.url;
  await opened.route(`${origin}/page`, (route) =>
    route.fulfill({
      contentType: 'text/html',
      headers: { 'content-security-policy': "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'" },
      body: '<script type="module">import * as all from "/library/index.js"; globalThis.countersign = all;</script>',
    }),
  );
  await opened.route(`${origin}/library/*`, (route) => {
    const name = new URL(route.request().url()).pathname.split('/').at(-1) ?? '';
    return route.fulfill({ contentType: 'text/javascript', body: files.get(name) ?? '' });
  });
  await opened.goto(`${origin}/page`);
  await opened.waitForFunction(() => 'countersign' in globalThis);
  return opened;
}

/** Signs a request on a page and sends it. @returns the status. */
const get = (on: Page) =>
  on.evaluate(async () => {
    const channel = countersign.connectMessages({ scheme: 'better-auth', baseUrl: location.origin });
    const { signer } = countersign.v1Device({ channel, state: countersign.browserState('mine') });
    const client = countersign.createClient({ baseUrl: location.origin, signer });
    return (await client.fetch('/a', { method: 'POST', body: 'x' })).status;
  });

test('a device makes an account, goes on after a reload, rotates, and shares its session among tabs', async () => {
  const { identity, body } = await page.evaluate(async () => {
    const channel = countersign.connectMessages({ scheme: 'better-auth', baseUrl: location.origin });
    const device = countersign.v1Device({ channel, state: countersign.browserState('mine') });
    const recoveryKey = await countersign.browserKey('recovery', 'ES256');
    const account = await device.create({ recoveryHash: await countersign.v1RecoveryHash(recoveryKey) });
    return { ...account, body: await device.accessMessage({ amount: 50 }) };
  });
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body };
  expect((await fetch(`${deployment.url}/transfer`, init)).status).toBe(200);
  await page.reload();
  await page.waitForFunction(() => 'countersign' in globalThis);
  const tab = await openPage();
  expect(await Promise.all([get(page), get(tab), get(page), get(tab)])).toEqual([200, 200, 200, 200]);
  await page.evaluate(async () => {
    const channel = countersign.connectMessages({ scheme: 'better-auth', baseUrl: location.origin });
    await countersign.v1Device({ channel, state: countersign.browserState('mine') }).rotate();
  });
  await deployment.admin('POST', 'better-auth/v1/revoke', { subject: identity, sessions: true });
  await new Promise((done) => setTimeout(done, 6_000));
  // Both tabs find out, and one of them opens the session that both use.
  expect(await Promise.all([get(tab), get(page)])).toEqual([200, 200]);
  const { devices } = await deployment.admin('POST', 'better-auth/v1/lookup', { subject: identity });
  expect(devices).toHaveLength(1);
}, 60_000);

test('another device is linked and takes the account over with the recovery key', async () => {
  const seen = await page.evaluate(async () => {
    const channel = countersign.connectMessages({ scheme: 'better-auth', baseUrl: location.origin });
    const open = (name: string) => countersign.v1Device({ channel, state: countersign.browserState(name) });
    const mine = open('mine');
    const { identity = '' } = (await mine.account()) ?? {};
    const other = open('other');
    await mine.link(await other.linkContainer(identity));
    const visit = async ({ signer }: library.V1Device) =>
      countersign
        .createClient({ baseUrl: location.origin, signer })
        .fetch('/a')
        .then(
          ({ status }) => status,
          ({ code }: { code: string }) => code,
        );
    const linked = await visit(other);
    const recoveryKey = await countersign.browserKey('recovery', 'ES256');
    const next = await countersign.browserKey('next recovery', 'ES256');
    const heir = open('heir');
    await heir.recover({ identity, recoveryKey, recoveryHash: await countersign.v1RecoveryHash(next) });
    return [linked, await visit(heir), await visit(other)];
  });
  expect(seen).toEqual([200, 200, 'signature_invalid']);
});

test('no private key of it can be exported', async () => {
  const refusals = await page.evaluate(async () => {
    const opening = indexedDB.open('countersign');
    await new Promise((resolve) => opening.addEventListener('success', resolve));
    const reading = opening.result.transaction('keys').objectStore('keys').getAll();
    await new Promise((resolve) => reading.addEventListener('success', resolve));
    const pairs = (reading.result as unknown[]).filter((kept) => typeof kept === 'object') as library.KeyPair[];
    return Promise.all(
      pairs.map(({ privateKey }) => crypto.subtle.exportKey('jwk', privateKey).catch((error: Error) => error.name)),
    );
  });
  expect(refusals.length).toBeGreaterThan(2);
  expect(new Set(refusals)).toEqual(new Set(['InvalidAccessError']));
});

declare const countersign: typeof library;
declare const location: { readonly origin: string };
declare const indexedDB: { open(name: string): Opening };
interface Opening {
  readonly result: { transaction(store: string): { objectStore(name: string): { getAll(): Reading } } };
  addEventListener(event: 'success', listener: (value: unknown) => void): void;
}
interface Reading {
  readonly result: unknown;
  addEventListener(event: 'success', listener: (value: unknown) => void): void;
}
