/**
 * Finds keys that mean nothing, at every level. The schemas refuse them too, but only the first of each map and without a
 * suggestion; and a key in the wrong variant is not told where it would belong. A list in place of a map, which valibot takes for an
 * object with numbers for keys, ends here too.
 */
import { formatPath, quote, type ConfigIssue, type Path } from './config-error.ts';
import { suggestion } from './nearest.ts';
import { childOf, membersOf, shapeOf, type Schema } from './schema-walk.ts';
import { isRawMap, type Tree } from './tree.ts';

/** @param path of `value`, which `schema` is for. */
export function unknownKeys(tree: Tree, schema: Schema, value: unknown, path: Path): ConfigIssue[] {
  const { kind } = shapeOf(schema);
  if (Array.isArray(value) && (kind === 'map' || kind === 'record' || kind === 'variant')) {
    return [{ ...tree.placeOf(path), path: formatPath(path), message: 'expected a map, got a list' }];
  }
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => {
      const child = childOf(schema, index);
      return child === undefined ? [] : unknownKeys(tree, child, item, [...path, index]);
    });
  }
  if (!isRawMap(value)) return [];
  const members = membersOf(schema, value);
  return Object.entries(value).flatMap(([key, member]) => {
    const here = [...path, key];
    const child = childOf(schema, key, value);
    if (child !== undefined) return unknownKeys(tree, child, member, here);
    if (members === undefined || tree.isDerived(here)) return [];
    return [{ ...tree.placeOf(here), path: formatPath(here), message: unknown(schema, key, Object.keys(members)) }];
  });
}

function unknown(schema: Schema, key: string, known: readonly string[]): string {
  const shape = shapeOf(schema);
  if (shape.kind === 'variant' && Object.hasOwn(membersOf(schema) ?? {}, key)) {
    return `expected no ${quote(key)} with this ${shape.by}: it would have no effect`;
  }
  return `unknown key${suggestion(key, known)}`;
}
