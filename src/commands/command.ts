/** What a command is, its exit codes, and how it talks: results on stdout, everything else on stderr. */
import process from 'node:process';
import { type ParseArgsConfig, parseArgs } from 'node:util';

/** A closed set; scripts compare it. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  configuration: 3,
  unreachable: 4,
  refused: 5,
  checkFailed: 6,
  unreadable: 7,
  cutOff: 8,
} as const;

export type Options = NonNullable<ParseArgsConfig['options']>;
export type Values = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

export interface Command {
  readonly summary: string;
  /** Behind the name, for `--help`. */
  readonly usage: string;
  /** Without `help`, `json` and `debug`, which every command has. */
  readonly options: Options;
  /** Most words besides the options: a forgotten `--config` must not check another file. */
  readonly words: number;
  run(values: Values, positionals: readonly string[], env: NodeJS.ProcessEnv): Promise<number>;
}

/** Ends a command with one line and a code. */
export class CommandError extends Error {
  readonly exit: number;

  constructor(exit: number, message: string, options?: { cause: unknown }) {
    super(message, options);
    this.name = 'CommandError';
    this.exit = exit;
  }
}

const COMMON: Options = { help: { type: 'boolean' }, json: { type: 'boolean' }, debug: { type: 'boolean' } };

/** @throws {CommandError} usage, for an unknown option and the like. */
export function parseCommand(
  command: Command,
  args: readonly string[],
): { values: Values; positionals: readonly string[] } {
  let parsed: { values: Values; positionals: readonly string[] };
  try {
    const options = { ...COMMON, ...command.options };
    parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new CommandError(EXIT.usage, Error.isError(cause) ? cause.message : 'unknown option', { cause });
  }
  const surplus = parsed.positionals[command.words];
  if (surplus !== undefined) throw new CommandError(EXIT.usage, `unexpected "${surplus}"`);
  return parsed;
}

/** Options that another action of the command takes are as unknown as any other. @throws {CommandError} usage */
export function requireOnly(values: Values, action: string, allowed: readonly string[]): void {
  const known = [...Object.keys(COMMON), ...allowed];
  for (const name of Object.keys(values)) {
    if (!known.includes(name)) throw new CommandError(EXIT.usage, `${action} takes no --${name}`);
  }
}

/** @throws {CommandError} usage */
export function required(values: Values, name: string): string {
  const value = values[name];
  if (typeof value !== 'string' || value === '') throw new CommandError(EXIT.usage, `expected --${name}`);
  return value;
}

/** Empty is not absent: a script's unset variable must not fall back to a default. @throws {CommandError} usage */
export function optional(values: Values, name: string): string | undefined {
  const value = values[name];
  if (value === '') throw new CommandError(EXIT.usage, `--${name}: expected a value, got an empty one`);
  return typeof value === 'string' ? value : undefined;
}

/** @throws {CommandError} usage */
export function httpUrl(text: string, option: string): URL {
  const url = URL.parse(text);
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new CommandError(EXIT.usage, `${option}: expected a URL such as http://127.0.0.1:9090, got "${text}"`);
}

export function several(values: Values, name: string): readonly string[] {
  const value = values[name];
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value));
}
