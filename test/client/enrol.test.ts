/** Enrolment of a client's own key: the bytes of the specification, sent to the deployment that was signed for. */
import { expect, test } from '@jest/globals';
import { enrol, type Enrolment } from '../../src/client/index.ts';
import type { SigningKey } from '../../src/core/signer.ts';
import { sign } from '../../src/crypto/signatures.ts';
import { enrolMessage } from '../../src/encoding/enrol-message.ts';
import { toHex } from '../../src/encoding/bytes.ts';
import vectors from '../vectors/common.json' with { type: 'json' };

const INVITATION = 'ERERERERERERERERERERERERERERERERERERERERERE';
/** RFC 8032 section 7.1, TEST 1. */
const publicJwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' } as const;
const d = 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A';
const key: SigningKey = { alg: 'Ed25519', publicJwk, sign: async (message) => sign({ ...publicJwk, d }, message) };
const SIGNATURE = 'bkD9sjycwIlRX_VdZWRupgB157bDDfINgHtW-46mGSs5Q-2ks6E1WZJ5TdJL6TH0JGubn8Ie9YChOmpcLdEfBA';

/** A deployment that offers enrolment and answers it so. */
function deployment(answer: () => Response) {
  const calls: { url: string; body: unknown }[] = [];
  const send: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    const { url } = request;
    if (url.endsWith('/.well-known/countersign')) {
      return Response.json({
        schemes: { 'challenge-signature': { endpoints: { enrol: '/auth/challenge-signature/enrol' } } },
      });
    }
    calls.push({ url, body: await request.json() });
    return answer();
  };
  return { calls, send };
}

const enrolment = (send: typeof fetch): Enrolment => ({
  baseUrl: 'https://api.example.com/some/page?x',
  scheme: 'challenge-signature',
  invitation: INVITATION,
  kid: 'k1',
  key,
  fetch: send,
});

test('signs the vector of the specification', () => {
  const { input, expect: wanted } = vectors.cases.find((one) => one.input.op === 'enrol-key')!;
  expect(input).toMatchObject({ aud: 'https://api.example.com', invitation: INVITATION, kid: 'k1' });
  const thumbprint = Uint8Array.from(atob('kPrK/qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k='), (c) => c.charCodeAt(0));
  expect(JSON.stringify(wanted)).toContain(
    toHex(enrolMessage('https://api.example.com', INVITATION, 'k1', thumbprint)),
  );
});

test('sends the origin of the address, the invitation, the key and the proof of it', async () => {
  const answer = { subject: 'alice', keyId: 'k1', thumbprint: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k' };
  const { calls, send } = deployment(() => Response.json(answer, { status: 201 }));
  expect(await enrol(enrolment(send))).toEqual(answer);
  const body = {
    aud: 'https://api.example.com',
    invitation: INVITATION,
    kid: 'k1',
    jwk: publicJwk,
    signature: SIGNATURE,
  };
  expect(calls).toEqual([{ url: 'https://api.example.com/auth/challenge-signature/enrol', body }]);
});

test('the issuer may be elsewhere; what is signed stays the API', async () => {
  const { calls, send } = deployment(() =>
    Response.json({ subject: 'alice', keyId: 'k1', thumbprint: 't' }, { status: 201 }),
  );
  await enrol({ ...enrolment(send), issuerUrl: 'https://login.example.com', tenant: 'acme' });
  expect(calls[0]).toMatchObject({
    url: 'https://login.example.com/auth/challenge-signature/enrol',
    body: { aud: 'https://api.example.com', signature: SIGNATURE, tenant: 'acme' },
  });
});

test.each([
  [401, 'signature_invalid'],
  [409, 'conflict'],
])('%i is thrown as %s', async (status, code) => {
  const headers = { 'content-type': 'application/problem+json' };
  const { send } = deployment(() => new Response(JSON.stringify({ code, request: 'r' }), { status, headers }));
  await expect(enrol(enrolment(send))).rejects.toMatchObject({ code, status });
});

test('an answer without its members is answer_invalid', async () => {
  const { send } = deployment(() => Response.json({ subject: 'alice' }, { status: 201 }));
  await expect(enrol(enrolment(send))).rejects.toMatchObject({ code: 'answer_invalid' });
});

test('a scheme without enrolment is not_offered', async () => {
  const { send } = deployment(() => Response.json({}));
  await expect(enrol({ ...enrolment(send), scheme: 'opaque-pop' })).rejects.toMatchObject({ code: 'not_offered' });
});
