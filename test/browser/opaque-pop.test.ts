/** opaque-pop in a real browser, through a real Envoy: a password that only the page knows, a key that not even the page can read. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import type * as library from '../../src/client/index.ts';
import { CHEAP } from '../schemes/opaque-pop/prover.ts';
import { openBrowser } from '../support/browser.ts';
import { bundleClient } from '../support/client-bundle.ts';
import { type Deployment, openDeployment } from '../support/deployment.ts';

declare const countersign: typeof library;
declare const location: { readonly origin: string };

let browser: Browser;
let files: ReadonlyMap<string, string>;
let deployment: Deployment;

beforeAll(async () => {
  [browser, files, deployment] = await Promise.all([
    openBrowser(),
    bundleClient(),
    openDeployment({
      ringUses: ['wrap', 'opaque-setup'],
      change(config) {
        delete config.schemes['challenge-signature'];
        config.schemes['opaque-pop'] = { ksf: CHEAP };
        for (const route of Object.values(config.routes)) route['schemes'] = ['opaque-pop'];
      },
    }),
  ]);
}, 120_000);
afterAll(async () => {
  await browser.close();
  await deployment.stop();
});

/** @param policy what the page allows itself. @returns the page, and the names of the library's files that it has loaded. */
async function openPage(policy: string): Promise<{ page: Page; loaded: string[] }> {
  const page = await browser.newPage();
  const loaded: string[] = [];
  const origin = deployment.url;
  await page.route(`${origin}/page`, (route) =>
    route.fulfill({
      contentType: 'text/html',
      headers: { 'content-security-policy': policy },
      body: '<script type="module">import * as all from "/library/index.js"; globalThis.countersign = all;</script>',
    }),
  );
  await page.route(`${origin}/library/*`, (route) => {
    const name = new URL(route.request().url()).pathname.split('/').at(-1) ?? '';
    loaded.push(name);
    return route.fulfill({ contentType: 'text/javascript', body: files.get(name) ?? '' });
  });
  await page.goto(`${origin}/page`);
  await page.waitForFunction(() => 'countersign' in globalThis);
  return { page, loaded };
}

const invite = async (subject: string): Promise<string> => {
  const order = { scheme: 'opaque-pop', subject, ttl: '1h' };
  return String((await deployment.admin('POST', 'invites', order))['token']);
};

test('registers, logs in, calls, changes the password and logs out under a strict content policy', async () => {
  const { page, loaded } = await openPage("script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'");
  expect(loaded).toEqual(['index.js']);
  const result = await page.evaluate(
    async (invitation) => {
      const { changePassword, connectIssuer, createClient, logIn, logOut, opaquePop, registerPassword } = countersign;
      const issuer = connectIssuer({ scheme: 'opaque-pop', baseUrl: location.origin });
      const codeOf = (run: Promise<unknown>) =>
        run.then(
          () => 'passed',
          (thrown: { code?: string }) => thrown.code,
        );
      await registerPassword(issuer, { user: 'alice', password: 'correct horse', invitation });
      const session = await logIn(issuer, { user: 'alice', password: 'correct horse' });
      const client = createClient({ baseUrl: location.origin, signer: opaquePop(session) });
      const status = (await client.fetch('/a?b=c', { method: 'POST', body: 'x' })).status;
      const exported = await codeOf(crypto.subtle.exportKey('raw', session.key));
      const wrong = await codeOf(logIn(issuer, { user: 'alice', password: 'wrong' }));
      await changePassword(issuer, { user: 'alice', password: 'correct horse', newPassword: 'another' });
      const revoked = await codeOf(client.fetch('/a'));
      const later = await logIn(issuer, { user: 'alice', password: 'another' });
      await logOut(issuer, later);
      const ended = await codeOf(createClient({ baseUrl: location.origin, signer: opaquePop(later) }).fetch('/a'));
      return { status, exported, wrong, revoked, ended };
    },
    await invite('alice'),
  );
  expect(result).toEqual({
    status: 200,
    exported: expect.not.stringMatching(/^passed$/),
    wrong: 'signature_invalid',
    revoked: 'revoked',
    ended: 'signature_invalid',
  });
  expect(loaded.length).toBeGreaterThan(1);
}, 60_000);
