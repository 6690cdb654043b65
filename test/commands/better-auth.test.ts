/** A device of better-auth in the terminal, through a real Envoy: its first call makes an account, the next ones go on with it. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { routeToIssuer } from '../../scripts/envoy-config.ts';
import { OPERATIONS } from '../../src/schemes/better-auth/v1/message.ts';
import { type Deployment, openDeployment } from '../support/deployment.ts';
import { countersign, createFolder, type Folder } from './rig.ts';

let folder: Folder;
let deployment: Deployment;
beforeAll(async () => {
  folder = createFolder();
  deployment = await openDeployment({
    ringUses: ['challenge-mac', 'response-signing', 'access-signing', 'pepper'],
    change(config) {
      config.schemes['better-auth'] = {};
      config.routes['api'] = { ...config.routes['api'], schemes: ['better-auth', 'challenge-signature'] };
    },
    changeEnvoy: (config) =>
      routeToIssuer(config, [
        ...OPERATIONS.map((operation) => `/${operation}`),
        '/better-auth/keys',
        ...['register/key', 'authenticate/begin', 'authenticate/complete', 'refresh'].map(
          (path) => `/better-auth/v0/${path}`,
        ),
      ]),
  });
}, 60_000);
afterAll(async () => {
  await deployment.stop();
  folder.remove();
});

const at = (name: string) => join(folder.path, name);
const asDevice = (name: string, ...more: string[]) => ['--scheme', 'better-auth', '--state', at(name), ...more];
const get = (...args: string[]) => countersign(['curl', ...args, 'GET', `${deployment.url}/balance`]);

describe('--scheme better-auth', () => {
  test('makes an account by the first call, and goes on with it', async () => {
    const first = await get(...asDevice('phone', '--recovery-key', at('recovery.jwk')));
    expect([first.exit, first.stderr]).toEqual([0, '']);
    const { identity } = JSON.parse(readFileSync(at('phone/state.json'), 'utf8')) as { identity: string };
    expect(first.stdout).toContain(`["x-auth-subject","${identity}"]`);
    const again = await get(...asDevice('phone'));
    expect(again.stdout).toContain(identity);
    for (const file of ['recovery.jwk', 'phone/state.json', 'phone/device-0.jwk'])
      expect(statSync(at(file)).mode & 0o777).toBe(0o600);
  });

  test('signs without sending: good once', async () => {
    await get(...asDevice('tablet', '--recovery-key', at('recovery.jwk')));
    const { stdout } = await countersign(['sign', ...asDevice('tablet'), 'GET', `${deployment.url}/balance`]);
    const [, authorization = ''] = /^authorization: (BetterAuth .*)$/m.exec(stdout) ?? [];
    const send = () => fetch(`${deployment.url}/balance`, { headers: { authorization } });
    expect([(await send()).status, (await send()).status]).toEqual([200, 401]);
  });

  test('speaks v0 with material from the administrator', async () => {
    const { material, subject } = await deployment.admin('POST', 'better-auth/v0/registrations', { kind: 'key' });
    writeFileSync(at('material'), String(material), { mode: 0o600 });
    const { exit, stdout } = await get(...asDevice('old', '--wire', 'v0', '--material', at('material')));
    expect(exit).toBe(0);
    expect(stdout).toContain(`["x-auth-subject","${String(subject)}"]`);
  });

  test('says what is missing at first, and of a wire version that there is not', async () => {
    const bare = await get(...asDevice('nobody'));
    expect(bare.exit).not.toBe(0);
    expect(bare.stderr).toContain('--recovery-key');
    const other = await get(...asDevice('nobody', '--wire', 'v9'));
    expect(other.exit).not.toBe(0);
    expect(other.stderr).toContain('expected v1 or v0, got "v9"');
  });
});
