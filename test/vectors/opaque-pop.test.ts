/** Every case of `opaque-pop.json`: MACs, verdicts, and OPAQUE itself on both engines. */
import { afterAll, describe, expect, test } from '@jest/globals';
import { client, ready } from '@serenity-kit/opaque';
import * as v from 'valibot';
import type { RoutePolicy } from '../../src/core/request.ts';
import { Secret } from '../../src/core/secret.ts';
import { hkdfSha256, sha256 } from '../../src/crypto/digest.ts';
import { hmacSha256 } from '../../src/crypto/mac.ts';
import { randomBytes } from '../../src/crypto/random.ts';
import { seal } from '../../src/crypto/seal.ts';
import { scopedStoreKey } from '../../src/crypto/store-key.ts';
import { encodeBase64url } from '../../src/encoding/base64url.ts';
import { concat, toHex, utf8 } from '../../src/encoding/bytes.ts';
import { createEngine } from '../../src/schemes/opaque-pop/engine.ts';
import { base64url } from '../../src/schemes/opaque-pop/fields.ts';
import { opaquePop } from '../../src/schemes/opaque-pop/index.ts';
import { macKey } from '../../src/schemes/opaque-pop/keys.ts';
import { logoutMessage, OPAQUE_BYTES, strictMessage } from '../../src/schemes/opaque-pop/message.ts';
import { seedMessage } from '../../src/schemes/opaque-pop/seed-message.ts';
import { settings as settingsSchema, type Settings } from '../../src/schemes/opaque-pop/settings.ts';
import { referenceEngine } from '../schemes/opaque-pop/reference-engine.ts';
import { b64, hex } from '../support/bytes.ts';
import { codeOf } from '../support/refused.ts';
import { sharedKey, vectorWorld, verdictOf, type VerifyCase } from '../support/vector-world.ts';
import vectors from './opaque-pop.json' with { type: 'json' };

const cases = vectors.cases as readonly { name: string; input: { op: string }; expect: Record<string, unknown> }[];
const of = <Input>(op: string) =>
  cases
    .filter(({ input }) => input.op === op)
    .map(({ name, input, expect: wanted }) => [name, input as unknown as Input, wanted] as const);

const OPS = [
  'seed-mac',
  'strict-mac',
  'logout-mac',
  'verify',
  'opaque-server',
  'opaque-engine-registration',
  'opaque-server-finish',
  'opaque-client-finish',
  'login-start',
  'login-finish',
];

test('the file has the 69 cases of its specification, all of kinds that are run here', () => {
  expect(cases).toHaveLength(69);
  expect(cases.filter(({ input }) => !OPS.includes(input.op))).toEqual([]);
});

describe('MACs', () => {
  interface MacCase {
    readonly session_key_hex: string;
    readonly body_hex: string;
    readonly method: string;
    readonly path: string;
    readonly ts: string;
    readonly sid: string;
    readonly ts_ms: number;
    readonly nonce: string;
    readonly scheme: string;
    readonly authority: string;
    readonly target: string;
  }

  test.each(of<MacCase>('seed-mac'))('%s', (_name, input, wanted) => {
    const key = macKey('seed', hex(input.session_key_hex), '');
    expect(toHex(key.reveal())).toBe(wanted['mac_key_hex']);
    // The first half of HKDF: what the prototype's authors print.
    expect(toHex(hmacSha256(utf8('opaque-pop-salt-v1'), hex(input.session_key_hex)))).toBe(wanted['prk_hex']);
    expect(toHex(hkdfSha256(hex(input.session_key_hex), 'OPAQUE-POP-MAC-v1', 32, utf8('opaque-pop-salt-v1')))).toBe(
      wanted['mac_key_hex'],
    );
    const message = seedMessage(input, input.method, input.path, sha256(hex(input.body_hex)));
    expect(new TextDecoder().decode(message)).toBe(wanted['canonical']);
    expect(Buffer.from(hmacSha256(key, message)).toString('base64')).toBe(wanted['x_pop']);
  });

  test.each(of<MacCase>('strict-mac'))('%s', (_name, input, wanted) => {
    const key = macKey('strict', hex(input.session_key_hex), input.sid);
    expect(toHex(key.reveal())).toBe(wanted['mac_key_hex']);
    const fresh = { sid: input.sid, tsMs: input.ts_ms, nonce: b64(input.nonce) };
    const message = strictMessage(fresh, input, sha256(hex(input.body_hex)));
    expect(toHex(message)).toBe(wanted['canonical_hex']);
    expect(encodeBase64url(hmacSha256(key, message))).toBe(wanted['mac']);
  });

  test.each(of<MacCase>('logout-mac'))('%s', (_name, input, wanted) => {
    const message = logoutMessage({ sid: input.sid, tsMs: input.ts_ms, nonce: b64(input.nonce) });
    expect(toHex(message)).toBe(wanted['message_hex']);
    const key = macKey('strict', hex(input.session_key_hex), input.sid);
    expect(encodeBase64url(hmacSha256(key, message))).toBe(wanted['mac']);
  });
});

