/** The JSON Schema of the configuration file, for editors: the form of the text, not what it becomes. */
import { toJsonSchema } from '@valibot/to-json-schema';
import * as v from 'valibot';
import { configSchema } from '../src/config/schema.ts';
import { membersOf, unwrap } from '../src/config/schema-walk.ts';
import { schemes } from '../src/schemes/index.ts';

type JsonSchema = Record<string, unknown>;
type Properties = Record<string, JsonSchema>;

export function configJsonSchema(): JsonSchema {
  const whole = convert(configSchema);
  const properties = whole.properties as Properties;
  const routes = properties['routes'] as JsonSchema & { additionalProperties: JsonSchema & { properties: Properties } };
  const route = routes.additionalProperties;
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    ...whole,
    title: 'countersign configuration',
    properties: {
      ...properties,
      schemes: closed(
        properties['schemes'],
        schemes.map(({ name, settings }) => [name, convert(settings)]),
      ),
      routes: {
        ...routes,
        additionalProperties: {
          ...route,
          properties: {
            ...route.properties,
            settings: closed(
              route.properties['settings'],
              schemes.map(({ name, settings, perRoute }) => [name, settingsOfRoute(settings, perRoute)]),
            ),
          },
        },
      },
    },
  };
}

/** Bounds that are judged after a text became a number have no place in a schema of the text; errors name them. */
function convert(schema: v.GenericSchema): JsonSchema {
  const { $schema: _dialect, ...converted } = toJsonSchema(schema, {
    typeMode: 'input',
    errorMode: 'ignore',
    // A description stands behind the transformation, where the conversion has stopped.
    overrideSchema: ({ valibotSchema, jsonSchema }) => {
      const description = v.getDescription(unwrap(valibotSchema));
      return description === undefined ? jsonSchema : { ...jsonSchema, description };
    },
  });
  return converted;
}

function settingsOfRoute(settings: v.GenericSchema, perRoute: readonly string[]): JsonSchema {
  const members = membersOf(settings) ?? {};
  return closed(
    { type: 'object' },
    perRoute.flatMap((key) => (members[key] === undefined ? [] : [[key, convert(members[key])] as const])),
  );
}

function closed(schema: JsonSchema | undefined, properties: readonly (readonly [string, JsonSchema])[]): JsonSchema {
  const { propertyNames: _any, ...rest } = schema ?? {};
  return { ...rest, additionalProperties: false, properties: Object.fromEntries(properties) };
}
