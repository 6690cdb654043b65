/** A user with a fresh key signs a challenge; the same bytes and an altered copy are refused. */
import { join } from 'node:path';
import { createClient } from '../../src/client/client.ts';
import { createKeyFile } from '../../src/client/node.ts';
import { challengeSignature } from '../../src/schemes/challenge-signature/client.ts';
import type { Scene } from './scene.ts';

const USER = 'alice';
const KEY_ID = 'k1';
const BODY = '{"amount":50,"to":"bob@example.com"}';
const TAMPERED = BODY.replace('50', '5000');

export const challengeSignatureScene: Scene = {
  scheme: 'challenge-signature',
  settings: {},
  terminal: `--key .demo/${USER}.jwk --user ${USER} --kid ${KEY_ID}`,
  async play({ envoy, folder, callAdmin, say, show }) {
    const key = await createKeyFile(join(folder, `${USER}.jwk`), 'Ed25519');
    await callAdmin('PUT', '/admin/v1/credentials/challenge-signature', {
      subject: USER,
      keyId: KEY_ID,
      jwk: key.publicJwk,
    });
    say(`${USER} has a fresh Ed25519 key, registered with countersign`);
    const client = createClient({ baseUrl: envoy, signer: challengeSignature({ user: USER, kid: KEY_ID, key }) });
    const sign = () =>
      client.signRequest(`${envoy}/transfer?dry=0`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: BODY,
      });
    const signed = await sign();
    const other = await sign();
    await show('a signed request', '200', { ...signed, body: BODY });
    await show('the same bytes again', '401 replayed', { ...signed, body: BODY });
    await show('another, its amount altered on the way', '401 signature_invalid', { ...other, body: TAMPERED });
  },
};
