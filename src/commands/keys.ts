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
import { createSetup } from '../schemes/opaque-pop/setup.ts';
import { RingError, type StoredKey } from '../keys/ring.ts';
import { CHAIN_OPTIONS, CHAIN_USAGE, makeChain } from './chain.ts';
import {
  CommandError,
  EXIT,
  optional,
  print,
  printJson,
  required,
  requireOnly,
  type Command,
  type Values,
} from './command.ts';

export const keys: Command = {
  summary: "make a client's key; make, list, rotate and retire keys of the ring",
  usage: `client --alg Ed25519|ES256 --out FILE
       keys ${CHAIN_USAGE}
       keys generate --use USE [--alg A] [--activate-at TIME] --ring FILE
       keys list --ring FILE
       keys rotate --use USE [--alg A] [--re-registers-everyone] --ring FILE
       keys retire --kid KID --ring FILE`,
  options: {
    alg: { type: 'string' },
    out: { type: 'string' },
    ...CHAIN_OPTIONS,
    use: { type: 'string' },
    ring: { type: 'string' },
    kid: { type: 'string' },
    'activate-at': { type: 'string' },
    're-registers-everyone': { type: 'boolean' },
  },
  words: 1,
  async run(values, [action = '']) {
    const chosen = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (chosen === undefined) throw new CommandError(EXIT.usage, `expected ${Object.keys(ACTIONS).join(', ')}`);
    requireOnly(values, action, chosen.options);
    await chosen.run(values);
    return EXIT.ok;
  },
};

const ACTIONS: Readonly<Record<string, { options: readonly string[]; run(values: Values): Promise<void> }>> = {
  client: { options: ['alg', 'out'], run: clientKey },
  chain: { options: ['out', ...Object.keys(CHAIN_OPTIONS)], run: makeChain },
  generate: { options: ['use', 'alg', 'activate-at', 'ring'], run: generate },
  list: { options: ['ring'], run: list },
  rotate: { options: ['use', 'alg', 're-registers-everyone', 'ring'], run: rotate },
  retire: { options: ['kid', 'ring'], run: retire },
};

async function clientKey(values: Values): Promise<void> {
  const alg = algOf(required(values, 'alg'));
  const { publicJwk } = await createKeyFile(required(values, 'out'), alg).catch((thrown: unknown): never => {
    throw thrown instanceof CountersignError
      ? new CommandError(EXIT.unreadable, thrown.message, { cause: thrown })
      : thrown;
  });
  const printed = encodeBase64url(await thumbprint(publicJwk));
  if (values['json'] === true) return printJson({ publicJwk, thumbprint: printed });
  print(JSON.stringify(publicJwk));
  print(`thumbprint ${printed}`);
}

async function generate(values: Values): Promise<void> {
  const file = required(values, 'ring');
  const before = existsSync(file) ? await readRing(file) : [];
  const at = optional(values, 'activate-at');
  const use = useOf(required(values, 'use'));
  const order = {
    use,
    ...algOption(values),
    // Random bytes are no setup: its halves must fit each other.
    ...(use === 'opaque-setup' && { setup: await createSetup() }),
    ...(at !== undefined && { activateAtMs: timeOf(at) }),
    nowMs: Date.now(),
    random: randomBytes,
  };
  const { ring, added } = asked(() => addKey(before, order));
  await writeRing(file, ring);
  show(values, [added]);
}

async function list(values: Values): Promise<void> {
  show(values, await readRing(required(values, 'ring')));
}

async function rotate(values: Values): Promise<void> {
  const file = required(values, 'ring');
  const before = await readRing(file);
  const order = {
    use: useOf(required(values, 'use')),
    ...algOption(values),
    nowMs: Date.now(),
    random: randomBytes,
    reRegistersEveryone: values['re-registers-everyone'] === true,
  };
  const { ring } = asked(() => rotateKey(before, order));
  await writeRing(file, ring);
  show(values, ring);
}

async function retire(values: Values): Promise<void> {
  const file = required(values, 'ring');
  const before = await readRing(file);
  const ring = asked(() => retireKey(before, { kid: required(values, 'kid'), nowMs: Date.now() }));
  await writeRing(file, ring);
  show(values, ring);
}

function readRing(file: string): Promise<readonly StoredKey[]> {
  return readRingFile(file).catch(unreadable);
}

function writeRing(file: string, ring: readonly StoredKey[]): Promise<void> {
  return writeRingFile(file, ring).catch(unreadable);
}

function unreadable(thrown: unknown): never {
  throw thrown instanceof RingError ? new CommandError(EXIT.unreadable, thrown.message, { cause: thrown }) : thrown;
}

/** What the ring does not allow is the caller's mistake; the file stays as it is. */
function asked<T>(change: () => T): T {
  try {
    return change();
  } catch (thrown) {
    throw thrown instanceof RingError ? new CommandError(EXIT.usage, thrown.message, { cause: thrown }) : thrown;
  }
}

/** Never the material. */
function show(values: Values, ring: readonly StoredKey[]): void {
  const shown = ring.map(({ kid, use, alg, state, createdAtMs, activateAtMs, retireAtMs }) => ({
    kid,
    use,
    alg,
    state,
    createdAtMs,
    activateAtMs,
    retireAtMs,
  }));
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
  if (!Number.isSafeInteger(ms))
    throw new CommandError(EXIT.usage, `--activate-at: expected a time such as 2027-01-31T12:00:00Z, got "${text}"`);
  return ms;
}
