/** A deployment with one registered key, and proofs for any request, also ones that no library would send. */
import { createHash } from 'node:crypto';
import type { EnvoyTree } from '../../scripts/envoy-config.ts';
import { extAuthz } from '../../scripts/envoy-config.ts';
import type { EnvoyVersion } from '../../scripts/fetch-envoy.ts';
import type { PublicJwk } from '../../src/core/directory.ts';
import type { KeyUse } from '../../src/core/keyring.ts';
import { generateKeyPair, sign } from '../../src/crypto/signatures.ts';
import { decodeBase64url } from '../../src/encoding/base64url.ts';
import { formatProof, signedBytes } from '../../src/schemes/challenge-signature/message.ts';
import { type Deployment, openDeployment, PATIENCE, type ServiceConfig } from '../support/deployment.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import type { RawAnswer } from './wire.ts';

export interface World extends Deployment {
  /** `host:port` of Envoy. */
  readonly to: string;
  readonly redis: TestRedis | undefined;
  /** Alice's, under the id `k1`. */
  readonly publicJwk: PublicJwk;
  /** Value of the Authorization header: alice's proof for this request. */
  prove(request: ProvenRequest): Promise<string>;
  /** Checks decided so far, as countersign counts them: `route scheme outcome code` to number. */
  decisions(): Promise<ReadonlyMap<string, number>>;
}

export interface ProvenRequest {
  readonly method: string;
  readonly target: string;
  readonly authority?: string;
  readonly scheme?: 'http' | 'https';
  /** Null for routes that see no body. */
  readonly body?: Uint8Array | null;
}

export const MAX_BODY = 4096;

export interface WorldOptions {
  readonly envoy?: EnvoyVersion;
  readonly store?: 'memory' | 'redis';
  readonly ringUses?: readonly KeyUse[];
  readonly services?: number;
  readonly concurrency?: number;
  readonly change?: (config: ServiceConfig) => void;
  readonly changeEnvoy?: (config: EnvoyTree) => void;
}

const PLENTY = { rate: '100000/s', burst: 1_000_000 };

export async function openWorld({
  envoy,
  store = 'memory',
  ringUses,
  services,
  concurrency,
  change,
  changeEnvoy,
}: WorldOptions = {}): Promise<World> {
  const redis = store === 'redis' ? await startRedis() : undefined;
  const deployment = await openDeployment({
    settings: { challenges: 'stateless', inBand: false, limits: { challenge: PLENTY } },
    ...(envoy !== undefined && { envoy }),
    ...(ringUses !== undefined && { ringUses }),
    ...(services !== undefined && { services }),
    ...(concurrency !== undefined && { concurrency }),
    change(config) {
      config['envoy'] = { maxRequestBytes: MAX_BODY, checkBudget: PATIENCE };
      config['rateLimit'] = { perSource: PLENTY, perCredential: PLENTY, issuer: PLENTY };
      config['log'] = { level: 'info', decisions: 'all' };
      if (redis !== undefined) {
        config['store'] = { type: 'redis', redis: { urls: [redis.url] } };
        config['insecure'] = {};
        config['clock'] = { skew: '1s' };
      }
      change?.(config);
    },
    changeEnvoy(config) {
      extAuthz(config).with_request_body.max_request_bytes = MAX_BODY;
      changeEnvoy?.(config);
    },
  });
  const to = new URL(deployment.url).host;
  const { privateJwk, publicJwk } = generateKeyPair('Ed25519');
  await deployment.admin('PUT', 'users', { subject: 'alice', attributes: { role: 'admin' } });
  await deployment.admin('PUT', 'credentials/challenge-signature', { subject: 'alice', keyId: 'k1', jwk: publicJwk });
  // A store that has just been adopted refuses what may have been spent before.
  if (redis !== undefined) await new Promise((done) => setTimeout(done, 1500));

  return {
    ...deployment,
    to,
    redis,
    publicJwk,
    async prove({ method, target, authority = to, scheme = 'http', body = new Uint8Array(0) }) {
      const answer = await fetch(`${deployment.url}/auth/challenge-signature/challenge`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"user":"alice"}',
      });
      const { challenge } = (await answer.json()) as { challenge: string };
      const digest = body === null ? new Uint8Array(0) : createHash('sha256').update(body).digest();
      const who = { user: 'alice', kid: 'k1' };
      const bytes = signedBytes(
        who,
        decodeBase64url(challenge) ?? new Uint8Array(0),
        { method, target, authority, scheme },
        digest,
      );
      return formatProof({ ...who, challenge, signature: sign(privateJwk, bytes) });
    },
    async decisions() {
      const text = await (await fetch(`http://${deployment.adminAddress}/metrics`)).text();
      const counted = new Map<string, number>();
      for (const line of text.split('\n')) {
        const [, labels, value] = /^countersign_checks_total\{(.*)\} ([0-9]+)$/.exec(line) ?? [];
        if (labels !== undefined)
          counted.set([...labels.matchAll(/="([^"]*)"/g)].map(([, label]) => label).join(' '), Number(value));
      }
      return counted;
    },
    async stop() {
      await deployment.stop();
      await redis?.stop();
    },
  };
}

export interface Echo {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
  /** base64 */
  readonly body: string;
}

/** What reached the upstream. @throws when the request was not allowed. */
export function echoOf({ status, body }: RawAnswer): Echo {
  if (status !== 200) throw new Error(`expected 200, got ${status}: ${body.slice(0, 200)}`);
  return JSON.parse(Buffer.from(body, 'latin1').toString()) as Echo;
}

/** All values of one header at the upstream. */
export function upstream(echo: Echo, name: string): string[] {
  return echo.headers.filter(([candidate]) => candidate.toLowerCase() === name).map(([, value]) => value);
}

/** `401 replayed` */
export function verdictOf({ status, body }: RawAnswer): string {
  try {
    const { code } = JSON.parse(body) as { code?: string };
    return code === undefined ? String(status) : `${status} ${code}`;
  } catch {
    return String(status);
  }
}
