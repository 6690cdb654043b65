/** How the process lives, seen from outside: start, exit codes, reload, drain. */
import { access, appendFile, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { type Service, startService } from './support/service.ts';

const started: Service[] = [];
afterEach(() => Promise.all(started.splice(0).map((service) => service.stop())));

async function start(change?: Parameters<typeof startService>[0]): Promise<Service> {
  const service = await startService(change);
  started.push(service);
  return service;
}

/** Some setting, deep in a configuration. */
function set(config: object, path: string, value: unknown): void {
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  let at = config as Record<string, unknown>;
  for (const key of keys) at = (at[key] ??= {}) as Record<string, unknown>;
  if (value === undefined) delete at[last];
  else at[last] = value;
}

const having = (path: string, value: unknown) => (config: object) => set(config, path, value);

async function rewrite(service: Service, path: string, value: unknown): Promise<void> {
  const config = parse(await readFile(service.configFile, 'utf8')) as object;
  set(config, path, value);
  await writeFile(service.configFile, stringify(config));
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt += 1) {
    if (await isSo()) return;
    await sleep(50);
  }
  throw new Error('it never came to be');
}

describe('ends', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s: drains, exits 0 and leaves no socket behind', async (signal) => {
    const service = await start();
    await service.ready();
    await access(join(service.folder, 'check.sock'));
    service.child.kill(signal);
    expect(await service.ended).toBe(0);
    await expect(access(join(service.folder, 'check.sock'))).rejects.toThrow('ENOENT');
  });

  test('while it drains it is alive and not ready; a second signal ends it at once', async () => {
    const service = await start(having('process.drainDelay', '60s'));
    await service.ready();
    service.child.kill('SIGTERM');
    await until(async () => (await fetch(`${service.admin}/readyz`)).status === 503);
    expect((await fetch(`${service.admin}/healthz`)).status).toBe(200);
    service.child.kill('SIGTERM');
    expect(await service.ended).toBe(0);
  });
});

describe('does not start', () => {
  test.each([
    ['an unknown key', 'schemes.challenge-signature.lifetme', '30s', 'lifetme'],
    ['a duration without a unit', 'schemes.challenge-signature.lifetime', 30, 'lifetime'],
    ['a route without schemes', 'routes.api.schemes', [], 'schemes'],
    [
      'accept without the kind that is issued',
      'schemes.challenge-signature',
      { accept: ['stateless'] },
      'challenge-signature',
    ],
    ['no routes', 'routes', undefined, 'routes'],
  ])('exit 3, with file and path: %s', async (_title, path, value, named) => {
    const service = await start(having(path, value));
    expect(await service.ended).toBe(3);
    expect(service.output()).toMatch(/config\.yaml(:[0-9]+)?/);
    expect(service.output()).toContain(named);
  });

  test.each<[string, object]>([
    ['memory', { type: 'memory' }],
    ['Redis, which is not there', { type: 'redis', redis: { urls: ['redis://127.0.0.1:1'] } }],
  ])('exit 7 with a ring that is none, and nothing of it in the output: %s', async (_title, store) => {
    const service = await start(async (config, folder) => {
      set(config, 'store', store);
      set(config, 'insecure.freshMemoryStore', undefined);
      await writeFile(join(folder, 'ring.json'), '{"version":1,"keys":"CANARY', { mode: 0o600 });
      set(config, 'keys.ringFile', join(folder, 'ring.json'));
    });
    expect(await service.ended).toBe(7);
    expect(service.output()).toContain('key ring');
    expect(service.output()).not.toContain('CANARY');
  });

  test('exit 1 when an address is taken, and says which setting', async () => {
    // Found by this test: the Check listener, opened before, kept the process alive as half a service.
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    const service = await start(having('listeners.issuer.address', `127.0.0.1:${port}`));
    expect(await service.ended).toBe(1);
    expect(service.output()).toContain('listeners.issuer.address');
    taken.close();
  });
});

