/** A user registers a password by invitation, logs in by it, and signs requests with the session; a wrong password never gets that far. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from '../../src/client/client.ts';
import { connectIssuer } from '../../src/client/connect.ts';
import { logIn, logOut, opaquePop, registerPassword } from '../../src/schemes/opaque-pop/client.ts';
import { createSetup } from '../../src/schemes/opaque-pop/setup.ts';
import type { Scene } from './scene.ts';

const USER = 'dave';
const PASSWORD = 'correct horse battery staple';
const BODY = '{"amount":50,"to":"bob@example.com"}';
const TAMPERED = BODY.replace('50', '5000');

export const opaquePopScene: Scene = {
  scheme: 'opaque-pop',
  settings: {},
  ringKeys: async () => [{ use: 'wrap' }, { use: 'opaque-setup', setup: await createSetup() }],
  terminal: `--user ${USER} --password-file .demo/${USER}.password`,
  async play({ envoy, folder, callAdmin, say, show }) {
    await writeFile(join(folder, `${USER}.password`), `${PASSWORD}\n`, { mode: 0o600 });
    const issuer = connectIssuer({ scheme: 'opaque-pop', baseUrl: envoy });
    const { token } = await callAdmin('POST', '/admin/v1/invites', { scheme: 'opaque-pop', subject: USER, ttl: '1h' });
    await registerPassword(issuer, { user: USER, password: PASSWORD, invitation: String(token) });
    say(`${USER} registered a password, of which countersign has seen nothing`);
    const wrong = await logIn(issuer, { user: USER, password: 'Tr0ub4dor&3' }).then(
      () => 'a session',
      (thrown: unknown) => (Error.isError(thrown) ? thrown.message : ''),
    );
    say(`  a login with another one: ${wrong}`);

    const session = await logIn(issuer, { user: USER, password: PASSWORD });
    const client = createClient({ baseUrl: envoy, signer: opaquePop(session) });
    const sign = () => client.signRequest(`${envoy}/transfer?dry=0`, { method: 'POST', body: BODY });
    const signed = await sign();
    const [other, late] = [await sign(), await sign()];
    await show('a request with a MAC of the session', '200', { ...signed, body: BODY });
    await show('the same bytes again', '401 replayed', { ...signed, body: BODY });
    await show('another, its amount altered on the way', '401 signature_invalid', { ...other, body: TAMPERED });
    await logOut(issuer, session);
    await show('another, after the logout', '401 signature_invalid', { ...late, body: BODY });
  },
};
