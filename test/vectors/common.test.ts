/** Every case of `common.json` (CT-01): the bytes and verdicts that all schemes share. */
import { describe, expect, test } from '@jest/globals';
import { requireAfterHorizon, within } from '../../src/core/clock.ts';
import { Denial } from '../../src/core/decision.ts';
import { isIdentifier } from '../../src/core/directory.ts';
import type { PublicJwk, SignatureAlg } from '../../src/core/directory.ts';
import { Fault } from '../../src/core/fault.ts';
import type { RingKey } from '../../src/core/keyring.ts';
import { Secret } from '../../src/core/secret.ts';
import type { Key, KeyClass } from '../../src/core/store.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { checkOwner } from '../../src/crypto/owner.ts';
import { open, seal } from '../../src/crypto/seal.ts';
import { createSignatures, sign, thumbprint } from '../../src/crypto/signatures.ts';
import { storeKey } from '../../src/crypto/store-key.ts';
import { formatAttributes } from '../../src/encoding/attributes.ts';
import { parseAuthHeader } from '../../src/encoding/auth-header.ts';
import { decodeBase64url, encodeBase64url } from '../../src/encoding/base64url.ts';
import { lp, lpConcat, toHex, u64, utf8 } from '../../src/encoding/bytes.ts';
import { canonicalRequest } from '../../src/encoding/canonical-request.ts';
import type { CanonicalParts } from '../../src/encoding/canonical-request.ts';
import { parseInteger } from '../../src/encoding/integer.ts';
import { parseStrictJson } from '../../src/encoding/strict-json.ts';
import { createLimits } from '../../src/limits.ts';
import { ed25519Jwk, hex } from '../support/bytes.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { refusalOf, thrownBy } from '../support/refusal.ts';
import vectors from './common.json' with { type: 'json' };

/** The members of `input` by operation. */
interface Inputs {
  base64url: { text: string };
  lp: { text: string; u64: number };
  integer: { text: string };
  identifier: { text: string };
  'store-key': { class: KeyClass; parts_hex: string[] };
  owner: { http_id: string; seconds: number; nanos: number };
  seal: { wrap_key_hex: string; purpose: string; store_key: string; plaintext: string; salt_hex: string };
  open: { wrap_keys_hex: string[]; purpose: string; store_key: string; sealed: string };
  within: { lo: number | null; t: number | null; hi: number | null };
  horizon: { made_at_ms: number; now_ms: number; lead_ms: number; horizon_ms: number };
  bucket: { per_ms: number; burst: number; at_ms: number[] };
  'auth-header': { value: string };
  json: { text?: string; hex?: string };
  'verify-signature': {
    alg: SignatureAlg;
    public_key_hex?: string;
    jwk?: PublicJwk;
    message_hex: string;
    signature_hex: string;
  };
  'enrol-key': { aud: string; invitation: string; kid: string; jwk: PublicJwk };
  canonical: CanonicalParts & { label: string; credential: string; fresh_hex: string; policy: string; body_hex?: string };
  attributes: { attributes: Record<string, unknown> };
}

type Expected = Readonly<Record<string, unknown>>;

