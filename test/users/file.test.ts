/** `directory.file`: what is read, and what is refused with the file's name. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { generateKeyPair } from '../../src/crypto/signatures.ts';
import { readUserFile } from '../../src/users/file.ts';

const folder = mkdtempSync(join(tmpdir(), 'cs-'));
const file = join(folder, 'users.json');
afterAll(() => rmSync(folder, { recursive: true }));

const SCHEMES = ['challenge-signature', 'client-challenge'];
const { publicJwk: jwk } = generateKeyPair('ES256');

function read(content: unknown): ReturnType<typeof readUserFile> {
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return readUserFile(file, SCHEMES);
}

test('members left out have their defaults; keys serve every scheme with public keys', () => {
  expect(read({ users: [{ user: 'alice', keys: [{ kid: 'k1', jwk }] }] }).get('alice')).toEqual({
    v: 0,
    user: 'alice',
    epoch: 0,
    disabled: false,
    deleted: false,
    attributes: {},
    keys: [{ kid: 'k1', alg: 'ES256', jwk, uses: SCHEMES, addedAt: 0, expiresAt: null }],
    updatedAt: 0,
  });
});

test('all members are taken over', () => {
  const keys = [{ kid: 'k1', jwk, uses: ['client-challenge'], expiresAt: 1_800_000_000_000 }];
  const users = [{ user: 'bob', attributes: { role: 'admin' }, disabled: true, epoch: 3, keys }];
  expect(read({ users }).get('bob')).toMatchObject({ attributes: { role: 'admin' }, disabled: true, epoch: 3, keys });
});

test.each<[string, unknown]>([
  ['no users', {}],
  ['an unknown member', { users: [], more: 1 }],
  ['an unknown member of a user', { users: [{ user: 'a', keys: [], role: 'admin' }] }],
  ['no identifier', { users: [{ user: 'a/b', keys: [] }] }],
  [
    'a user twice',
    {
      users: [
        { user: 'a', keys: [] },
        { user: 'a', keys: [] },
      ],
    },
  ],
  ['a private key', { users: [{ user: 'a', keys: [{ kid: 'k', jwk: { ...jwk, d: 'A'.repeat(43) } }] }] }],
  [
    'a small-order key',
    { users: [{ user: 'a', keys: [{ kid: 'k', jwk: { kty: 'OKP', crv: 'Ed25519', x: `AQ${'A'.repeat(41)}` } }] }] },
  ],
  ['17 keys', { users: [{ user: 'a', keys: Array.from({ length: 17 }, (_, n) => ({ kid: `k${n}`, jwk })) }] }],
  ['attributes over 2 KiB in bytes', { users: [{ user: 'a', keys: [], attributes: { note: 'ä'.repeat(1100) } }] }],
  ['an attribute without a name', { users: [{ user: 'a', keys: [], attributes: { '': 1 } }] }],
  ['the reserved attribute', { users: [{ user: 'a', keys: [], attributes: { auth: 'x' } }] }],
  ['one key under two users', { users: ['a', 'b'].map((user) => ({ user, keys: [{ kid: 'k', jwk }] })) }],
  ['one key under two ids', { users: [{ user: 'a', keys: ['k', 'l'].map((kid) => ({ kid, jwk })) }] }],
  [
    'one id for two keys',
    { users: [{ user: 'a', keys: [jwk, generateKeyPair('ES256').publicJwk].map((one) => ({ kid: 'k', jwk: one })) }] },
  ],
  ['a negative epoch', { users: [{ user: 'a', keys: [], epoch: -1 }] }],
])('refuses %s, naming the file', (_title, content) => {
  expect(() => read(content)).toThrow(file);
});

test.each(['', '{', '[]', '{"users":[]}{}', '{"users":[],"users":[]}'])('refuses %j, naming the file', (text) => {
  expect(() => read(text)).toThrow(file);
});
