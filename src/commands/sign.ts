/** `countersign sign` and `countersign curl`: signed requests from the terminal. */
import { readFileSync } from 'node:fs';
import { createClient, type Client } from '../client/client.ts';
import { readKeyFile } from '../client/node.ts';
import { CountersignError } from '../core/client-error.ts';
import type { Signer } from '../core/signer.ts';
import { challengeSignature } from '../schemes/challenge-signature/client.ts';
import { reasonOf } from './admin-api.ts';
import { CommandError, EXIT, optional, print, printJson, required, several, type Command, type Options, type Values } from './command.ts';

const OPTIONS: Options = {
  scheme: { type: 'string' },
  key: { type: 'string' },
  user: { type: 'string' },
  kid: { type: 'string' },
  tenant: { type: 'string' },
  issuer: { type: 'string' },
  header: { type: 'string', short: 'H', multiple: true },
  data: { type: 'string', short: 'd' },
  body: { type: 'string' },
};

const USAGE = '--scheme S --key FILE --user U [--kid K] [--issuer URL] [-H "name: value"]... [-d DATA|@FILE] [--body required|none]';

export const sign: Command = {
  summary: 'print the headers of a signed request',
  usage: `${USAGE} [--format headers|json|curl] METHOD URL`,
  options: { ...OPTIONS, format: { type: 'string' } },
  async run(values, positionals) {
    const { client, url, init } = await prepare(values, positionals);
    const format = optional(values, 'format') ?? (values['json'] === true ? 'json' : 'headers');
    const signed = await judged(() => client.signRequest(url, init));
    const headers = [...signed.headers];
    if (format === 'headers') for (const [name, value] of headers) print(`${name}: ${value}`);
    else if (format === 'json') printJson({ method: signed.method, url: signed.url, headers: Object.fromEntries(headers) });
    else if (format === 'curl') print(curlLine(signed.method, signed.url, headers, optional(values, 'data')));
    else throw new CommandError(EXIT.usage, `--format: expected headers, json or curl, got "${format}"`);
    return EXIT.ok;
  },
};

export const curl: Command = {
  summary: 'send a signed request and print the answer',
  usage: `${USAGE} [-i] METHOD URL`,
  options: { ...OPTIONS, include: { type: 'boolean', short: 'i' } },
  async run(values, positionals) {
    const { client, url, init } = await prepare(values, positionals);
    const answer = await judged(() => client.fetch(url, init));
    if (values['include'] === true) {
      print(`HTTP ${answer.status}`);
      for (const [name, value] of answer.headers) print(`${name}: ${value}`);
      print('');
    }
    process.stdout.write(new Uint8Array(await answer.arrayBuffer()));
    return answer.status < 400 ? EXIT.ok : EXIT.refused;
  },
};

async function prepare(values: Values, positionals: readonly string[]): Promise<{ client: Client; url: URL; init: RequestInit }> {
  const [method, address] = positionals;
  if (method === undefined || address === undefined || positionals.length > 2) throw new CommandError(EXIT.usage, 'expected METHOD URL');
  const url = URL.parse(address);
  if (url === null) throw new CommandError(EXIT.usage, `expected a URL such as https://api.example.com/transfer, got "${address}"`);
  const body = optional(values, 'body') ?? 'required';
  if (body !== 'required' && body !== 'none') throw new CommandError(EXIT.usage, `--body: expected required or none, got "${body}"`);
  const issuerUrl = optional(values, 'issuer');
  const client = await judged(async () =>
    createClient({ baseUrl: url.origin, ...(issuerUrl !== undefined && { issuerUrl }), signer: await signerOf(values), body }),
  );
  return { client, url, init: { method, headers: headersOf(values), ...bodyOf(values) } };
}

async function signerOf(values: Values): Promise<Signer> {
  const scheme = required(values, 'scheme');
  const signer = SIGNERS[scheme];
  if (signer === undefined) throw new CommandError(EXIT.usage, `--scheme: expected ${Object.keys(SIGNERS).join(', ')}, got "${scheme}"`);
  return signer(values);
}

/** By scheme: what the terminal's options become. */
const SIGNERS: Readonly<Record<string, (values: Values) => Promise<Signer>>> = {
  async 'challenge-signature'(values) {
    const tenant = optional(values, 'tenant');
    const key = await readKeyFile(required(values, 'key'));
    return challengeSignature({
      user: required(values, 'user'),
      kid: optional(values, 'kid') ?? 'k1',
      key,
      ...(tenant !== undefined && { tenant }),
    });
  },
};

function headersOf(values: Values): [string, string][] {
  return several(values, 'header').map((line) => {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new CommandError(EXIT.usage, `-H: expected "name: value", got "${line}"`);
    return [name, value];
  });
}

function bodyOf(values: Values): { body?: Uint8Array<ArrayBuffer> } {
  const data = optional(values, 'data');
  if (data === undefined) return {};
  if (!data.startsWith('@')) return { body: new TextEncoder().encode(data) };
  try {
    return { body: new Uint8Array(readFileSync(data.slice(1))) };
  } catch {
    throw new CommandError(EXIT.unreadable, `${data.slice(1)}: expected a readable file`);
  }
}

/** Refusals, unreadable keys and dead connections have exit codes of their own. */
async function judged<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    if (thrown instanceof CommandError) throw thrown;
    if (!(thrown instanceof CountersignError)) throw new CommandError(EXIT.unreachable, `no answer (${reasonOf(thrown)})`, { cause: thrown });
    throw new CommandError(exitOf(thrown), thrown.message);
  }
}

function exitOf({ code, status }: CountersignError): number {
  if (code === 'key_unusable') return EXIT.unreadable;
  if (code === 'request_unsuitable' || code === 'body_not_fixed') return EXIT.usage;
  if (code === 'unavailable' || code === 'not_offered' || code === 'answer_invalid') return EXIT.unreachable;
  return status === undefined ? EXIT.failed : EXIT.refused;
}

function curlLine(method: string, url: string, headers: readonly (readonly [string, string])[], data: string | undefined): string {
  const parts = ['curl', '-X', method, ...headers.flatMap(([name, value]) => ['-H', quote(`${name}: ${value}`)])];
  if (data !== undefined) parts.push('--data-binary', quote(data));
  return [...parts, quote(url)].join(' ');
}

/** For a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
