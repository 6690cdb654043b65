/** Keys of the client: WebCrypto's sign what the server verifies, can't be read out, and files are read only when they are private. */
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { SignatureAlg } from '../../src/core/directory.ts';
import {
  createSignatures,
  generateKeyPair as generateJwk,
  thumbprint as serverThumbprint,
} from '../../src/crypto/signatures.ts';
import { generateKeyPair, type KeyPair, signingKey, thumbprint } from '../../src/client/index.ts';
import { createKeyFile, readKeyFile } from '../../src/client/node.ts';

const ALGS: readonly SignatureAlg[] = ['Ed25519', 'ES256'];
const MESSAGE = new TextEncoder().encode('signed');
const signatures = createSignatures({ mode: 'sync' });
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-keys-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe.each(ALGS)('%s', (alg) => {
  test('a generated key signs what the server verifies, and its private half can not be exported', async () => {
    const pair = await generateKeyPair(alg);
    const key = await signingKey(pair);
    expect(key.alg).toBe(alg);
    expect(await signatures.verify({ alg, jwk: key.publicJwk }, MESSAGE, await key.sign(MESSAGE))).toBe(true);
    await expect(crypto.subtle.exportKey('pkcs8', pair.privateKey)).rejects.toThrow('not extractable');
    await expect(crypto.subtle.exportKey('jwk', pair.privateKey)).rejects.toThrow('not extractable');
  });

  test('its thumbprint is the one the server computes', async () => {
    const { publicJwk } = generateJwk(alg);
    expect(await thumbprint(publicJwk)).toEqual(new Uint8Array(serverThumbprint(publicJwk)));
  });

  test('a new key file is private, is read back, and is never overwritten', async () => {
    const path = join(folder, `${alg}.jwk`);
    const made = await createKeyFile(path, alg);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const read = await readKeyFile(path);
    expect(read.publicJwk).toEqual(made.publicJwk);
    expect(await signatures.verify({ alg, jwk: made.publicJwk }, MESSAGE, await read.sign(MESSAGE))).toBe(true);
    const before = await readFile(path, 'utf8');
    await expect(createKeyFile(path, alg)).rejects.toMatchObject({ code: 'key_unusable' });
    expect(await readFile(path, 'utf8')).toBe(before);
  });

  test('a JWK with members of other tools (kid, alg, use) is read', async () => {
    const path = join(folder, `${alg}-more.jwk`);
    const { privateJwk, publicJwk } = generateJwk(alg);
    await writeFile(path, JSON.stringify({ ...privateJwk, kid: 'k1', alg: 'x', use: 'sig' }), { mode: 0o600 });
    expect((await readKeyFile(path)).publicJwk).toEqual(publicJwk);
  });
});

test.each([0o644, 0o640, 0o602, 0o660])('refuses with key_unusable a file of mode %o', async (mode) => {
  const path = join(folder, `mode-${mode}.jwk`);
  await createKeyFile(path, 'Ed25519');
  await chmod(path, mode);
  await expect(readKeyFile(path)).rejects.toThrow('expected mode 0600');
});

test.each([
  ['is not there', undefined],
  ['is not JSON', '{"kty":"OKP","d":"SECRET'],
  ['is null', 'null'],
  ['is a public key', JSON.stringify(generateJwk('Ed25519').publicJwk)],
  ['is of another curve', '{"kty":"EC","crv":"P-384","x":"AAAA","y":"AAAA","d":"SECRET"}'],
  ['holds a key that is none', JSON.stringify({ ...generateJwk('ES256').publicJwk, d: 'SECRET' })],
  [
    'holds halves of two keys',
    JSON.stringify({ ...generateJwk('ES256').publicJwk, d: generateJwk('ES256').privateJwk.d }),
  ],
])('refuses with key_unusable a file that %s, and quotes nothing of it', async (title, text) => {
  const path = join(folder, `${title}.jwk`);
  if (text !== undefined) await writeFile(path, text, { mode: 0o600 });
  const error: Error = await readKeyFile(path).then(
    () => new Error('was read'),
    (thrown: unknown) => thrown as Error,
  );
  expect(error).toMatchObject({ code: 'key_unusable' });
  expect(`${error.message} ${String(error.cause)} ${error.stack}`).not.toContain('SECRET');
});

test('refuses with key_unusable a pair of another algorithm', async () => {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-384' }, false, ['sign', 'verify']);
  await expect(signingKey(pair as KeyPair)).rejects.toMatchObject({ code: 'key_unusable' });
});
