/**
 * `countersign/client/node`: the client's keys and state in files. A private JWK, readable by its owner only; in the process it can't be read
 * out again.
 */
import { access, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { platform } from 'node:process';
import { CountersignError } from '../core/client-error.ts';
import type { SignatureAlg } from '../core/directory.ts';
import type { ClientState, SigningKey } from '../core/signer.ts';
import { importPrivateJwk } from './keys.ts';

export { type ChainFile, openChainFile } from './node-chains.ts';
import { oneAtATime } from './state.ts';

const OTHERS = 0o077;

/** @throws {CountersignError} `key_unusable` when it is not there, not a private JWK, or others may read or write it. */
export async function readKeyFile(path: string): Promise<SigningKey> {
  return importPrivateJwk(await readPrivateJson(path));
}

/** A new key in a new file of mode 0600. @throws {CountersignError} `key_unusable` when the file exists or can't be written. */
export async function createKeyFile(path: string, alg: SignatureAlg): Promise<SigningKey> {
  const algorithm = alg === 'Ed25519' ? { name: 'Ed25519' } : { name: 'ECDSA', namedCurve: 'P-256' };
  const pair = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as { privateKey: CryptoKey };
  const { kty, crv, x, y, d } = await crypto.subtle.exportKey('jwk', pair.privateKey);
  const text = JSON.stringify(y === undefined ? { kty, crv, x, d } : { kty, crv, x, y, d });
  await createFile(path, `${text}\n`);
  return readKeyFile(path);
}

/**
 * A client's state in a folder of its own, for one process at a time: a file per key, `state.json` for the text, all of them readable by their owner only.
 *
 * @throws {CountersignError} `key_unusable` from its methods, when files can't be read or written.
 */
export function folderState(folder: string): ClientState {
  const keyFile = (name: string) => join(folder, `${name}.jwk`);
  const textFile = join(folder, 'state.json');
  return {
    async key(name) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      return (await exists(keyFile(name))) ? readKeyFile(keyFile(name)) : createKeyFile(keyFile(name), 'ES256');
    },
    forget: (name) => rm(keyFile(name), { force: true }),
    async read() {
      return (await exists(textFile)) ? (await readWhole(textFile)).text : undefined;
    },
    async write(text) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const next = `${textFile}.next`;
      await rm(next, { force: true });
      await createFile(next, text);
      await rename(next, textFile);
    },
    exclusive: oneAtATime(),
  };
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

/** New, of mode 0600, and on the disk when it returns. */
async function createFile(path: string, text: string): Promise<void> {
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new CountersignError('key_unusable', `${path}: can not be written as a new file`, { cause });
  }
}

async function readPrivateJson(path: string): Promise<unknown> {
  const { mode, text } = await readWhole(path);
  if (platform !== 'win32' && (mode & OTHERS) !== 0) {
    throw new CountersignError('key_unusable', `${path}: expected mode 0600, others may read or write it (chmod 600)`);
  }
  try {
    return JSON.parse(text);
  } catch {
    // Without the cause: its message quotes the file, which holds the key.
    throw new CountersignError('key_unusable', `${path}: expected a private JWK, this is not JSON`);
  }
}

/** Mode and text of one open file, so that it can't be exchanged in between. */
async function readWhole(path: string): Promise<{ mode: number; text: string }> {
  try {
    const file = await open(path, 'r');
    try {
      return { mode: (await file.stat()).mode, text: await file.readFile('utf8') };
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new CountersignError('key_unusable', `${path}: can not be read`, { cause });
  }
}
