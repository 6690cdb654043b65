/** Every list of `better-auth.json` that concerns v0 and the header form (BA-01, BA-02). */
import { describe, expect, test } from '@jest/globals';
import type { RingKey } from '../../src/core/keyring.ts';
import { Denial, wireCode } from '../../src/core/decision.ts';
import type { KeyClass } from '../../src/core/store.ts';
import { scopedStoreKey } from '../../src/crypto/store-key.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { hmacSha256 } from '../../src/crypto/mac.ts';
import { textDigest } from '../../src/crypto/blake3.ts';
import { formatAttributes } from '../../src/encoding/attributes.ts';
import { encodeBase64url } from '../../src/encoding/base64url.ts';
import { lpConcat, toHex, utf8 } from '../../src/encoding/bytes.ts';
import { decode, encode, saltBytes } from '../../src/encoding/cesr.ts';
import { parseJsonDocument } from '../../src/encoding/strict-json.ts';
import { Secret } from '../../src/core/secret.ts';
import type { StoredKey } from '../../src/keys/ring.ts';
import { decompressPoint } from '../../src/encoding/p256.ts';
import { headerSignedBytes, parseHeaderProof } from '../../src/schemes/better-auth/message-header.ts';
import { passphraseKey, preparePassphrase } from '../../src/schemes/better-auth/v0/client-passphrase.ts';
import { unpackToken } from '../../src/schemes/better-auth/token-text.ts';
import { parseAuthHeader } from '../../src/encoding/auth-header.ts';
import { readV0Body } from '../../src/schemes/better-auth/v0/access-body.ts';
import { verify as nodeVerify, createPublicKey } from 'node:crypto';
import { betterAuthWorld, callEndpoint, send } from '../schemes/better-auth/v0/prover.ts';
import { complete } from '../support/auth-request.ts';
import { codeOf, outcomeOf } from '../support/refused.ts';
import { hex } from '../support/bytes.ts';
import type { SchemeWorld } from '../support/scheme-world.ts';
import vectors from './better-auth.json' with { type: 'json' };

const { keys, identifiers, settings: assumed } = vectors;
const ids = identifiers.v0;
const SETTINGS = { audience: assumed.audience };
const PEPPER = hex('0b'.repeat(32));

const limits = { maxTokenChars: 8192, maxTokenBytes: 16_384 };

function ringKey(use: RingKey['use'], name: keyof typeof keys | 'pepper'): StoredKey {
  const base = { kid: name, use, state: 'active', activateAtMs: null, retireAtMs: null, createdAtMs: 0 } as const;
  if (name === 'pepper') return { ...base, alg: null, material: new Secret(PEPPER) };
  const { seed, publicKey } = keys[name];
  const jwk = decompressPoint(decode(publicKey, ['1AAI']).raw);
  const d = encodeBase64url(decode(seed, ['Q']).raw);
  return { ...base, alg: 'ES256', material: new Secret(utf8(JSON.stringify({ ...jwk, d }))) };
}

const RING = [
  ringKey('response-signing', 'response-server'),
  ringKey('access-signing', 'access-server'),
  ringKey('pepper', 'pepper'),
];

/** A world in which random values come out as the vectors have them. */
function vectorWorld(): { world: SchemeWorld; next(...words: readonly string[]): void } {
  const world = betterAuthWorld({ ring: RING, settings: SETTINGS });
  const queue: string[] = [];
  const random = (bytes: number): Uint8Array => {
    const word = queue.shift();
    if (word === undefined) throw new Error(`nobody said which ${bytes} bytes`);
    return word.startsWith('0A') ? saltBytes(word) : decode(word, ['E']).raw;
  };
  Object.assign(world.resources, { random });
  return { world, next: (...words) => void queue.push(...words) };
}

const operation = (name: string) => {
  const found = vectors.v0.find((one) => one.operation === name);
  if (found === undefined) throw new Error(name);
  return found;
};

const tail = (path: string) => path.slice('/better-auth/v0'.length);

