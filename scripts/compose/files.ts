/** What the Compose files mount and no repository should hold: keys, the admin token, and Envoy's configuration for their network. */
import { randomBytes } from 'node:crypto';
import { chown, mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addKey } from '../../src/keys/ring-changes.ts';
import { writeRingFile } from '../../src/keys/ring-file.ts';
import type { StoredKey } from '../../src/keys/ring.ts';
import { docker } from '../docker.ts';
import { cluster, renderEnvoy, type EnvoyTree } from '../envoy-config.ts';

/** Of the image. Root gives it the secrets; everybody else has the containers run as himself, since only root may give files away. */
const OF_IMAGE = 10_001;

export interface ComposeFiles {
  /** For the Compose file: as whom the containers run. */
  readonly env: Readonly<Record<string, string>>;
}

/** Secrets that are there stay: clients are enrolled under them. @param folder of the Compose file. */
export async function makeComposeFiles(folder: string): Promise<ComposeFiles> {
  const secrets = join(folder, 'secrets');
  await mkdir(secrets, { recursive: true, mode: 0o700 });
  const ring = join(secrets, 'keyring.json');
  if (!(await isThere(ring))) await writeRingFile(ring, newRing());
  const token = join(secrets, 'admin-token');
  if (!(await isThere(token))) await writeFile(token, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
  await writeFile(join(folder, 'envoy.compose.yaml'), envoyConfig());

  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  const owner = uid === 0 ? { uid: OF_IMAGE, gid: OF_IMAGE } : { uid, gid };
  if (uid === 0) for (const path of [secrets, ring, token]) await chown(path, owner.uid, owner.gid);
  return {
    env: {
      COUNTERSIGN_USER: `${owner.uid}:${owner.gid}`,
      COUNTERSIGN_UID: String(owner.uid),
      COUNTERSIGN_GID: String(owner.gid),
    },
  };
}

function newRing(): readonly StoredKey[] {
  const order = { nowMs: Date.now(), random: (count: number) => randomBytes(count) };
  const first = addKey([], { ...order, use: 'challenge-mac' }).ring;
  return addKey(first, { ...order, use: 'token-signing', alg: 'Ed25519' }).ring;
}

function envoyConfig(): string {
  return renderEnvoy(
    {
      adminPort: 9901,
      listenPort: 10_000,
      check: 'unix:/run/countersign/check.sock',
      issuer: 'countersign:8080',
      backend: 'backend:8000',
    },
    (config: EnvoyTree) => {
      config.static_resources.listeners[0].address.socket_address.address = '0.0.0.0';
      for (const name of ['countersign_issuer', 'backend']) cluster(config, name).type = 'STRICT_DNS';
    },
  );
}

async function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/**
 * Asks countersign inside its container, the only place from which its admin API is reached.
 *
 * @param exec of the docker command, up to the container. @returns the invitation.
 */
export async function inviteBy(
  exec: readonly string[],
  tokenFile: string,
  subject: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const command = ['/usr/local/bin/node', '/app/dist/cli.js', 'users', 'invite'];
  const what = ['--scheme', 'challenge-signature', '--subject', subject, '--token-file', tokenFile];
  return (JSON.parse(await docker([...exec, ...command, ...what], { env })) as { token: string }).token;
}