const judges: { [Op in keyof Inputs]: (input: Inputs[Op], expected: Expected) => void | Promise<void> } = {
  base64url({ text }, expected) {
    const bytes = decodeBase64url(text);
    expect(bytes === undefined ? { error: 'malformed' } : { hex: toHex(bytes) }).toEqual(expected);
    if (bytes !== undefined) expect(encodeBase64url(bytes)).toBe(text);
  },
  lp({ text, u64: number }, expected) {
    expect({ lp_hex: toHex(lp(text)), u64_hex: toHex(u64(number)) }).toEqual(expected);
  },
  integer({ text }, expected) {
    const value = parseInteger(text);
    expect(value === undefined ? { error: 'malformed' } : { value }).toEqual(expected);
  },
  identifier({ text }, expected) {
    expect(isIdentifier(text) ? { ok: true } : { error: 'malformed' }).toEqual(expected);
  },
  'store-key'(input, expected) {
    expect({ key: storeKey(input.class, ...input.parts_hex.map(hex)).text }).toEqual(expected);
  },
  owner({ http_id, seconds, nanos }, expected) {
    expect({ owner: checkOwner(http_id, seconds, nanos) }).toEqual(expected);
    expect({ owner: checkOwner(http_id, BigInt(seconds), nanos) }).toEqual(expected);
  },
  seal({ wrap_key_hex, purpose, store_key, plaintext, salt_hex }, expected) {
    const [wrapKey, key] = [wrap(wrap_key_hex), at(store_key)];
    const sealed = seal({ wrapKey, purpose, key, plaintext: utf8(plaintext), salt: hex(salt_hex) });
    expect({ sealed }).toEqual(expected);
    expect(toHex(open({ wrapKeys: [wrapKey], purpose, key, sealed }))).toBe(toHex(utf8(plaintext)));
  },
  open({ wrap_keys_hex, purpose, store_key, sealed }, expected) {
    const wrapKeys = wrap_keys_hex.map(wrap);
    const refusal = refusalOf(() => open({ wrapKeys, purpose, key: at(store_key), sealed }));
    expect(refusal === 'fault sealed' ? { error: 'fault' } : { refusal }).toEqual(expected);
  },
  within({ lo, t, hi }, expected) {
    expect({ accept: within(lo ?? Number.NaN, t ?? Number.NaN, hi ?? Number.NaN) }).toEqual(expected);
  },
  horizon({ made_at_ms, now_ms, lead_ms, horizon_ms }, expected) {
    const freshness = { madeAtMs: made_at_ms, leadMs: lead_ms, nowMs: now_ms };
    const thrown = thrownBy(() => requireAfterHorizon(freshness, horizon_ms));
    if (thrown instanceof Denial) expect({ code: thrown.code }).toEqual(expected);
    else if (thrown instanceof Fault)
      expect({ fault: thrown.reason, retry_after_s: thrown.retryAfterSeconds }).toEqual(expected);
    else expect({ go: thrown === undefined }).toEqual(expected);
  },
  bucket({ per_ms, burst, at_ms }, expected) {
    const clock = createFakeClock(0);
    const limit = { periodMs: per_ms, burst };
    const limits = createLimits({ clock, maxBuckets: 10, perCredential: limit });
    const steps = at_ms.map((nowMs) => {
      clock.advance(nowMs - clock.nowMs());
      const thrown = thrownBy(() => limits.charge([{ bucket: 'source', limit, key: ['192.0.2.1'] }]));
      if (thrown === undefined) return { now_ms: nowMs, allow: true };
      return { now_ms: nowMs, allow: false, retry_after_s: thrown instanceof Denial && thrown.options.retryAfterSeconds };
    });
    expect(steps).toEqual((expected['steps'] as BucketStep[]).map(inSeconds));
  },
  'auth-header'({ value }, expected) {
    const refusal = refusalOf(() => parseAuthHeader(value));
    if (refusal !== undefined) return expect({ error: refusal }).toEqual(expected);
    const { scheme, params } = parseAuthHeader(value);
    expect({ scheme, params: Object.fromEntries(params) }).toEqual(expected);
  },
  json(input, expected) {
    const bytes = input.hex === undefined ? utf8(input.text ?? '') : hex(input.hex);
    const refusal = refusalOf(() => parseStrictJson(bytes));
    expect(refusal === undefined ? { ok: true } : { error: refusal }).toEqual(expected);
  },
  async 'verify-signature'({ alg, public_key_hex = '', jwk, message_hex, signature_hex }, expected) {
    const key = { alg, jwk: jwk ?? ed25519Jwk(hex(public_key_hex)) };
    for (const mode of ['sync', 'threadpool'] as const) {
      const valid = await createSignatures({ mode }).verify(key, hex(message_hex), hex(signature_hex));
      expect({ mode, valid }).toEqual({ mode, ...expected });
    }
  },
  'enrol-key'({ aud, invitation, kid, jwk }, expected) {
    const digest = thumbprint(jwk);
    const message = lpConcat('countersign/enrol-key/1', aud, invitation, kid, digest);
    const signature = encodeBase64url(sign({ ...jwk, d: RFC8032_TEST1_SEED }, message));
    expect({ thumbprint: encodeBase64url(digest), message_hex: toHex(message), signature }).toEqual(expected);
  },
  canonical({ label, credential, fresh_hex, policy, body_hex = '', ...request }, expected) {
    const digest = policy === 'none' ? new Uint8Array(0) : sha256(hex(body_hex));
    const bytes = canonicalRequest(label, credential, hex(fresh_hex), request, digest);
    expect({ canonical_hex: toHex(bytes) }).toEqual(expected);
  },
  attributes({ attributes }, expected) {
    expect({ header: formatAttributes(attributes) }).toEqual(expected);
  },
};

interface BucketStep {
  readonly now_ms: number;
  readonly allow: boolean;
  readonly retry_after_ms?: number;
}

/** A client is told whole seconds. */
function inSeconds({ now_ms, allow, retry_after_ms }: BucketStep) {
  if (retry_after_ms === undefined) return { now_ms, allow };
  return { now_ms, allow, retry_after_s: Math.ceil(retry_after_ms / 1000) };
}

const RFC8032_TEST1_SEED = encodeBase64url(hex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'));

function wrap(keyHex: string): RingKey {
  return {
    kid: 'w',
    use: 'wrap',
    alg: null,
    state: 'active',
    activateAtMs: null,
    retireAtMs: null,
    material: new Secret(hex(keyHex)),
  };
}

function at(text: string): Key {
  return { class: text.charAt(0) as KeyClass, text, firstByte: 0, durable: false };
}

describe('common.json', () => {
  test.each(vectors.cases.map((one) => [one.name, one] as const))('%s', (_, { input, expect: expected }) =>
    // Which members an input has follows from its operation.
    judges[input.op as keyof Inputs](input as never, expected),
  );
});
