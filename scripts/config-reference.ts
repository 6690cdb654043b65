/** `docs/configuration.md`: every key with its form, default and meaning, from the schema that judges the file. */
import * as v from 'valibot';
import { RESTART_KEYS } from '../src/config/restart-keys.ts';
import { configSchema } from '../src/config/schema.ts';
import {
  childOf,
  defaultOf,
  expectationOf,
  isRequired,
  membersOf,
  shapeOf,
  unwrap,
  type Schema,
} from '../src/config/schema-walk.ts';
import { schemes } from '../src/schemes/index.ts';

const HEAD = `# Configuration

One YAML 1.2 document, at most 1 MiB. Unknown keys, blank values, duplicate keys, anchors with merge keys and tags are refused; all
errors are told at once, with file and line. \`countersign validate --config FILE\` checks a file, \`--print-effective\` shows it with its defaults.

Durations have a unit (\`50ms\`, \`5s\`, \`10m\`, \`24h\`), sizes are bytes or \`KiB\`/\`MiB\`, rates \`50/s\`, \`600/m\`, \`20/h\`; a bucket is
\`{rate, burst}\`. Addresses: \`host:port\`, \`[v6]:port\`, \`unix:/absolute/path\`. Secrets are files: keys that end in \`File\` name one.

Later wins: defaults, the file (\`--config\`, else \`COUNTERSIGN_CONFIG\`, else \`/etc/countersign/config.yaml\`), the environment
(\`COUNTERSIGN__A__B_C\` sets \`a.bC\`; \`REDIS_URL\`, \`REDIS_PASSWORD_FILE\`, \`LOG_LEVEL\` are weaker names), \`--set path=value\`.

**R**: a change needs a restart; a reload that changes such a key is refused as a whole and names it.

This file is generated from the schema; \`config.schema.json\` beside the source is the same for editors.
`;

interface Row {
  readonly path: string;
  readonly form: string;
  readonly standard: string;
  readonly meaning: string;
}

export function configReference(): string {
  const sections = Object.entries(configSchema.entries).map(([key, schema]): string => {
    if (key === 'schemes') return schemeSections();
    return section(`\`${key}\``, meaningOf(schema), rowsOf(schema, key));
  });
  return [HEAD, ...sections].join('\n');
}

function schemeSections(): string {
  const intro =
    '## `schemes`\n\nThe schemes that exist here, each with its settings; `{}` takes the defaults. Required.\n';
  const each = schemes.map(({ name, settings }) =>
    table(`### \`schemes.${name}\``, '', rowsOf(settings, `schemes.${name}`)),
  );
  return [intro, ...each].join('\n');
}

function section(title: string, meaning: string, rows: readonly Row[]): string {
  return table(`## ${title}`, meaning, rows);
}

function table(title: string, meaning: string, rows: readonly Row[]): string {
  const lines = rows.map(
    ({ path, form, standard, meaning: what }) =>
      `| \`${path}\`${needsRestart(path) ? ' R' : ''} | ${form} | ${standard} | ${what} |`,
  );
  return [
    title,
    '',
    ...(meaning === '' ? [] : [meaning, '']),
    '| key | form | default | meaning |',
    '|---|---|---|---|',
    ...lines,
    '',
  ].join('\n');
}

function rowsOf(schema: Schema, path: string): Row[] {
  const shape = shapeOf(schema);
  if (shape.kind === 'record') {
    // What may be anything has no more to it than what the map's own row says.
    const one = `${path}.<name>`;
    const each = shapeOf(shape.value).kind === 'any' ? [] : rowsOf(shape.value, one);
    if (path === 'routes') return each;
    return [row(schema, path), ...each.map((member) => (member.path === one ? { ...member, standard: '-' } : member))];
  }
  const members = membersOf(schema);
  if (members === undefined || isLeafMap(schema)) return [row(schema, path)];
  return Object.keys(members).flatMap((key) => {
    const child = childOf(schema, key);
    return child === undefined || isHidden(child) ? [] : rowsOf(child, `${path}.${key}`);
  });
}

/** A bucket is one setting with two numbers. */
function isLeafMap(schema: Schema): boolean {
  const members = membersOf(schema);
  return members !== undefined && Object.keys(members).join() === 'rate,burst';
}

function row(schema: Schema, path: string): Row {
  const form = isLeafMap(schema) ? 'a bucket' : plain(expectationOf(schema));
  return { path, form, standard: defaultText(schema), meaning: plain(meaningOf(schema)) };
}

function defaultText(schema: Schema): string {
  const value = defaultOf(schema);
  if (value !== undefined) return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
  return isRequired(schema) ? '**required**' : '-';
}

function meaningOf(schema: Schema): string {
  return v.getDescription(unwrap(schema)) ?? v.getDescription(schema) ?? '';
}

function isHidden(schema: Schema): boolean {
  return v.getMetadata(unwrap(schema))['hidden'] === true;
}

function plain(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function needsRestart(path: string): boolean {
  return RESTART_KEYS.some((key) => path === key || path.startsWith(`${key}.`));
}
