/**
 * Secrets and text of strangers planted wherever a client can write, then searched for in everything that countersign tells: log at its
 * most talkative, metrics, answers (CT-19).
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { generateKeyPair, challengeSignature, createClient, enrol, signingKey } from '../src/client/index.ts';
import { type Deployment, openDeployment } from './support/deployment.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await openDeployment({
    settings: { challenges: 'stateless' },
    change(config) {
      config['log'] = { level: 'debug' };
    },
  });
}, 60_000);
afterAll(() => deployment.stop());

const CANARY = 'CaNaRy7xQ';
const planted = (name: string) => `${CANARY}-${name}`;

test('nothing that a client or an operator sent is found in log, metrics or answers', async () => {
  const { url, admin } = deployment;
  const told: string[] = [];
  const secrets: string[] = [CANARY, CANARY.toLowerCase(), Buffer.from(CANARY).toString('base64url').slice(0, -1)];
  const send = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(url + path, init);
    told.push([...answer.headers].join('\n'), answer.ok && !path.startsWith('/auth') ? '' : await answer.text());
    await answer.body?.cancel().catch(() => undefined);
  };

  // Enrolment and requests that pass.
  const { token } = await admin('POST', 'invites', {
    scheme: 'challenge-signature',
    subject: planted('user'),
    ttl: '10m',
  });
  const key = await signingKey(await generateKeyPair('ES256'));
  const enrolment = {
    baseUrl: url,
    scheme: 'challenge-signature',
    invitation: String(token),
    kid: planted('kid'),
    key,
  };
  await enrol(enrolment);
  secrets.push(String(token), key.publicJwk.x);
  const client = createClient({
    baseUrl: url,
    signer: challengeSignature({ user: planted('user'), kid: planted('kid'), key }),
  });
  const signed = await client.signRequest(`/plain?${planted('query')}`, {
    method: 'POST',
    body: planted('body'),
  });
  const authorization = signed.headers.get('authorization') ?? '';
  for (const [, value = ''] of authorization.matchAll(/(?:ch|sig)="([^"]*)"/g)) secrets.push(value);
  const again = { method: 'POST', headers: signed.headers, body: planted('body') };
  expect((await fetch(signed.url, again)).status).toBe(200);
  // The same again, altered, and by nobody.
  const path = signed.url.slice(url.length);
  await send(path, again);
  await send(path, { ...again, body: planted('other body') });
  for (const header of [
    `ChallengeSignature user="${planted('u')}", kid="k", ch="${planted('ch')}", sig="${planted('sig')}"`,
    `ChallengeSignature user="${planted('u')} ", kid`,
    `${planted('scheme')} abc`,
    `Bearer ${planted('bearer')}`,
    `ChallengeSignature ${planted('x').repeat(400)}`,
  ]) {
    await send(`/plain?${planted('q')}`, {
      headers: {
        authorization: header,
        cookie: planted('cookie'),
        'x-pop': planted('pop'),
        'user-agent': planted('agent'),
      },
    });
  }
  // The issuer and the administrator, refused.
  const json = { 'content-type': 'application/json' };
  for (const body of [
    { user: planted('u') },
    { user: `${planted('u')}/` },
    { [planted('member')]: 1 },
    planted('text'),
    { invitation: planted('i') },
  ]) {
    await send('/auth/challenge-signature/challenge', { method: 'POST', headers: json, body: JSON.stringify(body) });
    await send('/auth/challenge-signature/enrol', { method: 'POST', headers: json, body: JSON.stringify(body) });
  }
  await send(`/auth/${planted('endpoint')}`, { method: 'POST', headers: json, body: '{}' });
  await expect(enrol(enrolment)).rejects.toMatchObject({ code: 'signature_invalid' });
  await expect(admin('PUT', 'users', { subject: planted('user'), ifVersion: 99 })).rejects.toThrow('412');
  await expect(admin('POST', `credentials/${planted('scheme')}/lookup`, { subject: 'a' })).rejects.toThrow('404');

  const log = await deployment.log();
  const metrics = await deployment.metrics();
  expect(log).toContain('"event":"');
  expect(log.split('\n').length).toBeGreaterThan(10);
  // A challenge in an answer is the client's own; all else is searched.
  const answers = told.join('\n').replace(/challenge="[^"]*"|"challenge":"[^"]*"/g, '');
  for (const secret of secrets) {
    expect(log).not.toContain(secret);
    expect(metrics).not.toContain(secret);
    expect(answers).not.toContain(secret);
  }
});
