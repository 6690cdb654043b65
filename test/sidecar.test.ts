/**
 * The running service under load, through a real Envoy: reloads and key rotations refuse nobody, and nothing passes twice.
 * `npm run test:long` runs the minutes of the specification.
 */
import { rename, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { type Client, challengeSignature, createClient, generateKeyPair, signingKey } from '../src/client/index.ts';
import { randomBytes } from '../src/crypto/random.ts';
import { addKey, rotateKey } from '../src/keys/ring-changes.ts';
import { formatRing, type StoredKey } from '../src/keys/ring.ts';
import { type Deployment, openDeployment, type ServiceConfig } from './support/deployment.ts';
import { ringWith } from './support/key-ring.ts';
import { isLong } from './support/long.ts';

const LOAD_MS = isLong ? 600_000 : 4_000;
const CHANGE_EVERY_MS = isLong ? 10_000 : 400;
/** The load of this test comes from one address and one user. */
const PLENTY = { rate: '100000/s', burst: 1_000_000 };

let deployment: Deployment | undefined;
afterEach(async () => {
  await deployment?.stop();
  deployment = undefined;
});

function withoutLimits(config: ServiceConfig): void {
  config['rateLimit'] = { perSource: PLENTY, perCredential: PLENTY, issuer: PLENTY };
}

const settings = (more: object) => ({ ...more, limits: { challenge: PLENTY } });

async function enterAlice({ url, admin }: Deployment): Promise<Client> {
  const key = await signingKey(await generateKeyPair('ES256'));
  await admin('PUT', 'credentials/challenge-signature', { subject: 'alice', keyId: 'k1', jwk: key.publicJwk });
  return createClient({ baseUrl: url, signer: challengeSignature({ user: 'alice', kid: 'k1', key }) });
}

/** As if published long ago, so that each may become active at once. */
function published(ring: readonly StoredKey[]): readonly StoredKey[] {
  return ring.map((key) => ({ ...key, createdAtMs: 1 }));
}

interface Seen {
  allowed: number;
  /** Codes of refusals; a right client should meet none. */
  readonly refused: string[];
  /** Second uses that were allowed. */
  twice: number;
}

/** Four loops of a client that sends each signed request, and every fifth one a second time. */
async function load(client: Client, untilMs: number): Promise<Seen> {
  const seen: Seen = { allowed: 0, refused: [], twice: 0 };
  const loop = async (): Promise<void> => {
    for (let count = 0; performance.now() < untilMs; count += 1) {
      if (count % 5 === 0) {
        const { url, method, headers, body } = await client.signRequest('/x', { method: 'POST', body: 'abc' });
        const send = async () => (await fetch(url, { method, headers, body: body ?? null })).status;
        const statuses = await Promise.all([send(), send()]);
        if (statuses.filter((status) => status === 200).length > 1) seen.twice += 1;
      }
      await client.fetch('/x', { method: 'POST', body: 'abc' }).then(
        ({ status }) => (status === 200 ? (seen.allowed += 1) : seen.refused.push(String(status))),
        (error: { code?: string }) => seen.refused.push(String(error.code)),
      );
    }
  };
  await Promise.all([loop(), loop(), loop(), loop()]);
  return seen;
}

test(
  'reloads under load: no false refusal and no false allow (OP-04)',
  async () => {
    deployment = await openDeployment({ settings: settings({ challenges: 'stateless' }), change: withoutLimits });
    const client = await enterAlice(deployment);
    const endMs = performance.now() + LOAD_MS;
    const loading = load(client, endMs);
    let reloads = 0;
    for (; performance.now() < endMs; reloads += 1) {
      await sleep(CHANGE_EVERY_MS);
      const lifetime = reloads % 2 === 0 ? '31s' : '30s';
      await deployment.reconfigure((config) => {
        config.schemes['challenge-signature'] = settings({ challenges: 'stateless', lifetime });
        config.routes['api'] = { ...config.routes['api'], realm: `realm ${reloads}` };
      });
    }
    const { allowed, refused, twice } = await loading;
    expect({ refused, twice }).toEqual({ refused: [], twice: 0 });
    expect(allowed).toBeGreaterThan(50);
    expect(reloads).toBeGreaterThan(4);
  },
  LOAD_MS + 60_000,
);

test('changing the kind of challenges by reloads under load: no refusal', async () => {
  deployment = await openDeployment({ settings: settings({ challenges: 'stored' }), change: withoutLimits });
  const client = await enterAlice(deployment);
  const accept = ['stored', 'stateless'];
  const loading = load(client, performance.now() + 3_000);
  for (const step of [
    { challenges: 'stored', accept },
    { challenges: 'stateless', accept },
  ]) {
    await sleep(800);
    await deployment.reconfigure((config) => {
      config.schemes['challenge-signature'] = settings(step);
    });
  }
  const { allowed, refused, twice } = await loading;
  expect({ refused, twice }).toEqual({ refused: [], twice: 0 });
  expect(allowed).toBeGreaterThan(50);
}, 60_000);

test(
  'rotations of the challenge-mac key under load: no false refusal and no false allow (CT-18, OP-10)',
  async () => {
    deployment = await openDeployment({
      settings: settings({ challenges: 'stateless' }),
      change(config) {
        withoutLimits(config);
        config['keys'] = { ...(config['keys'] as object), reloadInterval: '1s' };
      },
    });
    const order = { use: 'challenge-mac', random: randomBytes } as const;
    let ring = published(addKey(ringWith('challenge-mac'), { ...order, nowMs: Date.now() }).ring);
    const { ringFile } = deployment;
    const publish = async () => {
      await writeFile(`${ringFile}.next`, formatRing(ring), { mode: 0o600 });
      await rename(`${ringFile}.next`, ringFile);
    };
    await publish();
    await sleep(1_500);

    const client = await enterAlice(deployment);
    const endMs = performance.now() + LOAD_MS;
    const loading = load(client, endMs);
    let rotations = 0;
    for (; performance.now() < endMs - 1_500; rotations += 1) {
      ring = published(rotateKey(ring, { ...order, nowMs: Date.now() }).ring);
      await publish();
      await sleep(Math.max(CHANGE_EVERY_MS, 1_000));
    }
    const { allowed, refused, twice } = await loading;
    expect({ refused, twice }).toEqual({ refused: [], twice: 0 });
    expect(allowed).toBeGreaterThan(50);
    expect(rotations).toBeGreaterThan(1);
  },
  LOAD_MS + 60_000,
);
