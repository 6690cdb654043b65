/** `countersign explain` as it is called. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { encodeCheck } from '../envoy-front/check-builder.ts';
import { countersign, createFolder, type Folder } from './rig.ts';

let folder: Folder;
let config: string;
let capture: string;
beforeAll(async () => {
  folder = createFolder();
  const ring = join(folder.path, 'ring.json');
  await countersign(['keys', 'generate', '--use', 'challenge-mac', '--ring', ring]);
  config = join(folder.path, 'c.yaml');
  writeFileSync(
    config,
    stringify({
      version: 1,
      store: { type: 'memory' },
      keys: { ringFile: ring },
      schemes: { 'challenge-signature': {} },
      routes: { api: { schemes: ['challenge-signature'], publicOrigins: ['https://api.example.com'] } },
    }),
  );
  capture = join(folder.path, 'check.b64');
  const authorization = `ChallengeSignature user="alice", kid="k1", ch="short", sig="${'A'.repeat(86)}"`;
  writeFileSync(
    capture,
    Buffer.from(encodeCheck({ path: '/pay?token=hidden', headers: [['authorization', authorization]] })).toString(
      'base64',
    ),
  );
});
afterAll(() => folder.remove());

describe('explain', () => {
  test('prints each step and the verdict, and nothing of the credential or the query', async () => {
    const { exit, stdout, stderr } = await countersign(['explain', '--config', config, capture]);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(stdout).toContain('route: api, body policy required');
    expect(stdout).toContain('request: GET https://api.example.com/pay?...');
    expect(stdout).toContain('scheme challenge-signature: malformed: ch is not 41 bytes in base64url');
    expect(stdout).toMatch(/\nverdict: malformed\n$/);
    expect(stdout).not.toMatch(/hidden|AAAA|short/);
  });

  test('exits 6 when the verdict is not the expected one', async () => {
    const expecting = async (verdict: string) =>
      (await countersign(['explain', '--config', config, '--expect', verdict, '--json', capture])).exit;
    expect([await expecting('malformed'), await expecting('allow')]).toEqual([0, 6]);
  });

  test('explains what is no Check as the fault that it would be', async () => {
    const file = join(folder.path, 'noise.bin');
    writeFileSync(file, Uint8Array.of(0xff, 0xff, 0x00));
    const { exit, stdout } = await countersign(['explain', '--config', config, file]);
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: expect.stringContaining('verdict: check_invalid') });
  });

  test('exits 2 when asked for a store that the configuration does not have', async () => {
    const { exit, stderr } = await countersign(['explain', '--config', config, '--against-store', capture]);
    expect(exit).toBe(2);
    expect(stderr).toContain('--against-store: expected store.type "redis" in the configuration, got "memory"');
  });

  test('exits 2 without a capture, 3 for a bad configuration, 7 for a file that is missing or no Check', async () => {
    const run = async (...args: string[]) => (await countersign(['explain', ...args])).exit;
    const bad = join(folder.path, 'bad.yaml');
    writeFileSync(bad, 'version: 1\nstores: {}\n');
    const json = join(folder.path, 'bad.json');
    writeFileSync(json, '{"attributes":1}');
    expect([
      await run('--config', config),
      await run('--config', config, '--at', 'soon', capture),
      await run('--config', bad, capture),
      await run('--config', config, join(folder.path, 'absent')),
      await run('--config', config, json),
    ]).toEqual([2, 2, 3, 7, 7]);
  });
});
