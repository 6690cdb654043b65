/**
 * Overrides from outside the file: environment variables and `--set`. Each writes into the tree under its own name, so that the
 * one validation judges it and an error names the variable.
 */
import { formatPath, quote, type ConfigIssue, type Path } from './config-error.ts';
import { readValue } from './document.ts';
import { nearest } from './nearest.ts';
import { childOf, membersOf, scalarTypesOf, shapeOf, type Schema } from './schema-walk.ts';
import { isReservedName, type Tree } from './tree.ts';

/**
 * Two underscores: Kubernetes injects `COUNTERSIGN_SERVICE_HOST`, `COUNTERSIGN_PORT_9001_TCP` and the like into pods beside a
 * Service of our name, and those must mean nothing here.
 */
const PREFIX = 'COUNTERSIGN__';

/** Names that platforms set. Weaker than the long ones. */
const ALIASES: Readonly<Record<string, { path: readonly string[]; isList?: true }>> = {
  REDIS_URL: { path: ['store', 'redis', 'urls'], isList: true },
  REDIS_PASSWORD_FILE: { path: ['store', 'redis', 'passwordFile'] },
  LOG_LEVEL: { path: ['log', 'level'] },
};

export type Environment = Readonly<Record<string, string | undefined>>;

export function applyEnvironment(tree: Tree, schema: Schema, env: Environment): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  for (const [name, { path, isList }] of Object.entries(ALIASES)) {
    const text = env[name];
    if (text === undefined) continue;
    write(tree, name, path, isList === true ? [text] : text, text, issues);
  }
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || text === undefined) continue;
    const target = resolveName(schema, name);
    if ('problem' in target) issues.push({ source: name, line: null, path: '', message: target.problem });
    else write(tree, name, target.path, scalar(target.schema, text), text, issues);
  }
  return issues;
}

/** @param assignments of the command line, `path=value`; lists and maps as YAML. */
export function applyAssignments(tree: Tree, schema: Schema, assignments: readonly string[]): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  for (const assignment of assignments) {
    const [, pathText = '', text = ''] = /^([^=]{1,512})=(.*)$/s.exec(assignment) ?? [];
    const path = pathText.split('.');
    const source = `--set ${formatPath(path)}`;
    if (pathText === '' || path.includes('') || path.some(isReservedName)) {
      issues.push({ source: '--set', line: null, path: '', message: 'expected path=value, such as log.level=debug' });
      continue;
    }
    write(tree, source, path, assigned(schema, path, text), text, issues);
  }
  return issues;
}

function write(
  tree: Tree,
  source: string,
  path: readonly string[],
  value: unknown,
  text: string,
  issues: ConfigIssue[],
): void {
  const place = { source, line: null };
  if (text === '' || value === undefined) {
    issues.push({
      ...place,
      path: formatPath(path),
      message: text === '' ? 'expected a value, got nothing' : 'expected a value in YAML',
    });
    return;
  }
  if (!tree.write(path, value, place)) {
    issues.push({
      ...place,
      path: formatPath(path),
      message: 'unknown setting: what stands above it has no settings below',
    });
  }
}

/** `COUNTERSIGN__STORE__REDIS__PASSWORD_FILE` is `store.redis.passwordFile`. */
function resolveName(schema: Schema, name: string): { path: string[]; schema: Schema } | { problem: string } {
  const path: string[] = [];
  let here = schema;
  for (const segment of name.slice(PREFIX.length).split('__')) {
    const members = membersOf(here);
    if (members === undefined) {
      return { problem: `unknown setting: ${formatPath(path)} ${describeDeadEnd(here)}` };
    }
    const key = Object.keys(members).find((member) => upperSnake(member) === segment);
    const next = key === undefined ? undefined : members[key];
    if (key === undefined || next === undefined)
      return { problem: unknownVariable(name, segment, Object.keys(members)) };
    path.push(key);
    here = next;
  }
  if (scalarTypesOf(here).size === 0)
    return { problem: `unknown setting: ${formatPath(path)} ${describeDeadEnd(here)}` };
  return { path, schema: here };
}

function describeDeadEnd(schema: Schema): string {
  switch (shapeOf(schema).kind) {
    case 'record':
      return 'has names of your own below it, which an environment variable cannot set';
    case 'list':
      return 'is a list, which an environment variable cannot set';
    case 'scalar':
      return 'has nothing below it';
    default:
      return 'is a map; name one of its settings';
  }
}

function unknownVariable(name: string, segment: string, known: readonly string[]): string {
  const meant = nearest(segment, known.map(upperSnake));
  return meant === undefined
    ? 'unknown setting'
    : `unknown setting, did you mean ${quote(name.replace(segment, meant))}?`;
}

function upperSnake(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/** Text as the type that the setting takes; text that is no number stays text, for the schema to refuse. */
function scalar(schema: Schema, text: string): unknown {
  const types = scalarTypesOf(schema);
  if (types.has('boolean') && (text === 'true' || text === 'false')) return text === 'true';
  if (types.has('number') && /^(0|[1-9][0-9]{0,15})(\.[0-9]{1,9})?$/.test(text)) return Number(text);
  return text;
}

function assigned(schema: Schema, path: Path, text: string): unknown {
  let here: Schema | undefined = schema;
  for (const key of path) here = here === undefined ? undefined : childOf(here, key);
  return here !== undefined && scalarTypesOf(here).size > 0 ? scalar(here, text) : readValue(text);
}