describe('verdicts', () => {
  interface PopCase extends VerifyCase {
    readonly settings: VerifyCase['settings'] & {
      readonly profiles: readonly ('strict' | 'seed')[];
      readonly window_ms: number;
      readonly future_ms: number;
      readonly seed_window_ms: number;
      readonly seed_allow_query: boolean;
    };
    readonly sessions: Readonly<
      Record<string, { user: string; profile: string; mac_key_hex: string; epoch: number; abs_until_ms: number }>
    >;
  }

  test.each(of<PopCase>('verify'))('%s', async (_name, input, wanted) => {
    const wrapKey = sharedKey('wrap', '09'.repeat(32));
    const store: Record<string, string> = { ...input.store };
    for (const [sid, { user, profile, mac_key_hex, epoch, abs_until_ms }] of Object.entries(input.sessions)) {
      const key = scopedStoreKey('opaque-pop')('s', 'default', 'session', sid);
      const k = encodeBase64url(hex(mac_key_hex));
      const session = { v: 1, user, profile, k, epoch, at: input.now_ms, absUntil: abs_until_ms };
      const plaintext = utf8(JSON.stringify(session));
      store[key.text] = seal({ wrapKey, purpose: 'opaque-pop session', key, plaintext, salt: randomBytes(16) });
    }
    const given = input.settings;
    const settings: Settings = {
      ...v.parse(settingsSchema, {}),
      profiles: [...given.profiles],
      windowMs: given.window_ms,
      futureMs: given.future_ms,
      seedWindowMs: given.seed_window_ms,
      seedAllowQuery: given.seed_allow_query,
    };
    const world = await vectorWorld('opaque-pop', { ...input, store }, [wrapKey]);
    const scheme = opaquePop.create(settings, world.resources);
    const policy: RoutePolicy = {
      route: 'api',
      body: 'required',
      tenant: 'default',
      realm: 'countersign',
      audience: [],
      options: settings,
    };
    expect(await verdictOf(scheme, input, policy, world)).toMatchObject(wanted);
  });
});

