/** better-auth v0 in a real browser, through a real Envoy: keys that can't be read, a passphrase whose stretching the page announces. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type * as library from '../../src/client/index.ts';
import { virtualHost } from '../../scripts/envoy-config.ts';
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
      ringUses: ['response-signing', 'access-signing', 'pepper'],
      change(config) {
        delete config.schemes['challenge-signature'];
        config.schemes['better-auth'] = { v0: { passphraseParameters: '$argon2id$v=19$m=19456,t=2,p=1$' } };
        for (const route of Object.values(config.routes)) route['schemes'] = ['better-auth'];
      },
      changeEnvoy(config) {
        const { routes } = virtualHost(config) as { routes: { match: object }[] };
        const issuer = routes.find(({ match }) => 'path_separated_prefix' in match);
        routes.unshift({ ...issuer, name: 'better-auth', match: { path_separated_prefix: '/better-auth' } } as never);
      },
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

const material = async (order: object): Promise<string> =>
  String((await deployment.admin('POST', 'better-auth/v0/registrations', order))['material']);

/** Signs a request on a page and sends it. @returns the status. */
const get = (on: Page) =>
  on.evaluate(async () => {
    const channel = countersign.connectMessages({ scheme: 'better-auth', baseUrl: location.origin });
    const { signer } = countersign.v0Device({ channel, state: countersign.browserState('mine') });
    const client = countersign.createClient({ baseUrl: location.origin, signer });
    return (await client.fetch('/a', { method: 'POST', body: 'x' })).status;
  });

test('a device registers, goes on after a reload, rotates, and shares its session among tabs', async () => {
  const given = await material({ kind: 'key' });
  const account = await page.evaluate(async (text) => {
    const channel = countersign.connectMessages({ scheme: 'better-auth', baseUrl: location.origin });
    const device = countersign.v0Device({ channel, state: countersign.browserState('mine') });
    return device.register(text);
  }, given);
  expect(await get(page)).toBe(200);
  await page.reload();
  await page.waitForFunction(() => 'countersign' in globalThis);
  const tab = await openPage();
  expect(await Promise.all([get(page), get(tab), get(page), get(tab)])).toEqual([200, 200, 200, 200]);
  await page.evaluate(async () => {
    const channel = countersign.connectMessages({ scheme: 'better-auth', baseUrl: location.origin });
    await countersign.v0Device({ channel, state: countersign.browserState('mine') }).rotate();
  });
  expect(await get(tab)).toBe(200);
  const { devices } = await deployment.admin('POST', 'better-auth/v0/lookup', { subject: account.accountId });
  expect(devices).toHaveLength(1);
  expect(await deployment.log()).not.toContain('session_theft');
}, 60_000);

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

test('a passphrase is announced before the page stands still, registers, and logs in', async () => {
  const given = await material({ kind: 'passphrase' });
  const seen = await page.evaluate(async (text) => {
    const told: string[] = [];
    let frames = 0;
    let framesWhenTold = 0;
    const count = () => {
      frames += 1;
      requestAnimationFrame(count);
    };
    requestAnimationFrame(count);
    const onProgress: library.Deriving['onProgress'] = ({ state, expectedMs }) => {
      told.push(`${state} ${expectedMs > 0}`);
      if (state === 'deriving') framesWhenTold = frames;
    };
    const derive: library.Deriving['derive'] = async (password, salt, cost) => {
      told.push(`painted ${frames > framesWhenTold}`);
      return countersign.argon2id(password, salt, cost);
    };
    const channel = countersign.connectMessages({ scheme: 'better-auth', baseUrl: location.origin });
    const { accountId } = await countersign.registerV0Passphrase({ channel }, text, 'open sesame', {
      onProgress,
      derive,
    });
    const state = countersign.browserState('by passphrase');
    const credential = { accountId, passphrase: 'open sesame' };
    const { signer } = await countersign.loginV0Passphrase({ channel, state }, credential);
    const client = countersign.createClient({ baseUrl: location.origin, signer });
    return [...told, (await client.fetch('/a')).status];
  }, given);
  expect(seen).toEqual(['deriving true', 'painted true', 'done true', 200]);
}, 60_000);

/** What a page has and Node has not. */
declare const countersign: typeof library;
declare const location: { readonly origin: string };
declare const requestAnimationFrame: (run: () => void) => void;
declare const indexedDB: { open(name: string): Opening };
interface Opening {
  readonly result: { transaction(store: string): { objectStore(name: string): { getAll(): Reading } } };
  addEventListener(event: 'success', listener: (value: unknown) => void): void;
}
interface Reading {
  readonly result: unknown;
  addEventListener(event: 'success', listener: (value: unknown) => void): void;
}
