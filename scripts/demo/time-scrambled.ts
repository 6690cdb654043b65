/** A client with a fresh hash chain shows one token after the other; a replay, an altered copy and a token on another lane are refused. */
import { join } from 'node:path';
import { connectIssuer } from '../../src/client/connect.ts';
import { createClient } from '../../src/client/client.ts';
import { openChainFile } from '../../src/client/node.ts';
import { timeScrambled } from '../../src/schemes/time-scrambled/client.ts';
import { enrolChains } from '../../src/schemes/time-scrambled/client-enrol.ts';
import type { Scene } from './scene.ts';

const USER = 'erin';
const ID = 'erin-laptop';
const BODY = '{"amount":50,"to":"bob@example.com"}';
const TAMPERED = BODY.replace('50', '5000');

export const timeScrambledScene: Scene = {
  scheme: 'time-scrambled',
  settings: {},
  ringKeys: async () => [{ use: 'wrap' }, { use: 'pepper' }],
  terminal: '--key .demo/erin.chain',
  async play({ envoy, folder, callAdmin, say, show }) {
    const chains = await openChainFile(join(folder, 'erin.chain'));
    const invited = { scheme: 'time-scrambled', subject: USER, ttl: '10m' };
    const { token } = await callAdmin('POST', '/admin/v1/invites', invited);
    const issuer = connectIssuer({ scheme: 'time-scrambled', baseUrl: envoy });
    await enrolChains(issuer, chains, { id: ID, invitation: String(token) });
    say(`${USER} has four hash chains of 4096 links, enrolled by an invitation`);

    const client = createClient({ baseUrl: envoy, signer: timeScrambled(chains) });
    const sign = () => client.signRequest(`${envoy}/transfer?dry=0`, { method: 'POST', body: BODY });
    const [signed, other, third] = [await sign(), await sign(), await sign()];
    await show('a request with the next token', '200', { ...signed, body: BODY });
    await show('the same bytes again', '401 replayed', { ...signed, body: BODY });
    await show('another, its amount altered on the way', '401 signature_invalid', { ...other, body: TAMPERED });
    const moved = new Headers(third.headers);
    moved.set('authorization', String(moved.get('authorization')).replace(`id="${ID}"`, `id="${ID}/1"`));
    await show("a token on another lane's chain", '401 signature_invalid', { ...third, headers: moved, body: BODY });
    chains.close();
  },
};
