/** The client against all of it: discovery, enrolment, challenges and signed requests through a real Envoy. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  challengeSignature,
  type Client,
  createClient,
  enrol,
  type Enrolled,
  generateKeyPair,
  signingKey,
} from '../../src/client/index.ts';
import { type Deployment, openDeployment } from '../support/deployment.ts';

interface Echo {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

describe.each(['stored', 'stateless'])('%s challenges', (challenges) => {
  let deployment: Deployment;
  let client: Client;
  let enrolled: Enrolled;
  let again: unknown;

  beforeAll(async () => {
    deployment = await openDeployment({ settings: { challenges } });
    const { token } = await deployment.admin('POST', 'invites', {
      scheme: 'challenge-signature',
      subject: 'alice',
      ttl: '10m',
    });
    const key = await signingKey(await generateKeyPair('Ed25519'));
    const enrolment = {
      baseUrl: deployment.url,
      scheme: 'challenge-signature',
      invitation: String(token),
      kid: 'k1',
      key,
    };
    enrolled = await enrol(enrolment);
    again = await enrol(enrolment).catch((error: unknown) => error);
    client = createClient({ baseUrl: deployment.url, signer: challengeSignature({ user: 'alice', kid: 'k1', key }) });
  }, 60_000);
  afterAll(() => deployment.stop());

  test('an invitation enrols one key, then it is signature_invalid', () => {
    expect(enrolled).toMatchObject({ subject: 'alice', keyId: 'k1' });
    expect(again).toMatchObject({ code: 'signature_invalid', status: 401 });
  });

  test('what was enrolled signs: the upstream sees the subject, and no proof', async () => {
    const answer = await client.fetch('/transfer?dry=0', { method: 'POST', body: '{"amount":50}' });
    expect(answer.status).toBe(200);
    const { method, target, headers, body } = (await answer.json()) as Echo;
    expect([method, target, atob(body)]).toEqual(['POST', '/transfer?dry=0', '{"amount":50}']);
    const seen = new Map(headers.map(([name, value]) => [name.toLowerCase(), value]));
    expect([seen.get('x-auth-subject'), seen.get('x-auth-key-id'), seen.get('authorization')]).toEqual([
      'alice',
      'k1',
      undefined,
    ]);
  });

  test.each<[string, RequestInit]>([
    ['/', {}],
    ['/a/../b//%41?x=%41&y=+', {}],
    ['/ü|<>"^`{}[]\\', {}],
    ['/50%/%7e', { method: 'PUT', body: Uint8Array.of(0, 255, 33) }],
    ['/x', { method: 'POST', body: new URLSearchParams({ a: 'b c' }) }],
    ['/x', { method: 'DELETE' }],
    ['/x', { method: 'HEAD' }],
    ['/x', { method: 'POST', body: new Uint8Array(200_000).fill(7) }],
  ])('%s with %j passes', async (address, init) => {
    expect((await client.fetch(address, init)).status).toBe(200);
  });

  test('a path parameter is malformed on a route that refuses them', async () => {
    await expect(client.fetch('/a;b=1')).rejects.toMatchObject({ code: 'malformed' });
  });

  test('the same signed request is 200 once, then 401 replayed', async () => {
    const { url, method, headers, body } = await client.signRequest('/once', { method: 'POST', body: 'abc' });
    const answers = [];
    for (let copy = 0; copy < 3; copy += 1) answers.push(await fetch(url, { method, headers, body: body ?? null }));
    expect(answers.map(({ status }) => status)).toEqual([200, 401, 401]);
    expect(answers[1]?.headers.get('www-authenticate')).toContain('error="replayed"');
  });

  test('of 10 copies in parallel exactly one passes', async () => {
    const { url, method, headers, body } = await client.signRequest('/once', { method: 'POST', body: 'abc' });
    const copies = await Promise.all(
      Array.from({ length: 10 }, () => fetch(url, { method, headers, body: body ?? null })),
    );
    expect(copies.map(({ status }) => status).filter((status) => status === 200)).toHaveLength(1);
  });

  test('20 requests in parallel all pass', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => client.fetch(`/x?${n}`)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  });

  test('another key is signature_invalid', async () => {
    const key = await signingKey(await generateKeyPair('Ed25519'));
    const other = createClient({
      baseUrl: deployment.url,
      signer: challengeSignature({ user: 'alice', kid: 'k1', key }),
    });
    await expect(other.fetch('/x')).rejects.toMatchObject({ code: 'signature_invalid', status: 401 });
  });
});
