/**
 * The configuration that is in force, in the form of the file: defaults filled in, every path of a secret, no secret.
 * What is printed loads again to the same configuration.
 */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { stringify } from 'yaml';
import type { SchemeDefinition } from '../core/scheme.ts';
import { configSchema } from './schema.ts';
import { childOf, defaultOf, membersOf, shapeOf, unwrap, type Schema } from './schema-walk.ts';
import { emptyMap, isRawMap, type RawMap } from './tree.ts';

/** @param root a tree that has passed validation, dependent defaults among it. */
export function effectiveValues(root: RawMap, definitions: ReadonlyMap<string, SchemeDefinition>): RawMap {
  const values = fill(configSchema, root) as RawMap;
  const schemes = emptyMap();
  for (const [name, settings] of Object.entries(values['schemes'] as RawMap)) {
    const definition = definitions.get(name);
    schemes[name] = definition === undefined ? settings : fill(definition.settings, settings);
  }
  return Object.assign(emptyMap(), values, { schemes });
}

export function formatEffective(values: RawMap): string {
  return stringify(values, { lineWidth: 0, aliasDuplicateObjects: false });
}

/** 12 hex digits that name a configuration, whatever its comments, order of keys and way of writing defaults. */
export function hashOf(values: RawMap): string {
  return createHash('sha256').update(JSON.stringify(values)).digest('hex').slice(0, 12);
}

function fill(schema: Schema, value: unknown): unknown {
  const shape = shapeOf(schema);
  if (v.getMetadata(unwrap(schema))['secret'] === true) return '[redacted]';
  if (Array.isArray(value)) return value.map((item, index) => fill(childOf(schema, index) ?? v.unknown(), item));
  if (!isRawMap(value) || shape.kind === 'union' || shape.kind === 'any') return value;
  const filled = emptyMap();
  for (const key of Object.keys(membersOf(schema, value) ?? value)) {
    const child = childOf(schema, key, value) ?? v.unknown();
    const member = value[key] ?? defaultOf(child);
    if (member !== undefined) filled[key] = fill(child, member);
  }
  return filled;
}