/** What an operation draws at random, in order. */
const DRAWS: Readonly<Record<string, readonly string[]>> = {
  BeginAuthentication: [JSON.parse(operation('BeginAuthentication').replyBody).payload.authentication.nonce],
  CompleteAuthentication: [ids.sessionId],
  BeginPassphraseAuthentication: [
    JSON.parse(operation('BeginPassphraseAuthentication').replyBody).payload.passphraseAuthentication.nonce,
  ],
  CompletePassphraseAuthentication: [ids.sessionIdPassphrase],
  RequestRegistration: [
    JSON.parse(operation('RequestRegistration').replyBody).payload.registration.token,
    JSON.parse(operation('RequestRegistration').replyBody).payload.passphraseAuthentication.salt,
  ],
};

async function run(name: string, { world, next }: ReturnType<typeof vectorWorld>, bound = false): Promise<string> {
  const { path, requestBody, nowMs } = operation(name);
  world.clock.set(nowMs);
  next(...(DRAWS[name] ?? []));
  return send(world, tail(path), requestBody, bound ? { headers: { 'better-auth-reply': 'bound' } } : {});
}

/** Hands out the token of the vectors. */
async function material(kind: 'key' | 'passphrase', at: ReturnType<typeof vectorWorld>): Promise<Record<string, unknown>> {
  at.world.clock.set(vectors.clockMs);
  if (kind === 'key') at.next(ids.accountId, ids.registrationToken);
  else at.next(ids.accountIdPassphrase, ids.registrationTokenPassphrase, ids.salt);
  const order = { kind, attributes: { label: 'value' } };
  const answer = await callEndpoint(at.world, 'admin', '/admin/v1/better-auth/v0/registrations', JSON.stringify(order));
  expect(answer.status).toBe(201);
  return answer.body as Record<string, unknown>;
}

/** All but the signatures, which differ each time; they are verified instead. */
function unsigned(reply: string): string {
  return reply.replaceAll(/"signature":"0I[A-Za-z0-9_-]{86}"/g, '"signature":"..."');
}

