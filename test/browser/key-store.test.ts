/**
 * Keys in a real browser: made there, enrolled there, kept in IndexedDB over a reload, never to be read out, and signing requests that
 * pass a real Envoy.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type * as library from '../../src/client/index.ts';
import { openBrowser } from '../support/browser.ts';
import { bundleClient } from '../support/client-bundle.ts';
import { type Deployment, openDeployment } from '../support/deployment.ts';

let browser: Browser;
let code: string;

beforeAll(async () => {
  [browser, code] = await Promise.all([openBrowser(), bundleClient().then((files) => files.get('index.js') ?? '')]);
}, 120_000);
afterAll(() => browser.close());

/** A page of this origin on which the library is the global `countersign`. */
async function openPage(context: BrowserContext, origin: string): Promise<Page> {
  const page = await context.newPage();
  await page.route(`${origin}/page`, (route) =>
    route.fulfill({
      contentType: 'text/html',
      body: '<script type="module">import * as all from "/library.js"; globalThis.countersign = all;</script>',
    }),
  );
  await page.route(`${origin}/library.js`, (route) => route.fulfill({ contentType: 'text/javascript', body: code }));
  await load(page, `${origin}/page`);
  return page;
}

async function load(page: Page, address: string): Promise<void> {
  await page.goto(address);
  await page.waitForFunction(() => 'countersign' in globalThis);
}

describe.each(['Ed25519', 'ES256'] as const)('%s', (alg) => {
  let deployment: Deployment;
  let page: Page;

  beforeAll(async () => {
    deployment = await openDeployment({ settings: { challenges: 'stateless' } });
    page = await openPage(await browser.newContext(), deployment.url);
  }, 60_000);
  afterAll(() => deployment.stop());

  const publicJwkOf = () => page.evaluate(async (name) => (await countersign.browserKey('mine', name)).publicJwk, alg);

  const post = () =>
    page.evaluate(async () => {
      const key = await countersign.browserKey('mine');
      const signer = countersign.challengeSignature({ user: 'alice', kid: 'k1', key });
      const client = countersign.createClient({ baseUrl: location.origin, signer });
      const answers = [];
      for (const body of ['one', new Blob(['two']), new URLSearchParams({ three: '3' })]) {
        answers.push((await client.fetch('/transfer?dry=0', { method: 'POST', body })).status);
      }
      return answers;
    });

  test('signs requests, and again after a reload, with the same key', async () => {
    const invited = { scheme: 'challenge-signature', subject: 'alice', ttl: '10m' };
    const { token } = await deployment.admin('POST', 'invites', invited);
    const before = await publicJwkOf();
    const subject = await page.evaluate(async (invitation) => {
      const key = await countersign.browserKey('mine');
      const enrolment = { baseUrl: location.origin, scheme: 'challenge-signature', invitation, kid: 'k1', key };
      return (await countersign.enrol(enrolment)).subject;
    }, String(token));
    expect(subject).toBe('alice');
    expect(await post()).toEqual([200, 200, 200]);
    await load(page, `${deployment.url}/page`);
    expect(await publicJwkOf()).toEqual(before);
    expect(await post()).toEqual([200, 200, 200]);
  });

  test('a signed request is 200 once, then 401', async () => {
    const answers = await page.evaluate(async () => {
      const key = await countersign.browserKey('mine');
      const signer = countersign.challengeSignature({ user: 'alice', kid: 'k1', key });
      const client = countersign.createClient({ baseUrl: location.origin, signer });
      const { url, method, headers, body } = await client.signRequest('/once', { method: 'POST', body: 'abc' });
      const send = async () => (await fetch(url, { method, headers, body: body ?? null })).status;
      return [await send(), await send()];
    });
    expect(answers).toEqual([200, 401]);
  });

  test('the private key can not be exported', async () => {
    const refusal = await page.evaluate(async () => {
      const opening = indexedDB.open('countersign');
      await new Promise((resolve) => opening.addEventListener('success', resolve));
      const reading = opening.result.transaction('keys').objectStore('keys').get('mine');
      await new Promise((resolve) => reading.addEventListener('success', resolve));
      const { privateKey } = reading.result as library.KeyPair;
      return crypto.subtle.exportKey('jwk', privateKey).catch((error: Error) => error.name);
    });
    expect(refusal).toBe('InvalidAccessError');
  });

  test('two tabs that make a key at once get the same one; a forgotten one is made anew', async () => {
    const tabs = [page, await openPage(page.context(), deployment.url)];
    const [one, two] = await Promise.all(tabs.map(make));
    expect(two).toBe(one);
    await page.evaluate(() => countersign.forgetBrowserKey('racing'));
    expect(await make(page)).not.toBe(one);
  });

  test('a refusal is the typed error of the library', async () => {
    const told = await page.evaluate(async () => {
      const key = await countersign.signingKey(await countersign.generateKeyPair('ES256'));
      const signer = countersign.challengeSignature({ user: 'alice', kid: 'k1', key });
      const client = countersign.createClient({ baseUrl: location.origin, signer });
      return client.fetch('/x').catch((error: library.CountersignError) => [error.name, error.code, error.status]);
    });
    expect(told).toEqual(['CountersignError', 'signature_invalid', 401]);
  });
});

async function make(tab: Page): Promise<string> {
  return tab.evaluate(async () => (await countersign.browserKey('racing')).publicJwk.x);
}

/** As the page sees them. */
declare const countersign: typeof library;
declare const location: { readonly origin: string };
declare const indexedDB: {
  open(name: string): Opening;
};
interface Opening {
  readonly result: { transaction(store: string): { objectStore(name: string): { get(key: string): Reading } } };
  addEventListener(event: 'success', listener: (value: unknown) => void): void;
}
interface Reading {
  readonly result: unknown;
  addEventListener(event: 'success', listener: (value: unknown) => void): void;
}
