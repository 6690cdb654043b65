/** Wire version v0 of the scene of better-auth: an account from the administrator, a device and a passphrase, and a stolen session. */
import { createClient } from '../../src/client/client.ts';
import { connectMessages } from '../../src/client/connect.ts';
import { memoryState } from '../../src/client/state.ts';
import { loginV0Passphrase, registerV0Passphrase, v0Device } from '../../src/schemes/better-auth/v0/client.ts';
import type { Stage } from './scene.ts';

const BODY = '{"amount":50,"to":"bob@example.com"}';
const PASSPHRASE = 'correct horse battery staple';
const REGISTRATIONS = '/admin/v1/better-auth/v0/registrations';

/** Cheaper than the default, so that the demonstration goes on. */
export const V0_SETTINGS = { passphraseParameters: '$argon2id$v=19$m=65536,t=3,p=1$' };

export const V0_PATHS = [
  'register/key',
  'register/passphrase-key',
  'register/request',
  'rotate/key',
  'authenticate/begin',
  'authenticate/complete',
  'authenticate-passphrase/begin',
  'authenticate-passphrase/complete',
  'refresh',
  'session/end',
].map((path) => `/better-auth/v0/${path}`);

export async function playV0({ envoy, callAdmin, say, show }: Stage): Promise<void> {
  const channel = connectMessages({ scheme: 'better-auth', baseUrl: envoy });
  const { subject, material } = await callAdmin('POST', REGISTRATIONS, { kind: 'key' });
  const state = memoryState();
  const device = v0Device({ channel, state });
  await device.register(String(material));
  say(`by v0 a device registered for the account ${String(subject)}, and the account got a passphrase`);
  await registerV0Passphrase({ channel }, await device.requestRegistration('passphrase'), PASSPHRASE);

  const signed = async (signer: typeof device.signer) => ({
    ...(await createClient({ baseUrl: envoy, signer }).signRequest(`${envoy}/transfer`, {
      method: 'POST',
      body: BODY,
    })),
    body: BODY,
  });
  const session = await loginV0Passphrase(
    { channel, state: memoryState() },
    { accountId: String(subject), passphrase: PASSPHRASE },
  );
  await show('a request of a session by passphrase', '200', await signed(session.signer));
  const late = await signed(session.signer);
  await session.end();
  await show('another, after the logout', '401 revoked', late);

  await show('a request of the device', '200', await signed(device.signer));
  const before = await signed(device.signer);
  const copy = memoryState();
  await copy.write((await state.read()) ?? '');
  const thief = v0Device({ channel, state: { ...copy, key: state.key } });
  await show('of a thief who copied keys and session', '200', await signed(thief.signer));
  const owner = v0Device({ channel, state });
  await show('of the owner, who logs in: the theft showed', '200', await signed(owner.signer));
  await show('a request of the stolen session', '401 revoked', before);
  await owner.rotate();
  await show('of the thief, after the key was replaced', '401 revoked', await signed(thief.signer));
}
