/**
 * Looks into valibot schemas: which members a map may have, what a scalar may be, what a person would call it.
 * For everything that needs the shape of the configuration without a value of it: unknown keys, environment names, effective
 * values, the reference.
 */
import * as v from 'valibot';
import { isRawMap } from './tree.ts';

export type Schema = v.GenericSchema;

/** The schema behind `optional` and the like. */
export function unwrap(schema: Schema): Schema {
  let inner = schema;
  while ('wrapped' in inner) inner = inner.wrapped as Schema;
  return inner;
}

/** As `unwrap`, keeping only the base type of a pipe: what the text in the file is judged by first. */
type Shape =
  | { readonly kind: 'map'; readonly entries: Readonly<Record<string, Schema>> }
  | { readonly kind: 'record'; readonly value: Schema }
  | { readonly kind: 'list'; readonly item: Schema }
  | { readonly kind: 'variant'; readonly by: string; readonly options: readonly Schema[] }
  | { readonly kind: 'union'; readonly options: readonly Schema[] }
  | { readonly kind: 'scalar' }
  | { readonly kind: 'any' };

export function shapeOf(schema: Schema): Shape {
  const inner = unwrap(schema) as unknown as Record<string, unknown> & { type: string };
  switch (inner.type) {
    case 'object':
    case 'strict_object':
      return { kind: 'map', entries: inner['entries'] as Record<string, Schema> };
    case 'record':
      return { kind: 'record', value: inner['value'] as Schema };
    case 'array':
      return { kind: 'list', item: inner['item'] as Schema };
    case 'variant':
      return { kind: 'variant', by: inner['key'] as string, options: inner['options'] as Schema[] };
    case 'union':
      return { kind: 'union', options: inner['options'] as Schema[] };
    case 'string':
    case 'number':
    case 'boolean':
    case 'picklist':
    case 'literal':
      return { kind: 'scalar' };
    default:
      return { kind: 'any' };
  }
}

/** Members that a map may have; undefined where any may stand, or none. With a value, only the variant it chose. */
export function membersOf(schema: Schema, value?: unknown): Readonly<Record<string, Schema>> | undefined {
  const shape = shapeOf(schema);
  if (shape.kind === 'map') return shape.entries;
  if (shape.kind !== 'variant' && shape.kind !== 'union') return undefined;
  const chosen = shape.kind === 'variant' && isRawMap(value) ? variantOf(shape, value[shape.by]) : undefined;
  const options = chosen === undefined ? shape.options : [chosen];
  const members = options.map((option) => membersOf(option, value)).filter((entries) => entries !== undefined);
  return members.length === 0 ? undefined : Object.assign({}, ...members);
}

function variantOf(shape: { by: string; options: readonly Schema[] }, discriminator: unknown): Schema | undefined {
  return shape.options.find((option) => {
    const member = membersOf(option)?.[shape.by];
    return member !== undefined && v.is(member, discriminator);
  });
}

/** The schema of what stands at one key or index; undefined when nothing may, or anything. */
export function childOf(schema: Schema, key: string | number, value?: unknown): Schema | undefined {
  const shape = shapeOf(schema);
  if (shape.kind === 'record') return shape.value;
  if (shape.kind === 'list') return typeof key === 'number' ? shape.item : undefined;
  const members = membersOf(schema, value);
  return members !== undefined && Object.hasOwn(members, key) ? members[key] : undefined;
}

/** Types that a scalar may have as text in the file: `size()` takes numbers and strings. */
export function scalarTypesOf(schema: Schema): ReadonlySet<string> {
  const inner = unwrap(schema) as unknown as { type: string; options?: unknown[]; literal?: unknown };
  switch (inner.type) {
    case 'string':
    case 'number':
    case 'boolean':
      return new Set([inner.type]);
    case 'literal':
      return new Set([typeof inner.literal]);
    case 'picklist':
      return new Set(inner.options?.map((option) => typeof option));
    case 'union':
      return new Set(inner.options?.flatMap((option) => [...scalarTypesOf(option as Schema)]));
    default:
      return new Set();
  }
}

/** The phrase that follows "expected": the schema's own message where it has one. Of a pipe the last one, which names the bounds. */
export function expectationOf(schema: Schema): string {
  const inner = unwrap(schema) as unknown as {
    type: string;
    expects: string;
    message?: unknown;
    pipe?: readonly { message?: unknown }[];
  };
  const messages = [inner, ...(inner.pipe ?? [])]
    .map((part) => part.message)
    .filter((message) => typeof message === 'string');
  const first = messages[0];
  return first ?? plainExpectation(inner.expects);
}

/** valibot's own words, in ours. */
export function plainExpectation(expects: string | null): string {
  if (expects === null || expects === '') return 'another value';
  if (expects === 'Object') return 'a map';
  if (expects === 'Array') return 'a list';
  if (expects === 'boolean') return 'true or false';
  if (expects === 'string') return 'text';
  if (expects === 'number') return 'a number';
  return expects.replaceAll(' | ', ' or ').replaceAll(/^\(|\)$/g, '');
}

/** The default in the form of the file; undefined without one. */
export function defaultOf(schema: Schema): unknown {
  return 'default' in schema ? schema.default : undefined;
}

export function isRequired(schema: Schema): boolean {
  return schema.type !== 'optional' && schema.type !== 'exact_optional';
}