describe('OPAQUE', () => {
  const quiet = { observe() {}, level() {}, threads: 1, random: randomBytes };
  const engine = createEngine({ ...quiet, clock: { nowMs: () => 0, monotonicMs: () => 0 } });
  afterAll(() => engine.close());

  interface ServerCase {
    readonly context_hex: string;
    readonly oprf_seed_hex: string;
    readonly credential_identifier_hex: string;
    readonly server_private_key_hex: string;
    readonly server_public_key_hex: string;
    readonly server_keyshare_seed_hex: string;
    readonly server_nonce_hex: string;
    readonly masking_nonce_hex: string;
    readonly ke1_hex: string;
    readonly registration_request_hex?: string;
    readonly record_hex?: string;
    readonly client_identity_hex?: string;
    readonly server_identity_hex?: string;
    readonly fake?: { readonly client_public_key_hex: string; readonly masking_key_hex: string };
  }

  test.each(of<ServerCase>('opaque-server'))('the reference engine: %s', async (_name, input, wanted) => {
    const fakeKey = hex(input.fake?.client_public_key_hex ?? input.server_public_key_hex);
    const parts = [hex(input.oprf_seed_hex), hex(input.server_private_key_hex), fakeKey];
    const setup = new Secret(concat(parts));
    const user = new TextDecoder().decode(hex(input.credential_identifier_hex));
    const reference = referenceEngine({
      context: hex(input.context_hex),
      maskingNonce: hex(input.masking_nonce_hex),
      serverNonce: hex(input.server_nonce_hex),
      keyshareSeed: hex(input.server_keyshare_seed_hex),
      ...(input.client_identity_hex !== undefined && { clientIdentity: hex(input.client_identity_hex) }),
      ...(input.server_identity_hex !== undefined && { serverIdentity: hex(input.server_identity_hex) }),
      ...(input.fake !== undefined && { maskingKey: hex(input.fake.masking_key_hex) }),
    });
    const record = input.record_hex === undefined ? null : hex(input.record_hex);
    const { ke2, state } = await reference.loginStart(setup, user, record, hex(input.ke1_hex));
    expect(toHex(ke2)).toBe(wanted['ke2_hex']);
    if (input.registration_request_hex !== undefined) {
      const response = await reference.registrationResponse(setup, user, hex(input.registration_request_hex));
      expect(toHex(response)).toBe(wanted['registration_response_hex']);
    }
    if (wanted['ke3_hex'] !== undefined) {
      const sessionKey = await reference.loginFinish(state, hex(wanted['ke3_hex'] as string));
      expect(sessionKey === null ? null : toHex(sessionKey)).toBe(wanted['session_key_hex']);
    }
  });

  interface RegistrationCase {
    readonly setup: string;
    readonly user: string;
    readonly request: string;
  }

  test.each(of<RegistrationCase>('opaque-engine-registration'))('both engines: %s', async (_name, input, wanted) => {
    for (const each of [engine, referenceEngine()]) {
      const response = await each.registrationResponse(new Secret(b64(input.setup)), input.user, b64(input.request));
      expect(encodeBase64url(response)).toBe(wanted['response']);
    }
  });

  interface FinishCase {
    readonly server_login_state: string;
    readonly finalization: string;
  }

  test.each(of<FinishCase>('opaque-server-finish'))('both engines: %s', async (_name, input, wanted) => {
    for (const each of [engine, referenceEngine()]) {
      const key = await each.loginFinish(new Secret(b64(input.server_login_state)), b64(input.finalization));
      expect(encodeBase64url(key ?? new Uint8Array(0))).toBe(wanted['session_key']);
    }
    const sessionKey = b64(String(wanted['session_key']));
    expect(toHex(macKey('seed', sessionKey, '').reveal())).toBe(wanted['seed_mac_key_hex']);
    expect(toHex(macKey('strict', sessionKey, String(wanted['strict_sid'])).reveal())).toBe(
      wanted['strict_mac_key_hex'],
    );
  });

  interface ClientCase {
    readonly client_login_state: string;
    readonly login_response: string;
    readonly password: string;
    readonly ksf: { readonly memory_kib: number; readonly iterations: number; readonly parallelism: number };
  }

  test.each(of<ClientCase>('opaque-client-finish'))('%s', async (_name, input, wanted) => {
    await ready;
    const { memory_kib: memory, iterations, parallelism } = input.ksf;
    const finished = client.finishLogin({
      clientLoginState: input.client_login_state,
      loginResponse: input.login_response,
      password: input.password,
      keyStretching: { 'argon2id-custom': { memory, iterations, parallelism } },
    });
    if (wanted['error'] !== undefined) return expect(finished).toBeUndefined();
    return expect(finished).toMatchObject({
      finishLoginRequest: wanted['finalization'],
      sessionKey: wanted['session_key'],
      exportKey: wanted['export_key'],
    });
  });

  const shape = (bytes: number, text: string) =>
    v.safeParse(base64url(bytes), text).success ? undefined : 'malformed';

  test.each(of<FinishCase>('login-finish'))('%s', async (_name, input, wanted) => {
    const refused = shape(OPAQUE_BYTES.ke3, input.finalization);
    if (refused !== undefined) return expect({ verdict: 'deny', code: refused }).toEqual(wanted);
    const key = await engine.loginFinish(new Secret(b64(input.server_login_state)), b64(input.finalization));
    return expect({ verdict: 'deny', code: key === null ? 'signature_invalid' : 'allow' }).toEqual(wanted);
  });

  test.each(of<{ readonly request: string }>('login-start'))('%s', (_name, input, wanted) => {
    expect({ verdict: 'deny', code: shape(OPAQUE_BYTES.ke1, input.request) }).toEqual(wanted);
  });

  test('malformed is what both engines answer to points that are none', async () => {
    const setup = new Secret(b64(of<RegistrationCase>('opaque-engine-registration')[0]?.[1].setup ?? ''));
    const noPoint = new Uint8Array(96).fill(0xff);
    for (const each of [engine, referenceEngine()]) {
      expect(await codeOf(each.registrationResponse(setup, 'alice', noPoint.subarray(0, 32)))).toBe('malformed');
      expect(await codeOf(each.loginStart(setup, 'alice', null, noPoint))).toBe('malformed');
    }
  });
});
