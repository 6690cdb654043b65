/**
 * `--scheme better-auth`: a device whose keys and state lie in a folder. The first call gives it an account: by v1 it makes one, with a
 * recovery key in a file that is kept elsewhere; by v0 it registers with material from the administrator.
 */
import { existsSync } from 'node:fs';
import { connectMessages } from '../../client/connect.ts';
import { createKeyFile, folderState, readKeyFile } from '../../client/node.ts';
import { CountersignError } from '../../core/client-error.ts';
import type { MessageChannel, OutgoingRequest, Signer } from '../../core/signer.ts';
import { readSecretFile } from '../../config/secret-files.ts';
import { AUTH_SCHEME, SCHEME } from '../../schemes/better-auth/message.ts';
import { v0Device } from '../../schemes/better-auth/v0/client.ts';
import { v1Device, v1RecoveryHash } from '../../schemes/better-auth/v1/client.ts';
import { optional, required, type Values } from '../command.ts';
import type { TerminalSigner } from '../terminal-signer.ts';

export const betterAuthSigner: TerminalSigner = {
  usage: '--state FOLDER [--wire v1|v0], at first --recovery-key FILE [--invitation T] (v1) or --material FILE (v0)',
  options: {
    state: { type: 'string' },
    wire: { type: 'string' },
    'recovery-key': { type: 'string' },
    invitation: { type: 'string' },
    material: { type: 'string' },
  },
  async signer(values) {
    const state = folderState(required(values, 'state'));
    const wire = optional(values, 'wire') ?? 'v1';
    if (wire !== 'v0' && wire !== 'v1') throw unusable(`--wire: expected v1 or v0, got "${wire}"`);
    let made: Promise<Signer> | undefined;
    const open = async (channel: MessageChannel): Promise<Signer> => {
      const device = wire === 'v1' ? v1Device({ state, channel }) : v0Device({ state, channel });
      if ((await device.account()) === undefined)
        await ('create' in device ? create(device, values) : register(device, values));
      return device.signer;
    };
    return {
      scheme: SCHEME,
      authScheme: AUTH_SCHEME,
      async sign(request, issuer) {
        made ??= open(channelOf(request, values));
        return (await made).sign(request, issuer);
      },
      accepted() {},
      async refused(refusal, sent) {
        return (await made)?.refused(refusal, sent) ?? false;
      },
    };
  },
};

function channelOf({ scheme, authority }: OutgoingRequest, values: Values): MessageChannel {
  const issuerUrl = optional(values, 'issuer');
  const baseUrl = `${scheme}://${authority}`;
  return connectMessages({ scheme: SCHEME, baseUrl, ...(issuerUrl !== undefined && { issuerUrl }) });
}

async function create(device: ReturnType<typeof v1Device>, values: Values): Promise<void> {
  const file = required(values, 'recovery-key');
  const key = existsSync(file) ? await readKeyFile(file) : await createKeyFile(file, 'ES256');
  const invitation = optional(values, 'invitation');
  await device.create({ recoveryHash: await v1RecoveryHash(key), ...(invitation !== undefined && { invitation }) });
}

async function register(device: ReturnType<typeof v0Device>, values: Values): Promise<void> {
  await device.register(readSecretFile(required(values, 'material')).reveal());
}

function unusable(message: string): CountersignError {
  return new CountersignError('key_unusable', message);
}
