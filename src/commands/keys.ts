/** `countersign keys`: keys of clients and of the server's ring, in files. */
import { existsSync } from 'node:fs';
import { createKeyFile } from '../client/node.ts';
import { thumbprint } from '../client/keys.ts';
import { CountersignError } from '../core/client-error.ts';
import type { SignatureAlg } from '../core/directory.ts';
import { KEY_USES, type KeyUse } from '../core/keyring.ts';
import { randomBytes } from '../crypto/random.ts';
import { encodeBase64url } from '../encoding/base64url.ts';
import { addKey, retireKey, rotateKey } from '../keys/ring-changes.ts';
import { readRingFile, writeRingFile } from '../keys/ring-file.ts';
import { RingError, type StoredKey } from '../keys/ring.ts';
import { CommandError, EXIT, optional, print, printJson, required, type Command, type Values } from './command.ts';

export const keys: Command = {
  summary: "make a client's key; make, list, rotate and retire keys of the ring",
  usage: `client --alg Ed25519|ES256 --out FILE
       keys generate --use USE [--alg A] [--activate-at TIME] --ring FILE
       keys list --ring FILE
       keys rotate --use USE [--alg A] [--re-registers-everyone] --ring FILE
       keys retire --kid KID --ring FILE`,
  options: {
    alg: { type: 'string' },
    out: { type: 'string' },
    use: { type: 'string' },
    ring: { type: 'string' },
    kid: { type: 'string' },
    'activate-at': { type: 'string' },
    're-registers-everyone': { type: 'boolean' },
  },
  async run(values, [action]) {
    try {
      switch (action) {
        case 'client':
          return await clientKey(values);
        case 'generate':
          return await generate(values);
        case 'list':
          return await list(values);
        case 'rotate':
          return await rotate(values);
        case 'retire':
          return await retire(values);
        default:
          throw new CommandError(EXIT.usage, 'expected client, generate, list, rotate or retire');
      }
    } catch (thrown) {
      if (thrown instanceof RingError || thrown instanceof CountersignError) throw new CommandError(EXIT.unreadable, thrown.message);
      throw thrown;
    }
  },
};

async function clientKey(values: Values): Promise<number> {
  const { publicJwk } = await createKeyFile(required(values, 'out'), algOf(required(values, 'alg')));
  if (values['json'] === true) {
    printJson(publicJwk);
    return EXIT.ok;
  }
  print(JSON.stringify(publicJwk));
  print(`thumbprint ${encodeBase64url(await thumbprint(publicJwk))}`);
  return EXIT.ok;
}

async function generate(values: Values): Promise<number> {
  const file = required(values, 'ring');
  const before = existsSync(file) ? await readRingFile(file) : [];
  const at = optional(values, 'activate-at');
  const activateAtMs = at === undefined ? undefined : timeOf(at);
  const { ring, added } = addKey(before, {
    use: useOf(required(values, 'use')),
    ...algOption(values),
    ...(activateAtMs !== undefined && { activateAtMs }),
    nowMs: Date.now(),
    random: randomBytes,
  });
  await writeRingFile(file, ring);
  show(values, [added]);
  return EXIT.ok;
}

async function list(values: Values): Promise<number> {
  show(values, await readRingFile(required(values, 'ring')));
  return EXIT.ok;
}

async function rotate(values: Values): Promise<number> {
  const file = required(values, 'ring');
  const { ring } = rotateKey(await readRingFile(file), {
    use: useOf(required(values, 'use')),
    ...algOption(values),
    nowMs: Date.now(),
    random: randomBytes,
    reRegistersEveryone: values['re-registers-everyone'] === true,
  });
  await writeRingFile(file, ring);
  show(values, ring);
  return EXIT.ok;
}

async function retire(values: Values): Promise<number> {
  const file = required(values, 'ring');
  const ring = retireKey(await readRingFile(file), { kid: required(values, 'kid'), nowMs: Date.now() });
  await writeRingFile(file, ring);
  show(values, ring);
  return EXIT.ok;
}

/** Never the material. */
function show(values: Values, ring: readonly StoredKey[]): void {
  const shown = ring.map(({ kid, use, alg, state, createdAtMs, activateAtMs, retireAtMs }) => ({ kid, use, alg, state, createdAtMs, activateAtMs, retireAtMs }));
  if (values['json'] === true) printJson({ keys: shown });
  else for (const { kid, use, alg, state } of shown) print([use, state, kid, alg ?? '-'].join('\t'));
}

function algOf(text: string): SignatureAlg {
  if (text === 'Ed25519' || text === 'ES256') return text;
  throw new CommandError(EXIT.usage, `--alg: expected Ed25519 or ES256, got "${text}"`);
}

function algOption(values: Values): { alg?: SignatureAlg } {
  const alg = optional(values, 'alg');
  return alg === undefined ? {} : { alg: algOf(alg) };
}

function useOf(text: string): KeyUse {
  const use = KEY_USES.find((one) => one === text);
  if (use === undefined) throw new CommandError(EXIT.usage, `--use: expected ${KEY_USES.join(', ')}, got "${text}"`);
  return use;
}

function timeOf(text: string): number {
  const ms = Date.parse(text);
  if (!Number.isSafeInteger(ms)) throw new CommandError(EXIT.usage, `--activate-at: expected a time such as 2027-01-31T12:00:00Z, got "${text}"`);
  return ms;
}
