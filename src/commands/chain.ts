/**
 * `countersign keys chain`: makes a client's hash chains in a file of its own, and enrols them: with an invitation at once, or in two steps
 * with the operator between, who gets the anchors and gives back what the client must know.
 */
import { readFileSync } from 'node:fs';
import { connectIssuer } from '../client/connect.ts';
import { openChainFile, type ChainFile } from '../client/node.ts';
import { readSecretFile, SecretFileError } from '../config/secret-files.ts';
import { enrolChains, keepEnrolment, makeChains, type ChainWish } from '../schemes/time-scrambled/client-enrol.ts';
import { SCHEME } from '../schemes/time-scrambled/message.ts';
import {
  CommandError,
  EXIT,
  httpUrl,
  optional,
  print,
  printJson,
  required,
  type Options,
  type Values,
} from './command.ts';
import { judged } from './signers.ts';

export const CHAIN_OPTIONS: Options = {
  id: { type: 'string' },
  length: { type: 'string' },
  lanes: { type: 'string' },
  replace: { type: 'boolean' },
  invitation: { type: 'string' },
  url: { type: 'string' },
  issuer: { type: 'string' },
  tenant: { type: 'string' },
  answer: { type: 'string' },
};

export const CHAIN_USAGE = `chain --id ID --out FILE [--length N] [--lanes N] [--replace] [--invitation FILE --url URL [--issuer URL] [--tenant T]]
       keys chain --out FILE --answer FILE`;

export async function makeChain(values: Values): Promise<void> {
  await judged(async () => {
    const chains = await openChainFile(required(values, 'out'));
    try {
      if (optional(values, 'answer') !== undefined) await complete(values, chains);
      else if (optional(values, 'invitation') === undefined) printJson(await makeChains(chains, wishOf(values)));
      else await enrolByInvitation(values, chains);
    } finally {
      chains.close();
    }
  });
}

async function enrolByInvitation(values: Values, chains: ChainFile): Promise<void> {
  const baseUrl = httpUrl(required(values, 'url'), '--url');
  const issuer = optional(values, 'issuer');
  const issuerUrl = issuer === undefined ? {} : { issuerUrl: httpUrl(issuer, '--issuer') };
  const tenant = optional(values, 'tenant');
  const invitation = secretIn(required(values, 'invitation'));
  const wish = { ...wishOf(values), invitation, ...(tenant !== undefined && { tenant }) };
  await enrolChains(connectIssuer({ scheme: SCHEME, baseUrl, ...issuerUrl }), chains, wish);
  print(`enrolled ${wish.id}`);
}

async function complete(values: Values, chains: ChainFile): Promise<void> {
  const file = required(values, 'answer');
  let answer: unknown;
  try {
    answer = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // Without the cause: its message quotes the file, which holds the time key.
    throw new CommandError(EXIT.unreadable, `${file}: expected what "users add-chain" printed`);
  }
  await keepEnrolment(chains, (answer ?? {}) as Record<string, unknown>);
  print('enrolled');
}

function wishOf(values: Values): ChainWish & { replace?: boolean } {
  const [length, lanes] = [count(values, 'length'), count(values, 'lanes')];
  return {
    id: required(values, 'id'),
    ...(length !== undefined && { length }),
    ...(lanes !== undefined && { lanes }),
    ...(values['replace'] === true && { replace: true }),
  };
}

function count(values: Values, name: string): number | undefined {
  const text = optional(values, name);
  if (text === undefined) return undefined;
  if (!/^[1-9][0-9]{0,4}$/.test(text))
    throw new CommandError(EXIT.usage, `--${name}: expected a number, got "${text}"`);
  return Number(text);
}

function secretIn(file: string): string {
  try {
    return readSecretFile(file).reveal();
  } catch (cause) {
    if (!(cause instanceof SecretFileError)) throw cause;
    throw new CommandError(EXIT.unreadable, cause.message, { cause });
  }
}
