/** The JSON Schema of the configuration file, for editors: the form of the text, not what it becomes. */
import { toJsonSchema } from '@valibot/to-json-schema';
import { configSchema } from '../src/config/schema.ts';
import { schemes } from '../src/schemes/index.ts';

/** Bounds that are judged after a text became a number have no place in a schema of the text; errors name them. */
const OPTIONS = { typeMode: 'input', errorMode: 'ignore' } as const;

export function configJsonSchema(): object {
  const whole = toJsonSchema(configSchema, OPTIONS) as { properties: Record<string, object> };
  const ofSchemes = Object.fromEntries(
    schemes.map(({ name, settings }) => [name, withoutDialect(toJsonSchema(settings, OPTIONS))]),
  );
  return {
    ...whole,
    title: 'countersign configuration',
    properties: {
      ...whole.properties,
      schemes: { ...whole.properties['schemes'], additionalProperties: false, properties: ofSchemes },
    },
  };
}

function withoutDialect({ $schema: _dialect, ...schema }: { $schema?: unknown }): object {
  return schema;
}
