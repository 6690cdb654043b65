/**
 * Hash chains in a real browser: enrolled there, kept in IndexedDB over a reload, shared by tabs, never a token twice; under a content
 * security policy, and with requests that pass a real Envoy.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type * as library from '../../src/client/index.ts';
import { openBrowser } from '../support/browser.ts';
import { bundleClient } from '../support/client-bundle.ts';
import { type Deployment, openDeployment } from '../support/deployment.ts';

let browser: Browser;
let files: ReadonlyMap<string, string>;
let deployment: Deployment;

beforeAll(async () => {
  [browser, files, deployment] = await Promise.all([
    openBrowser(),
    bundleClient(),
    openDeployment({
      ringUses: ['challenge-mac', 'wrap', 'pepper'],
      change(config) {
        config.schemes['time-scrambled'] = {};
        config.routes['api'] = { ...config.routes['api'], schemes: ['time-scrambled'] };
      },
    }),
  ]);
}, 120_000);
afterAll(async () => {
  await browser.close();
  await deployment.stop();
});

/** A page of this origin on which the library is the global `countersign`. */
async function openPage(
  context: BrowserContext,
  policy = "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'",
): Promise<Page> {
  const page = await context.newPage();
  const { url } = deployment;
  await page.route(`${url}/page`, (route) =>
    route.fulfill({
      contentType: 'text/html',
      headers: { 'content-security-policy': policy },
      body: '<script type="module">import * as all from "/index.js"; globalThis.countersign = all;</script>',
    }),
  );
  for (const [name, body] of files)
    await page.route(`${url}/${name}`, (route) => route.fulfill({ contentType: 'text/javascript', body }));
  await load(page);
  return page;
}

async function load(page: Page): Promise<void> {
  await page.goto(`${deployment.url}/page`);
  await page.waitForFunction(() => 'countersign' in globalThis);
}

async function enrolled(page: Page, id: string, lanes = 4): Promise<void> {
  const { token } = await deployment.admin('POST', 'invites', {
    scheme: 'time-scrambled',
    subject: 'alice',
    ttl: '10m',
  });
  await page.evaluate(
    async ([name, invitation, count]) => {
      const issuer = countersign.connectIssuer({ scheme: 'time-scrambled', baseUrl: location.origin });
      await countersign.enrolChains(issuer, countersign.browserChains('main'), {
        id: name,
        invitation,
        length: 300,
        lanes: count,
      });
    },
    [id, String(token), lanes] as const,
  );
}

/** So many at once; how each ended. */
const post = (page: Page, count: number) =>
  page.evaluate(async (requests) => {
    const signer = countersign.timeScrambled(countersign.browserChains('main'));
    const client = countersign.createClient({ baseUrl: location.origin, signer });
    const one = () =>
      client.fetch('/transfer', { method: 'POST', body: 'x' }).then((answer) => String(answer.status), String);
    return Promise.all(Array.from({ length: requests }, one));
  }, count);

const upcoming = (page: Page) =>
  page.evaluate(async () => {
    const lanes = await countersign.browserChains('main').read();
    return lanes.map((text) => (JSON.parse(text) as { chain: { next: number } }).chain.next);
  });

const allowed = (count: number) => Array<string>(count).fill('200');

describe('chains in the browser', () => {
  test('enrolled and used, over a reload too: the index goes down, and no request is refused', async () => {
    const page = await openPage(await browser.newContext());
    await enrolled(page, 'one', 1);
    expect(await post(page, 3)).toEqual(allowed(3));
    expect(await upcoming(page)).toEqual([296]);
    await load(page);
    expect(await post(page, 1)).toEqual(allowed(1));
    expect(await upcoming(page)).toEqual([295]);
  }, 60_000);

  test('two tabs share the lanes: more requests at once than lanes all pass, each on a token of its own', async () => {
    const context = await browser.newContext();
    const tabs = [await openPage(context), await openPage(context)] as const;
    await enrolled(tabs[0], 'two', 3);
    const outcomes = await Promise.all(tabs.map((tab) => post(tab, 6)));
    expect(outcomes.flat()).toEqual(allowed(12));
    const spent = (await upcoming(tabs[0])).reduce((sum, next) => sum + 299 - next, 0);
    expect(spent).toBe(12);
  }, 60_000);

  test('a tab that is closed in the middle of a request leaves its lane to the others', async () => {
    const context = await browser.newContext();
    const [staying, leaving] = [await openPage(context), await openPage(context)];
    await enrolled(staying, 'three', 1);
    await leaving.evaluate(async () => {
      const signer = countersign.timeScrambled(countersign.browserChains('main'));
      const never = () => new Promise<Response>(() => {});
      void countersign.createClient({ baseUrl: location.origin, signer, fetch: never }).fetch('/transfer');
      await new Promise((resolve) => setTimeout(resolve, 500));
    });
    const waiting = post(staying, 1);
    await leaving.close();
    expect(await waiting).toEqual(allowed(1));
    expect(await upcoming(staying)).toEqual([297]);
  }, 60_000);

  test('key_unusable without an enrolment, and where the policy of the page allows no WebAssembly', async () => {
    const page = await openPage(await browser.newContext());
    expect(await post(page, 1)).toEqual([expect.stringContaining('key_unusable: no chain is enrolled here')]);
    const strict = await openPage(await browser.newContext(), "script-src 'self' 'unsafe-inline'");
    const made = await strict.evaluate(() =>
      countersign.makeChains(countersign.browserChains('main'), { id: 'x' }).then(() => 'made', String),
    );
    expect(made).toContain("key_unusable: no WebAssembly: the page's policy must allow 'wasm-unsafe-eval'");
  }, 60_000);
});

declare const countersign: typeof library;
declare const location: { readonly origin: string };
