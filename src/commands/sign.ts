/** `countersign sign` and `countersign curl`: signed requests from the terminal. */
import process from 'node:process';
import { readFileSync } from 'node:fs';
import { createClient, type Client, type SignedRequest } from '../client/client.ts';
import { CountersignError } from '../core/client-error.ts';
import {
  CommandError,
  EXIT,
  httpUrl,
  optional,
  print,
  printJson,
  several,
  type Command,
  type Options,
  type Values,
} from './command.ts';
import { bodyCoverOf, exitOf, judged, SIGNER_OPTIONS, signerOf, SIGNERS_USAGE } from './signers.ts';

const OPTIONS: Options = {
  ...SIGNER_OPTIONS,
  header: { type: 'string', short: 'H', multiple: true },
  data: { type: 'string', short: 'd' },
};

const USAGE =
  '--scheme S OPTIONS-OF-S [--tenant T] [--issuer URL] [-H "name: value"]... [-d DATA|@FILE] [--body required|none]';

export const sign: Command = {
  summary: 'print the headers of a signed request',
  usage: `${USAGE} [--format headers|json|curl] METHOD URL${SIGNERS_USAGE}`,
  options: { ...OPTIONS, format: { type: 'string' } },
  words: 2,
  async run(values, positionals) {
    const write = FORMATS[optional(values, 'format') ?? (values['json'] === true ? 'json' : 'headers')];
    if (write === undefined)
      throw new CommandError(EXIT.usage, `--format: expected ${Object.keys(FORMATS).join(', ')}`);
    const { client, url, init } = await prepare(values, positionals);
    write(await judged(() => client.signRequest(url, init)), values['data']);
    return EXIT.ok;
  },
};

const FORMATS: Readonly<Record<string, (signed: SignedRequest, data: Values[string]) => void>> = {
  headers({ headers }) {
    for (const [name, value] of headers) print(`${name}: ${value}`);
  },
  json({ method, url, headers }) {
    printJson({ method, url, headers: Object.fromEntries(headers) });
  },
  curl({ method, url, headers }, data) {
    const parts = [
      'curl',
      '-X',
      method,
      ...[...headers].flatMap(([name, value]) => ['-H', quote(`${name}: ${value}`)]),
    ];
    if (typeof data === 'string') parts.push('--data-binary', quote(data));
    print([...parts, quote(url)].join(' '));
  },
};

export const curl: Command = {
  summary: 'send a signed request and print the answer',
  usage: `${USAGE} [-i] METHOD URL${SIGNERS_USAGE}`,
  options: { ...OPTIONS, include: { type: 'boolean', short: 'i' } },
  words: 2,
  async run(values, positionals) {
    const { client, url, init } = await prepare(values, positionals);
    const { answer, refusal } = await send(() => client.fetch(url, init));
    if (values['include'] === true) {
      print(`HTTP ${answer.status}`);
      for (const [name, value] of answer.headers) print(`${name}: ${value}`);
      print('');
    }
    process.stdout.write(new Uint8Array(await answer.arrayBuffer()));
    if (refusal !== undefined) throw new CommandError(exitOf(refusal), refusal.message);
    return EXIT.ok;
  },
};

/** A refusal has an answer too, and it is printed like any other. */
async function send(run: () => Promise<Response>): Promise<{ answer: Response; refusal?: CountersignError }> {
  try {
    return { answer: await judged(run) };
  } catch (thrown) {
    const refusal = Error.isError(thrown) ? thrown.cause : undefined;
    if (!(refusal instanceof CountersignError) || refusal.response === undefined || refusal.response.bodyUsed)
      throw thrown;
    return { answer: refusal.response, refusal };
  }
}

async function prepare(
  values: Values,
  positionals: readonly string[],
): Promise<{ client: Client; url: URL; init: RequestInit }> {
  const [method, address] = positionals;
  if (method === undefined || address === undefined) throw new CommandError(EXIT.usage, 'expected METHOD URL');
  const url = httpUrl(address, 'URL');
  const issuer = optional(values, 'issuer');
  const issuerUrl = issuer === undefined ? undefined : httpUrl(issuer, '--issuer');
  const client = await judged(async () =>
    createClient({
      baseUrl: url.origin,
      ...(issuerUrl !== undefined && { issuerUrl }),
      signer: await signerOf(values),
      body: bodyCoverOf(values),
    }),
  );
  return { client, url, init: { method, headers: headersOf(values), ...bodyOf(values) } };
}

function headersOf(values: Values): [string, string][] {
  return several(values, 'header').map((line) => {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined)
      throw new CommandError(EXIT.usage, `-H: expected "name: value", got "${line}"`);
    return [name, value];
  });
}

function bodyOf(values: Values): { body?: Uint8Array<ArrayBuffer> } {
  const { data } = values;
  if (typeof data !== 'string') return {};
  if (!data.startsWith('@')) return { body: new TextEncoder().encode(data) };
  try {
    return { body: new Uint8Array(readFileSync(data.slice(1))) };
  } catch {
    throw new CommandError(EXIT.unreadable, `${data.slice(1)}: expected a readable file`);
  }
}

/** For a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
