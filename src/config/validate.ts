/** Judges a part of the tree by its schema and says what is wrong in our own words: expected this, got that, here. */
import * as v from 'valibot';
import { formatPath, quote, type ConfigIssue, type Path } from './config-error.ts';
import { childOf, expectationOf, plainExpectation, unwrap, type Schema } from './schema-walk.ts';
import { isRawMap, type Tree } from './tree.ts';

export type Validated =
  | { readonly ok: true; readonly output: unknown }
  | { readonly ok: false; readonly issues: readonly ValidationIssue[] };

export interface ValidationIssue extends ConfigIssue {
  /** Below the value that was judged. */
  readonly below: Path;
}

/** Unknown keys make it fail without an issue: those are `unknown-keys.ts`'s. @param path of `value` in the tree. */
export function validate(tree: Tree, schema: Schema, value: unknown, path: Path): Validated {
  const result = v.safeParse(schema, value);
  if (result.success) return { ok: true, output: result.output };
  const issues = result.issues.flatMap((issue): ValidationIssue[] => {
    const below = (issue.path ?? []).map((step) => step.key as string | number);
    const here = [...path, ...below];
    if (issue.expected === 'never' || tree.isDerived(here)) return [];
    return [{ ...tree.placeOf(here), path: formatPath(here), message: describe(issue, schema, value, below), below }];
  });
  return { ok: false, issues };
}

function describe(issue: v.BaseIssue<unknown>, schema: Schema, whole: unknown, below: Path): string {
  const [target, value] = locate(schema, whole, below);
  if (issue.input === undefined) {
    const expected = target === undefined ? plainExpectation(issue.expected) : expectationOf(target);
    return `expected ${expected}, got nothing, and it is required`;
  }
  // valibot's own messages repeat the value, which may be a secret.
  const expected = issue.message.startsWith('Invalid ') ? plainExpectation(issue.expected) : issue.message;
  if (issue.path?.at(-1)?.origin === 'key') return `expected ${expected}`;
  if (typeof value === 'object' && issue.kind === 'validation') return `expected ${expected}`;
  return `expected ${expected}, got ${isHidden(target, below) ? `${typeof value}, not shown` : got(value, expected)}`;
}

/** The schema and the value as the file has it, where an issue is: after a transformation the issue holds another value. */
function locate(schema: Schema, whole: unknown, below: Path): [Schema | undefined, unknown] {
  let target: Schema | undefined = schema;
  let value = whole;
  for (const key of below) {
    target = target === undefined ? undefined : childOf(target, key, value);
    value = isRawMap(value) || Array.isArray(value) ? (value as Record<string | number, unknown>)[key] : undefined;
  }
  return [target, value];
}

function isHidden(schema: Schema | undefined, below: Path): boolean {
  const key = below.findLast((step) => typeof step === 'string') ?? '';
  // A secret given where its file belongs is the likeliest mistake.
  return (
    /file$|password|secret|token/i.test(key) ||
    (schema !== undefined && v.getMetadata(unwrap(schema))['hidden'] === true)
  );
}

function got(value: unknown, expected: string): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number')
    return `${value}${expected.includes('duration') ? ' (a bare number has no unit)' : ''}`;
  if (typeof value === 'boolean') return String(value);
  return Array.isArray(value) ? 'a list' : 'a map';
}
