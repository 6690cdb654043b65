/** Tokens and a JWT library that is not ours: it verifies what we issue, and we refuse what it can be made to forge. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import {
  calculateJwkThumbprint,
  CompactEncrypt,
  CompactSign,
  createLocalJWKSet,
  exportJWK,
  FlattenedSign,
  generateKeyPair,
  importJWK,
  type JSONWebKeySet,
  jwtVerify,
  SignJWT,
  UnsecuredJWT,
} from 'jose';
import type { SignatureAlg } from '../../src/core/directory.ts';
import { utf8 } from '../../src/encoding/bytes.ts';
import { jwks } from '../../src/issuer/jwks.ts';
import { addKey } from '../../src/keys/ring-changes.ts';
import { privateJwk } from '../../src/keys/ring.ts';
import { randomBytes } from '../../src/crypto/random.ts';
import { clientChallenge } from '../../src/schemes/client-challenge/index.ts';
import {
  AUDIENCE,
  carrying,
  claimsOf,
  GET,
  newKey,
  registered,
  SETTINGS,
  tokenOf,
} from '../schemes/client-challenge/prover.ts';
import { outcomeOf } from '../support/refused.ts';
import { createSchemeWorld, ISSUER_URL, START_MS, type SchemeWorld } from '../support/scheme-world.ts';
import { claims, part, ringKeyOf, signedToken } from './forge.ts';

function worldWith(alg: SignatureAlg): SchemeWorld {
  const { ring } = addKey([], { use: 'token-signing', alg, nowMs: 1, random: randomBytes });
  const algorithm = alg === 'ES256' ? 'ES256' : 'EdDSA';
  return createSchemeWorld(clientChallenge, { settings: { ...SETTINGS, algorithm }, ring });
}

const keySetOf = (world: SchemeWorld) =>
  createLocalJWKSet(jwks(world.resources.keyring).members as unknown as JSONWebKeySet);

describe.each(['Ed25519', 'ES256'] as const)('a foreign library, %s', (alg) => {
  test('verifies our tokens by the published keys alone', async () => {
    const world = worldWith(alg);
    const key = newKey();
    await registered(world, 'alice', key);
    const { payload, protectedHeader } = await jwtVerify(await tokenOf(world, key), keySetOf(world), {
      issuer: ISSUER_URL,
      audience: AUDIENCE,
      typ: 'at+jwt',
      algorithms: [alg === 'Ed25519' ? 'EdDSA' : 'ES256'],
      requiredClaims: ['iss', 'aud', 'sub', 'iat', 'exp', 'jti', 'epoch', 'key'],
      currentDate: new Date(START_MS),
    });
    expect(payload).toMatchObject({ sub: 'alice', exp: START_MS / 1000 + 600, epoch: 0 });
    expect(protectedHeader.kid).toBe(await calculateJwkThumbprint({ ...privateJwk(ringKeyOf(world)) }));
  });

  test('is not told a private member', () => {
    const { keys } = jwks(worldWith(alg).resources.keyring).members as { keys: object[] };
    const members =
      alg === 'Ed25519' ? ['kty', 'crv', 'x', 'alg', 'kid', 'use'] : ['kty', 'crv', 'x', 'y', 'alg', 'kid', 'use'];
    expect(keys.map(Object.keys)).toEqual([members]);
  });
});

describe.each(['Ed25519', 'ES256'] as const)('forged with a library, key of the ring %s', (alg) => {
  let world: SchemeWorld;
  let right: { alg: string; kid: string; typ: string };
  const judge = (token: string) => outcomeOf(world.judge(carrying(GET, token)));

  beforeEach(async () => {
    world = worldWith(alg);
    await registered(world, 'alice', newKey());
    right = { alg: alg === 'Ed25519' ? 'EdDSA' : 'ES256', kid: ringKeyOf(world).kid, typ: 'at+jwt' };
  });

  const ringPrivateKey = () => importJWK({ ...privateJwk(ringKeyOf(world)), alg: right.alg });
  const attackers = () => generateKeyPair(right.alg, { extractable: true });
  const made = async (header: object, key: Parameters<SignJWT['sign']>[0]) =>
    new SignJWT(claims()).setProtectedHeader({ ...right, ...header }).sign(key);

  test('one by the right key passes: what is refused below is refused for its own sake', async () => {
    expect(await judge(await made({}, await ringPrivateKey()))).toBe('allow');
    expect(await judge(signedToken(ringKeyOf(world), claims()))).toBe('allow');
  });

  test('alg none, in any case, with and without a signature: malformed, signature_invalid', async () => {
    expect(await judge(new UnsecuredJWT(claims()).encode())).toBe('malformed');
    for (const none of ['none', 'None', 'NONE', 'nOnE']) {
      const input = `${part(JSON.stringify({ ...right, alg: none }))}.${part(JSON.stringify(claims()))}`;
      expect(await judge(`${input}.`)).toBe('malformed');
      expect(await judge(`${input}.AA`)).toBe('signature_invalid');
    }
  });

  test('HS256 with the public key as secret, in every form that somebody might take it in: signature_invalid', async () => {
    const { d: _private, ...publicJwk } = privateJwk(ringKeyOf(world));
    const secrets = [JSON.stringify(publicJwk), publicJwk.x, right.kid].map(utf8);
    for (const secret of [...secrets, new Uint8Array(32)]) {
      expect(await judge(await made({ alg: 'HS256' }, secret))).toBe('signature_invalid');
      expect(await judge(await made({ alg: 'HS256', typ: 'JWT' }, secret))).toBe('signature_invalid');
    }
  });

  test('by another key under our kid: signature_invalid; under its own: unknown_credential', async () => {
    const { privateKey, publicKey } = await attackers();
    expect(await judge(await made({}, privateKey))).toBe('signature_invalid');
    const kid = await calculateJwkThumbprint(await exportJWK(publicKey));
    expect(await judge(await made({ kid }, privateKey))).toBe('unknown_credential');
  });

  test.each([
    ['a path', '../../../../dev/null'],
    ['a quote', `' OR '1'='1`],
    ['another name of the member', 'constructor'],
    ['nothing', ''],
    ['a null byte', '\0'],
  ])('kid that is %s: unknown_credential', async (_what, kid) => {
    expect(await judge(await made({ kid }, await ringPrivateKey()))).toBe('unknown_credential');
  });

  test('kid of a megabyte: malformed, before it is decoded', async () => {
    const start = world.steps;
    expect(await judge(await made({ kid: 'k'.repeat(1_000_000) }, await ringPrivateKey()))).toBe('malformed');
    expect(world.steps).toBe(start);
  });

  test('an embedded jwk, jku, x5u, x5c, by a key of its own or by ours: malformed', async () => {
    const { privateKey, publicKey } = await attackers();
    const jwk = await exportJWK(publicKey);
    for (const header of [
      { jwk },
      { jku: 'https://evil.example/jwks.json' },
      { x5u: 'https://evil.example/chain.pem' },
      { x5c: ['MIIB'] },
      { x5t: 'AAAA' },
      { cty: 'JWT' },
      { zip: 'DEF' },
      { epk: jwk },
    ]) {
      expect(await judge(await made(header, privateKey))).toBe('malformed');
      expect(await judge(await made(header, await ringPrivateKey()))).toBe('malformed');
    }
  });

  test('crit, known or not: malformed', async () => {
    const sign = new CompactSign(utf8(JSON.stringify(claims()))).setProtectedHeader({
      ...right,
      crit: ['exp'],
      exp: 1,
    });
    expect(await judge(await sign.sign(await ringPrivateKey(), { crit: { exp: true } }))).toBe('malformed');
    expect(await judge(signedToken(ringKeyOf(world), claims(), { crit: [] }))).toBe('malformed');
  });

  test('b64 false, its payload bare or encoded: malformed', async () => {
    const payload = JSON.stringify(claims());
    const { protected: header, signature } = await new FlattenedSign(utf8(payload))
      .setProtectedHeader({ ...right, b64: false, crit: ['b64'] })
      .sign(await ringPrivateKey());
    expect(await judge(`${header}.${payload}.${signature}`)).toBe('malformed');
    expect(await judge(`${header}.${part(payload)}.${signature}`)).toBe('malformed');
  });

  test('an encrypted token: malformed', async () => {
    const jwe = new CompactEncrypt(utf8(JSON.stringify(claims()))).setProtectedHeader({ alg: 'dir', enc: 'A256GCM' });
    expect(await judge(await jwe.encrypt(new Uint8Array(32)))).toBe('malformed');
  });

  test('a member twice, in header or claims, also under an escaped name: malformed', async () => {
    const key = ringKeyOf(world);
    const { alg: name, kid } = right;
    for (const header of [
      `{"alg":"${name}","kid":"other","kid":"${kid}","typ":"at+jwt"}`,
      `{"alg":"${name}","k\\u0069d":"other","kid":"${kid}","typ":"at+jwt"}`,
    ]) {
      expect(await judge(signedToken(key, claims(), header))).toBe('malformed');
    }
    for (const more of ['"sub":"root"', '"s\\u0075b":"root"', '"__proto__":{"sub":"root"}']) {
      const payload = `${JSON.stringify(claims()).slice(0, -1)},${more}}`;
      expect(await judge(signedToken(key, payload))).toBe('malformed');
    }
  });

  test('other spellings of the same bytes: malformed', async () => {
    const token = signedToken(ringKeyOf(world), claims());
    const [header = '', payload = '', signature = ''] = token.split('.');
    const stray = (text: string) =>
      text.slice(0, -1) + (text.endsWith('A') ? 'B' : String.fromCharCode(text.charCodeAt(text.length - 1) + 1));
    for (const spelled of [
      `${token}=`,
      `${token}==`,
      `${header}.${payload}.${stray(signature)}`,
      `${header}=.${payload}.${signature}`,
      token.replaceAll('-', '+').replaceAll('_', '/') + '+',
      ` ${token}`,
      `${token} `,
      `${header}. ${payload}.${signature}`,
      `${header}.${payload}.${signature},${token}`,
      `${header}%2E${payload}.${signature}`,
      `${token}.`,
      `.${token}`,
      `${header}..${signature}`,
    ]) {
      // A front trims blanks at the end of a header, so that one is the token itself.
      expect([spelled, await judge(spelled)]).toEqual([spelled, spelled.endsWith(' ') ? 'allow' : 'malformed']);
    }
  });

  test('signatures in DER, of zeroes, of another length, of another kind of key: signature_invalid', async () => {
    const [header = '', payload = '', signature = ''] = signedToken(ringKeyOf(world), claims()).split('.');
    const der = Buffer.concat([Buffer.from('3044022', 'hex'), Buffer.alloc(64, 1)]);
    for (const bytes of [der, Buffer.alloc(64), Buffer.from(signature, 'base64url').subarray(1), Buffer.alloc(96, 1)]) {
      expect(await judge(`${header}.${payload}.${bytes.toString('base64url')}`)).toBe('signature_invalid');
    }
    const other = worldWith(alg === 'Ed25519' ? 'ES256' : 'Ed25519');
    expect(await judge(signedToken(ringKeyOf(other), claims(), right))).toBe('signature_invalid');
  });

  test('one bit changed anywhere: refused', async () => {
    const token = signedToken(ringKeyOf(world), claims());
    for (let at = 0; at < token.length; at += 1) {
      const changed = token.slice(0, at) + String.fromCharCode(token.charCodeAt(at) ^ 1) + token.slice(at + 1);
      expect(['malformed', 'signature_invalid', 'unknown_credential']).toContain(await judge(changed));
    }
  });

  test('of another deployment that has a key of the same kid: signature_invalid', async () => {
    const other = worldWith(alg);
    expect(claimsOf(signedToken(ringKeyOf(other), claims(), { kid: right.kid }))).toEqual(claims());
    expect(await judge(signedToken(ringKeyOf(other), claims(), { kid: right.kid }))).toBe('signature_invalid');
  });
});
