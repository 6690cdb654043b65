/** What a command is, its exit codes, and how it talks: results on stdout, everything else on stderr. */
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
  run(values: Values, positionals: readonly string[]): Promise<number>;
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
export function parseCommand(command: Command, args: readonly string[]): { values: Values; positionals: readonly string[] } {
  try {
    return parseArgs({ args: [...args], options: { ...COMMON, ...command.options }, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new CommandError(EXIT.usage, Error.isError(cause) ? cause.message : 'unknown option', { cause });
  }
}

/** @throws {CommandError} usage */
export function required(values: Values, name: string): string {
  const value = values[name];
  if (typeof value !== 'string' || value === '') throw new CommandError(EXIT.usage, `expected --${name}`);
  return value;
}

export function optional(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
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