describe('reloads', () => {
  test('SIGHUP and the admin call put a changed file in force; the file itself is noticed too', async () => {
    const service = await start();
    await service.ready();
    const hashes = [(await service.status()).configHash];
    const moved = async () => {
      const { configHash } = await service.status();
      if (hashes.includes(configHash)) return false;
      hashes.push(configHash);
      return true;
    };

    await rewrite(service, 'routes.api.realm', 'one');
    await until(moved);
    await rewrite(service, 'routes.api.realm', 'two');
    service.child.kill('SIGHUP');
    await until(moved);
    await rewrite(service, 'routes.api.realm', 'three');
    expect(await service.reload()).toEqual({ status: 200, body: { result: 'applied' } });
    expect(await moved()).toBe(true);
    expect(await service.metric('countersign_config_last_reload_success')).toBe(1);
  });

  test('a change of the file that changes nothing is none: caches and buckets stay', async () => {
    const service = await start();
    await service.ready();
    const { configHash: before } = await service.status();
    await appendFile(service.configFile, '# looked at by a person\n');
    await sleep(1000);
    await rewrite(service, 'routes.api.realm', 'one');
    await until(async () => (await service.status()).configHash !== before);
    const reloads = () => service.output().match(/"event":"reload"/g) ?? [];
    await until(async () => reloads().length > 0);
    expect(reloads()).toHaveLength(1);
  });

  test.each<[string, string, unknown]>([
    ['the address of the Check listener', 'listeners.check.address', 'unix:/tmp/elsewhere.sock'],
    ['the address of the admin listener', 'listeners.admin.address', '127.0.0.1:1'],
    ['the store', 'store.memory.maxEntries', 1234],
    ['the clock', 'clock.skew', '4s'],
  ])('refuses a change of %s as a whole, and names it (OP-06)', async (_title, path, value) => {
    const service = await start();
    await service.ready();
    const before = await service.status();
    await rewrite(service, 'routes.api.realm', 'other');
    await rewrite(service, path, value);
    const { status, body } = await service.reload();
    expect(status).toBe(409);
    expect(body.reason).toMatch(/^restart required: /);
    expect(body.reason).toContain(path);
    expect((await service.status()).configHash).toBe(before.configHash);
  });

  test('a bad file leaves the old configuration in force, says so, and a good one heals it (OP-03)', async () => {
    const service = await start();
    await service.ready();
    const { configHash } = await service.status();
    const good = await readFile(service.configFile, 'utf8');
    const bad = [
      '',
      '\n',
      good.slice(0, good.length / 2),
      good.replace('version: 1', 'version:'),
      good.replace('version: 1', 'version: 2'),
      `${good}\n---\n${good}`,
      `${good}\nunknown: 1\n`,
      `${good}\nversion: 1\n`,
      good.replace('challenge-signature', 'challenge-signatur'),
      good.replace('memory', 'memroy'),
      '[]',
      'null',
      '\u0000',
      '<<: *x',
      '!!js/function "x"',
    ];
    for (const text of bad) {
      await writeFile(service.configFile, text);
      const { status, body } = await service.reload();
      expect([text, status, body.result]).toEqual([text, 409, 'refused']);
      expect((await service.status()).configHash).toBe(configHash);
      expect(await service.metric('countersign_config_last_reload_success')).toBe(0);
    }
    await rm(service.configFile);
    expect((await service.reload()).status).toBe(409);
    expect((await fetch(`${service.admin}/readyz`)).status).toBe(200);

    await writeFile(service.configFile, good);
    expect((await service.reload()).status).toBe(200);
    expect(await service.metric('countersign_config_last_reload_success')).toBe(1);
    expect(service.child.exitCode).toBeNull();
  });

  test('the symlink swap of a mounted ConfigMap is noticed (OP-06)', async () => {
    let folderOfConfig = '';
    const service = await start((_config, folder) => {
      folderOfConfig = folder;
    });
    await service.ready();
    const before = (await service.status()).configHash;
    const text = await readFile(service.configFile, 'utf8');
    const next = join(folderOfConfig, '..2026');
    await mkdir(next);
    await writeFile(join(next, 'config.yaml'), text.replace('api:', 'api2:'));
    await rm(service.configFile);
    await symlink(join(next, 'config.yaml'), service.configFile);
    await until(async () => (await service.status()).configHash !== before);
  });

  test('a file that was away and is back as it was is told of as applied', async () => {
    const service = await start();
    await service.ready();
    const succeeded = () => service.metric('countersign_config_last_reload_success');
    const good = await readFile(service.configFile, 'utf8');
    await rm(service.configFile);
    await until(async () => (await succeeded()) === 0);
    await writeFile(service.configFile, good);
    await until(async () => (await succeeded()) === 1);
  });
});
