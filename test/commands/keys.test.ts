import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { calculateJwkThumbprint } from 'jose';
import { join } from 'node:path';
import { countersign, createFolder, type Folder } from './rig.ts';

let folder: Folder;
beforeEach(() => {
  folder = createFolder();
});
afterEach(() => folder.remove());

interface Listed {
  keys: { kid: string; use: string; state: string; createdAtMs: number }[];
}
const stored = (file: string) =>
  JSON.parse(readFileSync(file, 'utf8')) as { keys: { material: unknown; createdAt: number; state: string }[] };

describe('keys client', () => {
  test.each(['Ed25519', 'ES256'])(
    'makes an %s key: private to a file of mode 0600, public and thumbprint to stdout',
    async (alg) => {
      const out = join(folder.path, 'bob.jwk');
      const { exit, stdout } = await countersign(['keys', 'client', '--alg', alg, '--out', out, '--json']);
      expect(exit).toBe(0);
      const { publicJwk, thumbprint } = JSON.parse(stdout) as { publicJwk: Record<string, string>; thumbprint: string };
      const { d, ...rest } = JSON.parse(readFileSync(out, 'utf8')) as Record<string, string>;
      expect(d).toMatch(/^[A-Za-z0-9_-]{43}$/);
      expect(publicJwk).toEqual(rest);
      expect(stdout).not.toContain(d);
      expect(thumbprint).toBe(await calculateJwkThumbprint(publicJwk));
      expect(statSync(out).mode & 0o777).toBe(0o600);
    },
  );

  test('exits 7 rather than overwrite a file', async () => {
    const out = folder.write('bob.jwk', 'precious');
    const { exit, stderr } = await countersign(['keys', 'client', '--alg', 'ES256', '--out', out]);
    expect(exit).toBe(7);
    expect(stderr).toContain(out);
    expect(readFileSync(out, 'utf8')).toBe('precious');
  });

  test('exits 2 for another algorithm', async () => {
    const { exit, stderr } = await countersign(['keys', 'client', '--alg', 'RS256', '--out', join(folder.path, 'x')]);
    expect({ exit, stderr }).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('expected Ed25519 or ES256, got "RS256"'),
    });
  });
});

const ring = () => join(folder.path, 'ring.json');
const keys = (...args: string[]) => countersign(['keys', ...args, '--ring', ring()]);

describe('the ring', () => {
  test('generate makes the first key active and the second next, in a file of mode 0600, and never prints material', async () => {
    const first = await keys('generate', '--use', 'challenge-mac', '--json');
    const second = await keys('generate', '--use', 'challenge-mac', '--json');
    expect([first.exit, second.exit]).toEqual([0, 0]);
    expect((JSON.parse(first.stdout) as Listed).keys[0]?.state).toBe('active');
    expect((JSON.parse(second.stdout) as Listed).keys[0]?.state).toBe('next');
    expect(statSync(ring()).mode & 0o777).toBe(0o600);
    const listed = await keys('list');
    expect(listed.stdout.trimEnd().split('\n')).toHaveLength(2);
    for (const { material } of stored(ring()).keys)
      expect(first.stdout + second.stdout + listed.stdout).not.toContain(material);
  });

  test('rotate exits 2 while the next key is too young, and leaves the file alone', async () => {
    await keys('generate', '--use', 'challenge-mac');
    await keys('generate', '--use', 'challenge-mac');
    const before = readFileSync(ring(), 'utf8');
    const { exit, stderr } = await keys('rotate', '--use', 'challenge-mac');
    expect(exit).toBe(2);
    expect(stderr).toContain('too young');
    expect(readFileSync(ring(), 'utf8')).toBe(before);
  });

  test('rotate makes an old enough next key active, retires the other and makes a new next', async () => {
    await keys('generate', '--use', 'challenge-mac');
    await keys('generate', '--use', 'challenge-mac');
    const older = stored(ring());
    for (const key of older.keys) key.createdAt -= 3_600_000;
    folder.write('ring.json', JSON.stringify(older));
    const { exit, stdout } = await keys('rotate', '--use', 'challenge-mac', '--json');
    expect(exit).toBe(0);
    expect((JSON.parse(stdout) as Listed).keys.map(({ state }) => state)).toEqual(['retired', 'active', 'next']);
    expect(stored(ring()).keys.map(({ state }) => state)).toEqual(['retired', 'active', 'next']);
  });

  test('rotate exits 2 for keys whose change would make everybody register anew', async () => {
    await keys('generate', '--use', 'pepper');
    const { exit, stderr } = await keys('rotate', '--use', 'pepper');
    expect(exit).toBe(2);
    expect(stderr).toContain('--re-registers-everyone');
  });

  test('retire ends a key at once, and exits 2 for one that is not there', async () => {
    await keys('generate', '--use', 'wrap');
    const next = JSON.parse((await keys('generate', '--use', 'wrap', '--json')).stdout) as Listed;
    const { exit, stdout } = await keys('retire', '--kid', next.keys[0]?.kid ?? '', '--json');
    expect(exit).toBe(0);
    expect((JSON.parse(stdout) as Listed).keys.map(({ state }) => state)).toEqual(['active', 'retired']);
    expect(stored(ring()).keys.map(({ state }) => state)).toEqual(['active', 'retired']);
    expect((await keys('retire', '--kid', 'AAAA')).exit).toBe(2);
  });

  test.each([
    ['is missing', undefined, 0o600],
    ['is no ring', '{"version":2}', 0o600],
    ['everybody may read', '{"version":1,"keys":[]}', 0o644],
  ])('list exits 7 for a ring that %s, and names the file', async (_, text, mode) => {
    if (text !== undefined) folder.write('ring.json', text, mode);
    const { exit, stderr } = await keys('list');
    expect(exit).toBe(7);
    expect(stderr).toMatch(/key ring/);
  });

  test('generate exits 2 for an unknown use and makes no file', async () => {
    expect((await keys('generate', '--use', 'everything')).exit).toBe(2);
    expect(
      (await keys('generate', '--use', 'token-signing', '--alg', 'Ed25519', '--activate-at', 'tomorrow')).exit,
    ).toBe(2);
    expect(existsSync(ring())).toBe(false);
  });
});
