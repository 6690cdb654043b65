/** Every case of `client-challenge.json`: signed bytes, logins, tokens, verdicts on tokens. */
import { describe, expect, test } from '@jest/globals';
import { createPrivateKey } from 'node:crypto';
import * as v from 'valibot';
import { Denial, wireCode } from '../../src/core/decision.ts';
import type { PublicJwk } from '../../src/core/directory.ts';
import { Fault } from '../../src/core/fault.ts';
import type { RingKey } from '../../src/core/keyring.ts';
import type { RoutePolicy } from '../../src/core/request.ts';
import type { Resources } from '../../src/core/scheme.ts';
import { Secret } from '../../src/core/secret.ts';
import { createSignatures, sign, thumbprint, type PrivateJwk } from '../../src/crypto/signatures.ts';
import { encodeBase64url } from '../../src/encoding/base64url.ts';
import { toHex, utf8 } from '../../src/encoding/bytes.ts';
import { parseStrictJson } from '../../src/encoding/strict-json.ts';
import { jwks } from '../../src/issuer/jwks.ts';
import { SEED_PATHS } from '../../src/schemes/client-challenge/endpoints.ts';
import { clientChallenge } from '../../src/schemes/client-challenge/index.ts';
import { signedBytes } from '../../src/schemes/client-challenge/message.ts';
import { mintToken } from '../../src/tokens/mint.ts';
import { createTokenKeys } from '../../src/tokens/token-keys.ts';
import { createRevokedTokens } from '../../src/tokens/revoked-tokens.ts';
import { createVerifyAccessToken } from '../../src/tokens/verify-access-token.ts';
import { b64, hex } from '../support/bytes.ts';
import { checkCall } from '../support/check-call.ts';
import { type VectorUser, type VerifyCase, vectorWorld, verdictOf } from '../support/vector-world.ts';
import { writesOf } from '../support/watched-store.ts';
import vectors from './client-challenge.json' with { type: 'json' };

interface DirectoryOfCase {
  readonly users: Readonly<Record<string, VectorUser>>;
  readonly keys: Readonly<Record<string, { user: string; kid: string }>>;
}
interface LoginCase extends Omit<VerifyCase, 'settings' | 'request'> {
  readonly profile: 'strict' | 'seed';
  readonly settings: Readonly<Record<string, unknown>> & { readonly skew_ms: number };
  readonly check_id: string;
  readonly body: object;
  readonly directory: DirectoryOfCase;
}
interface TokenCase extends Omit<VerifyCase, 'request' | 'horizon_ms'> {
  readonly settings: { skew_ms: number; issuer_url: string; accounts: 'listed' | 'open'; max_lifetime_ms: number; revoked_tokens: boolean };
  readonly route_audience: readonly string[];
  readonly signing_keys: readonly { kid: string; jwk: PublicJwk; retire_at_ms: number }[];
  readonly seed_hs256?: { kid: string; secret_hex: string };
  readonly request: { readonly headers: readonly (readonly string[])[] };
  readonly directory: DirectoryOfCase;
}
interface Claims {
  readonly iss: string;
  readonly aud: string;
  readonly sub: string;
  readonly iat: number;
  readonly exp: number;
  readonly jti: string;
  readonly epoch: number;
  readonly key: string;
  readonly public_key?: string;
  readonly cnf?: { jkt: string };
}
interface MintCase {
  readonly signing_seed_hex?: string;
  readonly secret_hex?: string;
  readonly header: { alg: string; kid: string; typ: string };
  readonly claims: Claims;
}

const cases = vectors.cases as readonly { name: string; input: { op: string }; expect: Record<string, unknown> }[];
const of = <Input>(...ops: string[]) =>
  cases.filter(({ input }) => ops.includes(input.op)).map(({ name, input, expect: wanted }) => [name, input as unknown as Input, wanted] as const);

/** Keys of the worked vectors, by thumbprint. */
const TEST_1: PublicJwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' };
const P_256: PublicJwk = {
  kty: 'EC',
  crv: 'P-256',
  x: 'YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y',
  y: 'eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk',
};
const ISSUER_SEED = 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7';
const CLIENT_SEED = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60';

const PKCS8_ED25519 = '302e020100300506032b657004220420';
function privateJwkOf(seedHex: string): PrivateJwk {
  const key = createPrivateKey({ key: Buffer.from(PKCS8_ED25519 + seedHex, 'hex'), format: 'der', type: 'pkcs8' });
  const { x = '', d = '' } = key.export({ format: 'jwk' });
  return { kty: 'OKP', crv: 'Ed25519', x, d };
}

function ringKey(jwk: PublicJwk | PrivateJwk, kid: string, retireAtMs: number | null = null): RingKey {
  const material = new Secret(utf8(JSON.stringify(jwk)));
  return { kid, use: 'token-signing', alg: jwk.kty === 'OKP' ? 'Ed25519' : 'ES256', state: 'active', activateAtMs: 0, retireAtMs, material };
}

