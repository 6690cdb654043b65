/** What the demonstration shows: one request allowed, the same bytes refused, an altered copy refused. */
import { readFileSync } from 'node:fs';
import { createClient } from '../src/client/client.ts';
import type { SigningKey } from '../src/core/signer.ts';
import { challengeSignature } from '../src/schemes/challenge-signature/client.ts';

export interface Demonstration {
  readonly envoy: string;
  readonly admin: string;
  readonly adminTokenFile: string;
  readonly user: string;
  readonly kid: string;
  readonly key: SigningKey;
}

const BODY = '{"amount":50,"to":"bob@example.com"}';
const TAMPERED = BODY.replace('50', '5000');

/** @returns whether all three verdicts were the right ones. */
export async function showVerdicts(demo: Demonstration): Promise<boolean> {
  await registerKey(demo);
  process.stdout.write(
    `\n${demo.user} has a fresh Ed25519 key, registered with countersign. Through Envoy at ${demo.envoy}:\n\n`,
  );
  const client = createClient({
    baseUrl: demo.envoy,
    signer: challengeSignature({ user: demo.user, kid: demo.kid, key: demo.key }),
  });
  const sign = () =>
    client.signRequest(`${demo.envoy}/transfer?dry=0`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: BODY,
    });

  const signed = await sign();
  const other = await sign();
  const results = [
    await show('a signed request', '200', () => send(signed.url, signed.headers, BODY)),
    await show('the same bytes again', '401 replayed', () => send(signed.url, signed.headers, BODY)),
    await show('another, its amount altered on the way', '401 signature_invalid', () =>
      send(other.url, other.headers, TAMPERED),
    ),
  ];
  return results.every(Boolean);
}

async function show(
  what: string,
  expected: string,
  attempt: () => Promise<{ verdict: string; seen: string }>,
): Promise<boolean> {
  const { verdict, seen } = await attempt();
  const isRight = verdict === expected;
  process.stdout.write(
    `  ${isRight ? 'ok  ' : 'FAIL'} ${what.padEnd(40)} ${verdict}${isRight ? '' : `, expected ${expected}`}${seen}\n`,
  );
  return isRight;
}

async function send(url: string, headers: Headers, body: string): Promise<{ verdict: string; seen: string }> {
  const answer = await fetch(url, { method: 'POST', headers, body });
  const members = (await answer.json().catch(() => ({}))) as { code?: string; headers?: [string, string][] };
  if (answer.ok) {
    const subject = members.headers?.find(([name]) => name.toLowerCase() === 'x-auth-subject')?.[1];
    return { verdict: String(answer.status), seen: ` (the upstream saw x-auth-subject: ${subject ?? 'nothing'})` };
  }
  return { verdict: `${answer.status} ${members.code ?? ''}`, seen: '' };
}

async function registerKey({ admin, adminTokenFile, user, kid, key }: Demonstration): Promise<void> {
  const answer = await fetch(`${admin}/admin/v1/credentials/challenge-signature`, {
    method: 'PUT',
    headers: {
      authorization: `Bearer ${readFileSync(adminTokenFile, 'utf8').trim()}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ subject: user, keyId: kid, jwk: key.publicJwk }),
  });
  if (!answer.ok) throw new Error(`the demonstration's key could not be registered: ${answer.status}`);
}
