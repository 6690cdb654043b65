/**
 * The forms of single settings that several sections share, beside the durations, sizes and rates of `core/settings.ts`.
 * A message is the phrase that follows "expected" in an error; a description is the row of the reference.
 */
import * as v from 'valibot';
import { addressOf, parseAddress } from '../../core/address.ts';
import { Secret } from '../../core/secret.ts';

/** A setting that may be left out. The description holds unit, meaning and consequence; the default is the second argument. */
export function setting<const Schema extends v.GenericSchema, const Default extends v.InferInput<Schema>>(
  schema: Schema,
  fallback: Default,
  description: string,
) {
  return v.optional(v.pipe(schema, v.description(description)), fallback);
}

/** A setting without a default: the feature is off when it is left out. */
export function unset<const Schema extends v.GenericSchema>(schema: Schema, description: string) {
  return v.exactOptional(v.pipe(schema, v.description(description)));
}

export function required<const Schema extends v.GenericSchema>(schema: Schema, description: string) {
  return v.pipe(schema, v.description(description));
}

export function choice<const Options extends readonly [string, ...string[]]>(...options: Options) {
  return v.picklist(options, oneOf(options));
}

/** `"a", "b" or "c"`. */
export function oneOf(options: readonly string[]): string {
  const quoted = options.map((option) => JSON.stringify(option));
  return quoted.length === 1 ? quoted.join('') : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1) ?? ''}`;
}

export function flag() {
  return v.boolean('true or false');
}

/** Bounds inclusive. */
export function integer(min: number, max: number) {
  const expected = `an integer from ${min} to ${max}`;
  return v.pipe(v.number(expected), v.integer(expected), v.minValue(min, expected), v.maxValue(max, expected));
}

export function text(pattern: RegExp, expected: string) {
  return v.pipe(v.string(expected), v.regex(pattern, expected));
}

/** Relative paths are refused: they would name another file after a change of the working directory. */
export function file() {
  return text(/^\/\P{Cc}{1,4095}$/u, 'an absolute path');
}

const ADDRESS = 'an address: "host:port", "[v6]:port" or "unix:/absolute/path"';

/** Kept as text; `parseAddress` of `core/address.ts` takes it apart. */
export function address() {
  return v.pipe(
    v.string(ADDRESS),
    v.check((value) => parseAddress(value) !== undefined, ADDRESS),
  );
}

/** An address that may hold `{worker}`. */
export function addressPerWorker() {
  return v.pipe(
    v.string(ADDRESS),
    v.check((value) => parseAddress(addressOf(value, 1)) !== undefined, ADDRESS),
  );
}

export function list<const Item extends v.GenericSchema>(
  item: Item,
  bounds: { min?: number; max: number; of: string },
) {
  const expected = `a list of ${bounds.of}`;
  return v.pipe(
    v.array(item, expected),
    v.minLength(bounds.min ?? 0, `${expected}, at least ${bounds.min ?? 0}`),
    v.maxLength(bounds.max, `${expected}, at most ${bounds.max}`),
    v.check((items) => new Set(items).size === items.length, `${expected} without repetitions`),
  );
}

/** Marks a value that errors must not show. */
export const HIDDEN = { hidden: true } as const;

/** Marks a value that is itself a secret: `--print-effective` leaves it out too. */
const SECRET = { hidden: true, secret: true } as const;

/** A secret in the file itself: needs `insecure.inlineSecrets`. */
export function inlineSecret() {
  const expected = 'text of 1 to 1024 characters';
  return v.pipe(
    v.string(expected),
    v.minLength(1, expected),
    v.maxLength(1024, expected),
    v.metadata(SECRET),
    v.transform((value) => new Secret(value)),
  );
}
