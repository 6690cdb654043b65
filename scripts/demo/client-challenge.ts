/** A user's key signs one login, whose token lets requests in; the login again, an altered token and a revoked one are refused. */
import { join } from 'node:path';
import { createClient } from '../../src/client/client.ts';
import { createKeyFile } from '../../src/client/node.ts';
import { clientChallenge } from '../../src/schemes/client-challenge/client.ts';
import type { DemoRequest, Scene } from './scene.ts';

const USER = 'carol';

export const clientChallengeScene: Scene = {
  scheme: 'client-challenge',
  settings: {},
  ringKeys: async () => [{ use: 'token-signing', alg: 'Ed25519' }],
  terminal: `--key .demo/${USER}.jwk`,
  async play({ envoy, folder, callAdmin, say, show }) {
    const key = await createKeyFile(join(folder, `${USER}.jwk`), 'Ed25519');
    await callAdmin('PUT', '/admin/v1/credentials/client-challenge', {
      subject: USER,
      keyId: 'k1',
      jwk: key.publicJwk,
    });
    say(`${USER} has a fresh Ed25519 key; one signed login buys a token for ten minutes`);
    const logins: DemoRequest[] = [];
    const client = createClient({
      baseUrl: envoy,
      signer: clientChallenge({ key }),
      fetch(address, init = {}) {
        const { method = 'GET', body = null } = init;
        const url = typeof address === 'object' && 'url' in address ? address.url : address;
        if (typeof body === 'string') logins.push({ url, method, headers: new Headers(init.headers), body });
        return fetch(address, init);
      },
    });
    const body = '{"amount":50}';
    const signed = { ...(await client.signRequest(`${envoy}/transfer`, { method: 'POST', body })), body };
    await show('a request with the token', '200', signed);
    await show('another with the same one', '200', { ...signed, url: `${envoy}/other`, body: '{"amount":5000}' });
    for (const login of logins) await show('the login, caught and sent again', '401 replayed', login);
    const token = signed.headers.get('authorization') ?? '';
    const altered = new Headers({ authorization: token.slice(0, -20) + token.slice(-20).replace(/^./, changed) });
    await show('the token, altered', '401 signature_invalid', { ...signed, headers: altered });
    await callAdmin('POST', '/admin/v1/users/revoke', { subject: USER });
    await show(`the token, after ${USER}'s tokens were revoked`, '401 revoked', signed);
  },
};

const changed = (character: string) => (character === 'A' ? 'B' : 'A');