const issuerKey = () => ringKey(privateJwkOf(ISSUER_SEED), 'FVV5umTuau890q59V-4Ga_R6qWb7ON_ivJc4EjvCwTM');
const tokenKeysOf = (key: RingKey, secretHex?: string) =>
  createTokenKeys(
    { keyring: { active: () => key, usable: () => [key] }, signatures: createSignatures({ mode: 'sync' }) },
    secretHex === undefined ? undefined : { kid: 'seed-hs256-1', secret: new Secret(hex(secretHex)) },
  );

test('the file has the 93 cases of its specification', () => {
  expect(cases).toHaveLength(93);
});

describe('signed bytes', () => {
  test.each(of<{ aud: string; jwk: PublicJwk; ts_ms: number; nonce: string; jkt?: string }>('signed-bytes'))(
    '%s',
    (_name, { aud, jwk, ts_ms: tsMs, nonce, jkt }, wanted) => {
      const bytes = signedBytes({ aud, thumbprint: thumbprint(jwk), tsMs, nonce: b64(nonce), ...(jkt !== undefined && { jkt }) });
      expect(toHex(bytes)).toBe(wanted['message_hex']);
      expect(encodeBase64url(sign(privateJwkOf(CLIENT_SEED), bytes))).toBe(wanted['signature']);
    },
  );

  test.each(of<{ jwks: readonly PublicJwk[] }>('thumbprint'))('%s', (_name, input, wanted) => {
    expect(input.jwks.map((jwk) => encodeBase64url(thumbprint(jwk)))).toEqual(wanted['thumbprints']);
  });

  test.each(of<{ seed_hex: string; message: string }>('seed-sign'))('%s', (_name, { seed_hex: seed, message }, wanted) => {
    const jwk = privateJwkOf(seed);
    expect(`0x${toHex(b64(jwk.x))}`).toBe(wanted['public_key']);
    expect(toHex(sign(jwk, utf8(message)))).toBe(wanted['signature']);
  });
});

describe('logins', () => {
  test.each(of<LoginCase>('login'))('%s', async (_name, input, wanted) => {
    const { resources, store } = await worldOf({ ...input, request: undefined as never });
    const scheme = clientChallenge.create(loginSettings(input), { ...resources, keyring: { active: issuerKey, usable: () => [issuerKey()] } });
    const path = input.profile === 'strict' ? 'token' : SEED_PATHS[0];
    const endpoint = scheme.endpoints.find((one) => one.path === path);
    if (endpoint?.body === undefined) throw new Error(`no endpoint ${path}`);
    // As the front does: a body outside the schema is malformed.
    const parsed = v.safeParse(endpoint.body, input.body);
    const call = { raw: new Uint8Array(0), header: () => undefined, source: '', owner: input.check_id, receivedAtMs: input.now_ms, signal: new AbortController().signal };
    const outcome = async () => {
      if (!parsed.success) throw new Denial('malformed', 'schema');
      const answer = await endpoint.handle({ ...call, body: parsed.output });
      const { token, subject } = answer.body as { token: string; subject?: string };
      const claims = parseStrictJson(b64(token.split('.')[1] ?? '')) as unknown as Claims;
      expect(subject ?? claims.sub).toBe(claims.sub);
      const [effect, ...others] = writesOf(store);
      expect(others).toEqual([]);
      const [owner, expiresAtMs] = effect?.rest ?? [];
      return {
        verdict: 'issue',
        subject: claims.sub,
        epoch: claims.epoch,
        key: claims.key,
        ...(claims.cnf && { jkt: claims.cnf.jkt }),
        effect: { verb: effect?.verb, key: effect?.key, owner, expires_at_ms: expiresAtMs, answer: effect?.answer },
      };
    };
    const verdict = await outcome().catch(refusalMembers);
    expect(verdict).toMatchObject(wanted);
    if (!('verdict' in verdict && verdict.verdict === 'issue') && wanted['code'] !== 'replayed') expect(writesOf(store)).toEqual([]);
  });
});

describe('tokens', () => {
  test.each(of<MintCase>('mint', 'mint-hs256'))('%s', (_name, { secret_hex: secretHex, header, claims }, wanted) => {
    const keys = tokenKeysOf(issuerKey(), secretHex);
    const key = keys.shared ?? keys.active();
    expect(key.header).toEqual(header);
    const { text, expiresAtMs } = mintToken(
      key,
      {
        issuerUrl: claims.iss,
        audience: claims.aud,
        subject: claims.sub,
        epoch: claims.epoch,
        keyThumbprint: claims.key,
        tenant: 'default',
        lifetimeMs: (claims.exp - claims.iat) * 1000,
        ...(claims.public_key !== undefined && { publicKeyHex: claims.public_key }),
        ...(claims.cnf !== undefined && { boundTo: claims.cnf.jkt }),
      },
      { nowMs: claims.iat * 1000 + 999, random: () => b64(claims.jti) },
    );
    expect(text).toBe(wanted['token']);
    expect(expiresAtMs).toBe(claims.exp * 1000);
  });

  test.each(of<object>('jwks'))('%s', (_name, _input, wanted) => {
    const { members } = jwks({ active: issuerKey, usable: () => [issuerKey()] });
    expect(JSON.stringify(members)).toBe(JSON.stringify(wanted));
  });
});