function expectSigned(reply: string, word: string): void {
  const { value, sourceOf } = parseJsonDocument(utf8(reply));
  const jwk = decompressPoint(decode(word, ['1AAI']).raw);
  const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
  const bytes = utf8(sourceOf(value['payload'] as never));
  const signature = decode(value['signature'], ['0I']).raw;
  expect(nodeVerify('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true);
}

/** The state in which an operation of the list is called. */
const BEFORE: Readonly<Record<string, readonly string[]>> = {
  RegisterAuthenticationKey: [],
  RotateAuthenticationKey: ['RegisterAuthenticationKey'],
  BeginAuthentication: ['RegisterAuthenticationKey', 'RotateAuthenticationKey'],
  CompleteAuthentication: ['RegisterAuthenticationKey', 'RotateAuthenticationKey', 'BeginAuthentication'],
  RefreshAccessToken: [
    'RegisterAuthenticationKey',
    'RotateAuthenticationKey',
    'BeginAuthentication',
    'CompleteAuthentication',
  ],
  EndSession: [
    'RegisterAuthenticationKey',
    'RotateAuthenticationKey',
    'BeginAuthentication',
    'CompleteAuthentication',
    'RefreshAccessToken',
  ],
  RegisterAuthenticationPassphraseKey: [],
  BeginPassphraseAuthentication: ['RegisterAuthenticationPassphraseKey'],
  CompletePassphraseAuthentication: ['RegisterAuthenticationPassphraseKey', 'BeginPassphraseAuthentication'],
  RequestRegistration: ['RegisterAuthenticationKey', 'RotateAuthenticationKey'],
};

async function stateBefore(name: string): Promise<ReturnType<typeof vectorWorld>> {
  const at = vectorWorld();
  await material('key', at);
  if (name.includes('Passphrase')) await material('passphrase', at);
  for (const earlier of BEFORE[name] ?? []) await run(earlier, at);
  if (name === 'RequestRegistration') {
    const { payload } = JSON.parse(operation(name).requestBody);
    at.next(payload.authentication.nonce);
    at.world.clock.set(operation(name).nowMs - 1000);
    await send(at.world, '/authenticate/begin', JSON.stringify({ identification: { accountId: ids.accountId } }));
  }
  return at;
}

describe('BA-02 operations', () => {
  test.each(vectors.v0.map(({ operation: name }) => name))('%s gives the reply of the vectors', async (name) => {
    const reply = await run(name, await stateBefore(name));
    expect(unsigned(reply)).toBe(unsigned(operation(name).replyBody));
    expectSigned(reply, keys['response-server'].publicKey);
  });

  test('a bound reply names its request', async () => {
    const { boundReplyBody = '' } = operation('RotateAuthenticationKey') as { boundReplyBody?: string };
    const reply = await run('RotateAuthenticationKey', await stateBefore('RotateAuthenticationKey'), true);
    expect(unsigned(reply)).toBe(unsigned(boundReplyBody));
  });

  test.each(vectors.v0material)('material of kind $kind', async ({ kind, material: wanted }) => {
    const issued = await material(kind as 'key', vectorWorld());
    expect(unsigned(String(issued['material']))).toBe(unsigned(wanted));
    expectSigned(String(issued['material']), keys['response-server'].publicKey);
  });
});

describe('BA-01 refusals', () => {
  /** Operations that the note of a case names, in its words. */
  const states: Readonly<Record<string, readonly string[]>> = {
    'state: after RegisterAuthenticationKey': ['RegisterAuthenticationKey'],
    'state: token of kind key issued': [],
    'state: after RotateAuthenticationKey': ['RegisterAuthenticationKey', 'RotateAuthenticationKey'],
    'state: after RotateAuthenticationKey and BeginAuthentication': [...(BEFORE['CompleteAuthentication'] ?? [])],
    'state: after CompleteAuthentication; the challenge is gone': [...(BEFORE['RefreshAccessToken'] ?? [])],
    'state: after RefreshAccessToken; the session lives on': [...(BEFORE['EndSession'] ?? [])],
    'state: after RefreshAccessToken; the session and its tokens end': [...(BEFORE['EndSession'] ?? [])],
    'state: after CompleteAuthentication; the session lives on': [...(BEFORE['RefreshAccessToken'] ?? [])],
    'state: after BeginPassphraseAuthentication': [...(BEFORE['CompletePassphraseAuthentication'] ?? [])],
  };

  test.each(vectors.issuerNegativeV0)('$name: $outcome', async ({ path, body, outcome, note, status }) => {
    const at = vectorWorld();
    await material('key', at);
    if (path.includes('passphrase')) await material('passphrase', at);
    const earlier = states[note];
    if (earlier === undefined) throw new Error(note);
    for (const name of earlier) await run(name, at);
    const judged = send(at.world, tail(path), body);
    if (outcome === 'allow') expect(await outcomeOf(judged)).toBe('allow');
    else {
      const denial = await judged.then(undefined, (thrown: unknown) => thrown);
      if (!(denial instanceof Denial)) throw denial;
      expect([wireCode(denial.code), denial.form.issuer]).toEqual([outcome, status]);
    }
    // Whether the session goes on.
    if (note.includes('lives on') || note.includes('tokens end')) {
      const next = note.includes('RefreshAccessToken') ? 'EndSession' : 'RefreshAccessToken';
      expect(await outcomeOf(run(next, at))).toBe(note.includes('lives on') ? 'allow' : 'unknown_credential');
    }
  });
});

describe('BA-01 access', () => {
  async function withToken() {
    const at = await stateBefore('RefreshAccessToken');
    await run('RefreshAccessToken', at);
    return at.world;
  }
  const request = { method: 'POST', scheme: 'https', authority: 'api.example.com', target: '/x' } as const;
  const bodies = vectors.accessBody.filter(({ version }) => version === 'v0');
  const v0Token = (text: string) => ({ text, content: new TextDecoder().decode(unpackToken(text, limits).content) });

  test('there are two bodies of v0', () => expect(bodies).toHaveLength(2));

  test.each(bodies)('body: $name', async ({ body, signedPayload }) => {
    const { signedBytes } = readV0Body(parseJsonDocument(utf8(body)));
    expect(new TextDecoder().decode(signedBytes)).toBe(signedPayload);
  });

  test.each(bodies)('body: $name, once the token is bound', async ({ body, nowMs, ...rest }) => {
    const { identity } = rest as { identity?: { subject: string; keyId: string; attributes: { value: string } } };
    const world = await withToken();
    // The token of the vectors has another signature of the same key over the same bytes.
    world.clock.set(nowMs);
    const parts = { ...request, headers: [['content-type', 'application/json']] as const, body: complete(body) };
    const judged = await world.judge(parts);
    if (identity !== undefined) {
      expect(judged).toMatchObject({ subject: identity.subject, keyId: identity.keyId });
      expect(formatAttributes(judged.attributes)).toBe(identity.attributes.value);
    }
    expect(await codeOf(world.judge(parts))).toBe('replayed');
  });

  test.each(vectors.accessHeader)('header: $name, signed bytes', (given) => {
    const proof = parseHeaderProof(parseAuthHeader(given.authorization).params);
    const { content } = unpackToken(proof.token, limits);
    const bytes = headerSignedBytes(sha256(content), proof, given, sha256(utf8(given.bodyUtf8)));
    expect(toHex(bytes)).toBe(given.canonicalHex);
    expect(encode('0I', proof.signature)).toBe(given.signature);
  });

  test('header: v0 token, GET without a body, is allowed', async () => {
    const world = await withToken();
    const given = vectors.accessHeader.find(({ name }) => name.startsWith('v0'));
    if (given === undefined) throw new Error('no such case');
    world.clock.set(given.nowMs);
    const { method, authority, target, authorization } = given;
    const parts = { method, scheme: 'https', authority, target, headers: [['authorization', authorization]], body: complete('') } as const;
    expect(await world.judge(parts)).toMatchObject({ subject: ids.accountId, keyId: ids.deviceId });
  });

  test.each(vectors.tokens.filter(({ version }) => version === 'v0'))('BA-27 token: $name', async ({ token, json, sha256: digest }) => {
    const { content } = v0Token(token);
    expect(content.replace(/\n$/, '')).toBe(json);
    expect(toHex(sha256(utf8(json)))).toBe(digest);
  });
});

describe('BA-23 passphrases', () => {
  test.each(vectors.passphrase)('$passphrase, $parameters', async ({ passphrase, preparedUtf8Hex, parameters, salt, publicKey }) => {
    expect(toHex(preparePassphrase(passphrase))).toBe(preparedUtf8Hex);
    expect((await passphraseKey(passphrase, { parameters, salt })).word).toBe(publicKey);
  }, 60_000);

  test.each(vectors.derived)('$name', ({ name, value, ...rest }) => {
    const given = rest as { publicKey?: string; accountId?: string };
    if (given.publicKey !== undefined)
      expect(encodeBase64url(hmacSha256(PEPPER, utf8(textDigest(given.publicKey))))).toBe(value);
    else if (given.accountId !== undefined) {
      const mac = hmacSha256(PEPPER, lpConcat('better-auth/v0/salt', given.accountId));
      expect(encode('0A', mac.subarray(0, 16))).toBe(value);
    } else expect([name, textDigest(keys['response-server'].publicKey)]).toEqual([name, value]);
  });
});

test('a salt made up for an account without a passphrase is that of the vectors', async () => {
  const at = vectorWorld();
  at.next(vectors.v0.find(({ operation: name }) => name === 'BeginAuthentication')?.replyBody.slice(40, 64) ?? '');
  Object.assign(at.world.resources, { random: () => new Uint8Array(16) });
  const reply = await send(at.world, '/authenticate-passphrase/begin', JSON.stringify({ identification: { accountId: ids.accountId } }));
  const wanted = vectors.derived.find(({ name }) => name.startsWith('salt'))?.value;
  expect(JSON.parse(reply).payload.passphraseAuthentication.salt).toBe(wanted);
});

test.each(vectors.storeKeys)('store key $key', ({ class: keyClass, parts: [, ...parts], key }) => {
  expect(scopedStoreKey('better-auth')(keyClass as KeyClass, 'default', ...parts).text).toBe(key);
});
