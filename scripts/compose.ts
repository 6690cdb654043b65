/**
 * `npm run compose`: a Compose file brought up, a client enrolled, and one of its requests shown allowed, and refused the second time.
 * `-- --memory` takes the file without Redis. It stays up; the last lines say how to go on and how to end it.
 */
import { randomBytes } from 'node:crypto';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient, enrol } from '../src/client/index.ts';
import { createKeyFile } from '../src/client/node.ts';
import { challengeSignature } from '../src/schemes/challenge-signature/client.ts';
import { inviteBy, makeComposeFiles } from './compose/files.ts';
import { docker, requireDocker } from './docker.ts';
import { root } from './tool.ts';

const ENVOY = 'http://127.0.0.1:10000';
const KEY_ID = 'k1';
const RECOVERY_SECONDS = 20;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { memory: { type: 'boolean' } } });
  await requireDocker('npm run compose', 'compose');
  const folder = join(root, 'deploy');
  const file = join(folder, values.memory === true ? 'compose.memory.yaml' : 'compose.yaml');
  const { env } = await makeComposeFiles(folder);
  await docker(['compose', '-f', file, 'up', '--build', '--detach', '--wait'], { env, shown: true });

  const user = `demo-${randomBytes(3).toString('hex')}`;
  const keyFile = join(folder, 'secrets', `${user}.jwk`);
  const key = await createKeyFile(keyFile, 'Ed25519');
  const invitation = await inviteBy(
    ['compose', '-f', file, 'exec', '-T', 'countersign'],
    '/run/secrets/admin_token',
    user,
    env,
  );
  await enrol({ baseUrl: ENVOY, scheme: 'challenge-signature', invitation, kid: KEY_ID, key });
  say(`\n${user} has enrolled a key by invitation`);
  const signer = challengeSignature({ user, kid: KEY_ID, key });
  const request = { method: 'POST', body: '{"amount":50}' };
  const sign = () => createClient({ baseUrl: ENVOY, signer }).signRequest('/transfer', request);
  const send = async ({ url, ...signed }: Awaited<ReturnType<typeof sign>>) =>
    (await fetch(url, { ...signed, body: request.body })).status;
  let signed = await sign();
  let status = await send(signed);
  // A store that has just started refuses for some seconds what may have been used before it did.
  for (let attempt = 0; status === 503 && attempt < RECOVERY_SECONDS; attempt += 1) {
    await new Promise((done) => setTimeout(done, 1000));
    signed = await sign();
    status = await send(signed);
  }
  say(`  a signed request   ${status}`);
  say(`  the same bytes     ${await send(signed)}`);
  say(`
Envoy answers at ${ENVOY}. Try it yourself:
  npm --silent run countersign -- curl --scheme challenge-signature --key ${relative(root, keyFile)} --user ${user} --kid ${KEY_ID} POST ${ENVOY}/transfer -d '{"amount":50}'
Logs, and the end:
  docker compose -f ${relative(root, file)} logs countersign
  docker compose -f ${relative(root, file)} down --volumes
`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`countersign: ${Error.isError(error) ? error.message : 'Compose failed'}\n`);
  process.exitCode = 1;
}