describe('verdicts on tokens', () => {
  test.each(of<TokenCase>('verify'))('%s', async (_name, input, wanted) => {
    const world = await worldOf({ ...input, horizon_ms: 0, request: undefined as never });
    const resources: Resources = {
      ...world.resources,
      keyring: ringOf(input),
      readSecret: () => new Secret(new TextDecoder().decode(hex(input.seed_hs256?.secret_hex ?? ''))),
    };
    const { accounts, max_lifetime_ms: maxLifetimeMs, revoked_tokens: revokedTokens } = input.settings;
    const policy: RoutePolicy = { route: 'api', body: 'none', tenant: 'default', realm: 'countersign', audience: input.route_audience, options: {} };
    const [, dpop] = /^DPoP (.*)$/.exec(input.request.headers[0]?.[1] ?? '') ?? [];
    if (dpop !== undefined) {
      // What a scheme that checks the proof of possession does first.
      const verify = createVerifyAccessToken(
        resources,
        createTokenKeys(resources),
        { accounts, maxLifetimeMs, revoked: createRevokedTokens(resources) },
      );
      const judged = verify(dpop, { policy, isBound: true, call: checkCall(), charge() {} }, input.now_ms);
      const verdict = await judged.then(({ claims }) => ({ verdict: 'needs_dpop', jkt: claims.cnf?.jkt }), refusalMembers);
      expect(verdict).toMatchObject(wanted);
      return;
    }
    const settings = v.parse(clientChallenge.settings, {
      profiles: input.seed_hs256 === undefined ? ['strict'] : ['strict', 'seed'],
      audiences: ['https://api.example.com'],
      accounts,
      revokedTokens,
      maxLifetime: '24h',
      ...(input.seed_hs256 && { seedHs256: { secretFile: '/secret', kid: input.seed_hs256.kid } }),
    });
    const scheme = clientChallenge.create({ ...(settings as object), maxLifetimeMs }, resources);
    const request = { check_id: 'MmsbOcRXM-BVF6m4W4ZCDg', method: 'GET', scheme: 'https', authority: 'api.example.com', target: '/', ...input.request };
    expect(await verdictOf(scheme, { ...input, horizon_ms: 0, request }, policy, world)).toMatchObject(wanted);
    expect(writesOf(world.store)).toEqual([]);
  });
});

/** As `expect` has them. */
function refusalMembers(thrown: unknown): object {
  if (thrown instanceof Denial) {
    const wire = wireCode(thrown.code);
    return { verdict: 'deny', code: thrown.code, ...(wire !== thrown.code && { wire_code: wire }) };
  }
  if (thrown instanceof Fault) return { verdict: 'fault', reason: thrown.reason, retry_after_s: thrown.retryAfterSeconds };
  throw thrown;
}

/** The records of a case name no keys: they are those of the index, which are known by their thumbprints. */
async function worldOf(input: VerifyCase & { directory: DirectoryOfCase }) {
  const jwkOf = new Map([TEST_1, P_256].map((jwk) => [encodeBase64url(thumbprint(jwk)), jwk]));
  const { users, keys } = input.directory;
  const withKeys = Object.entries(users).map(([id, user]) => {
    const own = Object.entries(keys).filter(([, owner]) => owner.user === id);
    const listed = own.map(([print, { kid }]) => ({ kid, jwk: jwkOf.get(print) ?? TEST_1, expires_at_ms: null }));
    return [id, { ...user, keys: listed }] as const;
  });
  const world = await vectorWorld('client-challenge', { ...input, directory: { users: Object.fromEntries(withKeys) } }, []);
  const byThumbprint = async (_tenant: string, print: string) => (Object.hasOwn(keys, print) ? (keys[print] ?? null) : null);
  const { directory } = world.resources;
  const resources: Resources = {
    ...world.resources,
    directory: { ...directory, byThumbprint },
    users: { ...world.resources.users, current: directory.user },
  };
  return { ...world, resources };
}

function loginSettings({ settings }: LoginCase): unknown {
  const ms = (name: string) => `${String(settings[name])}ms`;
  return v.parse(clientChallenge.settings, {
    profiles: settings['profiles'],
    accounts: settings['accounts'],
    audiences: settings['audiences'],
    window: ms('window_ms'),
    future: ms('future_ms'),
    seedWindow: ms('seed_window_ms'),
    seedLabel: settings['seed_label'],
    binding: settings['binding'],
  });
}

/** The case's keys are public: what is judged with them needs no more. */
function ringOf({ signing_keys: keys, now_ms: nowMs }: TokenCase): Resources['keyring'] {
  const usable = keys
    .filter(({ retire_at_ms: retireAtMs }) => retireAtMs > nowMs)
    .map(({ jwk, kid, retire_at_ms: retireAtMs }) => ringKey({ ...jwk, d: encodeBase64url(new Uint8Array(32)) }, kid, retireAtMs));
  return { usable: () => usable, active: issuerKey };
}
