/** A device makes an account by itself and visits by both forms; its key is replaced, and what was copied on the way is worth nothing. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from '../../src/client/client.ts';
import { connectMessages } from '../../src/client/connect.ts';
import { createKeyFile, folderState } from '../../src/client/node.ts';
import { v1Device, v1RecoveryHash } from '../../src/schemes/better-auth/v1/client.ts';
import { OPERATIONS } from '../../src/schemes/better-auth/v1/message.ts';
import { playV0, V0_PATHS, V0_SETTINGS } from './better-auth-v0.ts';
import type { Scene } from './scene.ts';

const BODY = '{"amount":50,"to":"bob@example.com"}';
const TAMPERED = BODY.replace('50', '5000');

export const betterAuthScene: Scene = {
  scheme: 'better-auth',
  settings: { v0: V0_SETTINGS },
  ringKeys: async () => [{ use: 'response-signing' }, { use: 'access-signing' }, { use: 'pepper' }],
  terminal: '--state .demo/better-auth',
  issuerPaths: [...OPERATIONS.map((operation) => `/${operation}`), '/key/response', '/better-auth/keys', ...V0_PATHS],
  async play(stage) {
    const { envoy, folder, callAdmin, say, show } = stage;
    const recoveryFile = join(folder, 'better-auth.recovery.jwk');
    const stateFolder = join(folder, 'better-auth');
    for (const left of [recoveryFile, stateFolder]) await rm(left, { recursive: true, force: true });
    const recoveryKey = await createKeyFile(recoveryFile, 'ES256');
    const channel = connectMessages({ scheme: 'better-auth', baseUrl: envoy });
    const device = v1Device({ state: folderState(stateFolder), channel });
    const { identity } = await device.create({ recoveryHash: await v1RecoveryHash(recoveryKey) });
    say(`a device made the account ${identity}, of which countersign knows public keys and digests only`);

    const client = createClient({ baseUrl: envoy, signer: device.signer });
    const sign = () => client.signRequest(`${envoy}/transfer?dry=0`, { method: 'POST', body: BODY });
    const [signed, other] = [await sign(), await sign()];
    await show('a request signed by a key inside a token', '200', { ...signed, body: BODY });
    await show('the same bytes again', '401 replayed', { ...signed, body: BODY });
    await show('another, its amount altered on the way', '401 signature_invalid', { ...other, body: TAMPERED });

    const message = {
      url: `${envoy}/transfer`,
      method: 'POST',
      headers: new Headers({ 'content-type': 'application/json' }),
    };
    const body = await device.accessMessage({ amount: 50 });
    await show('the message as the whole body', '200', { ...message, body });
    await show('the same, its amount altered', '401 signature_invalid', {
      ...message,
      body: (await device.accessMessage({ amount: 50 })).replace('50}', '51}'),
    });

    const late = await sign();
    await device.rotate();
    await show('after the device has replaced its key', '200', { ...(await sign()), body: BODY });
    await callAdmin('POST', '/admin/v1/better-auth/v1/revoke', { subject: identity, sessions: true });
    await show('after the administrator ended all sessions', '401 revoked', { ...late, body: BODY });
    await playV0(stage);
  },
};
