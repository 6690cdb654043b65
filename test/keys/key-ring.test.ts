import { afterEach, describe, expect, test } from '@jest/globals';
import { chmod, mkdtemp, readFile, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from '../../src/crypto/random.ts';
import { createKeyring, openKeyring, type OpenKeyring } from '../../src/keys/key-ring.ts';
import { PUBLISH_MS, addKey, rotateKey } from '../../src/keys/ring-changes.ts';
import { readRingFile, writeRingFile } from '../../src/keys/ring-file.ts';
import { formatRing, type StoredKey } from '../../src/keys/ring.ts';
import { Secret } from '../../src/core/secret.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { ringWith } from '../support/key-ring.ts';

const T0_MS = 1_700_000_000_000;
const open: OpenKeyring[] = [];
const folders: string[] = [];

afterEach(async () => {
  for (const ring of open.splice(0)) ring.close();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ring-'));
  folders.push(folder);
  return folder;
}

async function openRing(file: string, changed: { changes: number; errors: unknown[] } = { changes: 0, errors: [] }) {
  const ring = await openKeyring({
    file,
    clock: createFakeClock(T0_MS),
    reloadIntervalMs: 3_600_000,
    onChange: () => void changed.changes++,
    onError: (error) => void changed.errors.push(error),
  });
  open.push(ring);
  return { ring, changed };
}

const withState = (key: StoredKey, change: Partial<StoredKey>): StoredKey => ({ ...key, ...change });

describe('which key when', () => {
  const clock = createFakeClock(T0_MS);
  const [active, next, retired] = [0, 1, 2].map(() => ringWith('wrap')[0] as StoredKey) as [
    StoredKey,
    StoredKey,
    StoredKey,
  ];

  test('active makes; active, next and retired before its end verify, in this order', () => {
    const ring = createKeyring(
      [
        withState(retired, { state: 'retired', retireAtMs: T0_MS + 1 }),
        withState(next, { state: 'next', activateAtMs: null }),
        active,
      ],
      clock,
    );
    expect(ring.active('wrap').kid).toBe(active.kid);
    expect(ring.usable('wrap').map((key) => key.kid)).toEqual([active.kid, next.kid, retired.kid]);
  });

  test('a retired key is refused at its end, which is exclusive', () => {
    const ring = createKeyring([active, withState(retired, { state: 'retired', retireAtMs: T0_MS })], clock);
    expect(ring.usable('wrap').map((key) => key.kid)).toEqual([active.kid]);
  });

  test('a retired key without an end is refused, an OPAQUE setup alone excepted', () => {
    const end = { state: 'retired', retireAtMs: null } as const;
    expect(createKeyring([active, withState(retired, end)], clock).usable('wrap').length).toBe(1);
    const setups = [withState(active, { use: 'opaque-setup' }), withState(retired, { ...end, use: 'opaque-setup' })];
    expect(createKeyring(setups, clock).usable('opaque-setup').length).toBe(2);
  });

  test('a next key is active from its time of activation on, and the older one still verifies', () => {
    const planned = withState(next, { state: 'next', activateAtMs: T0_MS + 1000 });
    const own = createFakeClock(T0_MS + 999);
    const ring = createKeyring([active, planned], own);
    expect(ring.active('wrap').kid).toBe(active.kid);
    own.advance(1);
    expect(ring.active('wrap').kid).toBe(planned.kid);
    expect(ring.usable('wrap').map((key) => key.kid)).toEqual([planned.kid, active.kid]);
    expect(ring.describe().map((key) => key.state)).toEqual(['active', 'active']);
  });

  test('there is one pepper', () => {
    const peppers = [withState(active, { use: 'pepper' }), withState(next, { use: 'pepper', state: 'next' })];
    expect(
      createKeyring(peppers, clock)
        .usable('pepper')
        .map((key) => key.kid),
    ).toEqual([active.kid]);
  });

  test('a use without keys is a fault key_source', () => {
    expect(() => createKeyring([], clock).active('wrap')).toThrow(expect.objectContaining({ reason: 'key_source' }));
    expect(createKeyring([], clock).usable('wrap')).toEqual([]);
  });
});

describe('the file', () => {
  test('is written whole, with mode 0600, and leaves nothing beside it', async () => {
    const folder = await newFolder();
    const file = join(folder, 'ring.json');
    await writeFile(file, 'old', { mode: 0o644 });
    const ring = ringWith('wrap', 'token-signing');
    await writeRingFile(file, ring);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['ring.json']);
    expect((await readRingFile(file)).map((key) => key.kid)).toEqual(ring.map((key) => key.kid));
  });

  test('is never replaced by a ring that could not be read back', async () => {
    const file = join(await newFolder(), 'ring.json');
    const ring = ringWith('wrap');
    await writeRingFile(file, ring);
    await expect(writeRingFile(file, [...ring, ...ring])).rejects.toThrow('occurs twice');
    expect((await readRingFile(file)).length).toBe(1);
  });

  test('that everybody may read is refused', async () => {
    const file = join(await newFolder(), 'ring.json');
    await writeRingFile(file, ringWith('wrap'));
    await chmod(file, 0o644);
    await expect(readRingFile(file)).rejects.toThrow('everybody may read it');
  });

  test('of more than 64 KiB, or none, is refused', async () => {
    const folder = await newFolder();
    await writeFile(join(folder, 'long'), ' '.repeat(65 * 1024), { mode: 0o600 });
    await expect(readRingFile(join(folder, 'long'))).rejects.toThrow('at most 64 KiB');
    await expect(readRingFile(join(folder, 'none'))).rejects.toThrow("can't be read");
  });
});

describe('reload', () => {
  test('a new ring replaces the old one in one step', async () => {
    const file = join(await newFolder(), 'ring.json');
    const first = addKey(ringWith('wrap'), { use: 'wrap', nowMs: T0_MS, random: randomBytes }).ring;
    await writeRingFile(file, first);
    const { ring, changed } = await openRing(file);
    expect(ring.active('wrap').kid).toBe(first[0]?.kid);
    await writeRingFile(file, rotateKey(first, { use: 'wrap', nowMs: T0_MS + PUBLISH_MS, random: randomBytes }).ring);
    await ring.reload();
    expect(ring.active('wrap').kid).toBe(first[1]?.kid);
    expect(changed).toEqual({ changes: 1, errors: [] });
    await ring.reload();
    expect(changed.changes).toBe(1);
  });

  test('a bad, empty, truncated or vanished file leaves the old ring in force', async () => {
    const file = join(await newFolder(), 'ring.json');
    await writeRingFile(file, ringWith('wrap'));
    const text = await readFile(file, 'utf8');
    const { ring, changed } = await openRing(file);
    const { kid } = ring.active('wrap');
    for (const bad of ['', text.slice(0, -20), '{"version":1,"keys":[]} x']) {
      await writeFile(file, bad);
      await ring.reload();
      expect(ring.active('wrap').kid).toBe(kid);
    }
    await rm(file);
    await ring.reload();
    expect(ring.active('wrap').kid).toBe(kid);
    expect(changed.errors.length).toBe(4);
    expect(changed.changes).toBe(0);
  });

  test('a good file after a bad one is taken', async () => {
    const file = join(await newFolder(), 'ring.json');
    await writeRingFile(file, ringWith('wrap'));
    const { ring } = await openRing(file);
    await writeFile(file, 'bad');
    await ring.reload();
    const other = ringWith('wrap');
    await writeRingFile(file, other);
    await ring.reload();
    expect(ring.active('wrap').kid).toBe(other[0]?.kid);
  });

  test('the swap of a symlink is noticed without a poll', async () => {
    const folder = await newFolder();
    await writeRingFile(join(folder, 'one'), ringWith('wrap'));
    const second = ringWith('wrap');
    await writeRingFile(join(folder, 'two'), second);
    await symlink('one', join(folder, 'ring.json'));
    const noticed = Promise.withResolvers<void>();
    const ring = await openKeyring({
      file: join(folder, 'ring.json'),
      clock: createFakeClock(T0_MS),
      reloadIntervalMs: 3_600_000,
      onChange: () => noticed.resolve(),
      onError: () => undefined,
    });
    open.push(ring);
    await symlink('two', join(folder, 'swap'));
    await rename(join(folder, 'swap'), join(folder, 'ring.json'));
    await noticed.promise;
    expect(ring.active('wrap').kid).toBe(second[0]?.kid);
  });
});

describe('self-test', () => {
  test('a signing key whose halves differ is refused', async () => {
    const file = join(await newFolder(), 'ring.json');
    const [mine, other] = [ringWith('token-signing')[0] as StoredKey, ringWith('token-signing')[0] as StoredKey];
    const d = (JSON.parse(new TextDecoder().decode(other.material.reveal())) as { d: string }).d;
    const jwk = { ...(JSON.parse(new TextDecoder().decode(mine.material.reveal())) as object), d };
    const mixed = withState(mine, { material: new Secret(new TextEncoder().encode(JSON.stringify(jwk))) });
    await writeFile(file, formatRing([mixed]), { mode: 0o600 });
    await expect(openRing(file)).rejects.toThrow('failed its self-test');
  });

  test('a secret of zeros is refused', async () => {
    const file = join(await newFolder(), 'ring.json');
    const zeros = withState(ringWith('challenge-mac')[0] as StoredKey, { material: new Secret(new Uint8Array(32)) });
    await writeFile(file, formatRing([zeros]), { mode: 0o600 });
    await expect(openRing(file)).rejects.toThrow('failed its self-test');
  });

  test('a ring without a key that a scheme needs is refused', async () => {
    const file = join(await newFolder(), 'ring.json');
    await writeRingFile(file, ringWith('wrap'));
    const options = {
      file,
      clock: createFakeClock(T0_MS),
      reloadIntervalMs: 1000,
      onChange: () => undefined,
      onError: () => undefined,
    };
    await expect(openKeyring({ ...options, required: ['wrap', 'pepper'] })).rejects.toThrow('pepper');
  });
});

test('what is told about keys holds no material', async () => {
  const file = join(await newFolder(), 'ring.json');
  const keys = ringWith('wrap', 'token-signing');
  await writeRingFile(file, keys);
  const { ring } = await openRing(file);
  const told = JSON.stringify(ring.describe()) + JSON.stringify(ring.usable('wrap'));
  expect(told).toContain(keys[0]?.kid);
  const { keys: entries } = JSON.parse(formatRing(keys)) as { keys: { material: string | { d: string } }[] };
  for (const { material } of entries) expect(told).not.toContain(typeof material === 'string' ? material : material.d);
});
