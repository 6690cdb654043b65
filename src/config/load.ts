/**
 * Loads the configuration: file, then environment, then command line over the defaults, judged as one. All errors are told at once.
 * What the result means is `schema.ts`; what must fit together, `rules.ts`.
 */
import { availableParallelism } from 'node:os';
import type { SchemeDefinition } from '../core/scheme.ts';
import { Secret } from '../core/secret.ts';
import { readBounded } from './bounded-read.ts';
import { ConfigError, formatPath, type ConfigIssue, type Path } from './config-error.ts';
import { applyDependentDefaults } from './dependent-defaults.ts';
import { MAX_CONFIG_BYTES, readDocument } from './document.ts';
import { effectiveValues, hashOf } from './effective.ts';
import { applyAssignments, applyEnvironment, type Environment } from './environment.ts';
import { freezeDeep } from './freeze.ts';
import { RULES, warningsOf } from './rules.ts';
import { configSchema, type Config } from './schema.ts';
import { resolveSchemeSettings } from './scheme-settings.ts';
import { codeOf } from './secret-files.ts';
import { isRawMap, type RawMap, type Tree } from './tree.ts';
import { unknownKeys } from './unknown-keys.ts';
import { validate } from './validate.ts';

export const DEFAULT_CONFIG_FILE = '/etc/countersign/config.yaml';

export interface LoadOptions {
  /** Else `COUNTERSIGN_CONFIG`, else `/etc/countersign/config.yaml`. */
  readonly file?: string;
  /** Text in place of a file's; `file` is then only its name in messages. */
  readonly text?: string;
  readonly env: Environment;
  /** `--set path=value`, strongest of all. */
  readonly set?: readonly string[];
  readonly schemes: readonly SchemeDefinition[];
}

export interface Loaded {
  /** Deeply frozen. */
  readonly config: Config;
  /** 12 hex digits; equal for configurations that mean the same. */
  readonly hash: string;
  /** For the start and for `validate`: each thing that is allowed but weakens something. */
  readonly warnings: readonly string[];
  /** In the form of the file, without secrets: `formatEffective`. */
  readonly effective: RawMap;
  /** The file that was read. */
  readonly file: string;
  /** What was in it, for the other processes of the service; `insecure.inlineSecrets` lets it hold secrets. */
  readonly text: Secret<string>;
}

/** @throws {ConfigError} with every issue, and nothing else. */
export function loadConfig(options: LoadOptions): Loaded {
  const file = options.file ?? options.env['COUNTERSIGN_CONFIG'] ?? DEFAULT_CONFIG_FILE;
  const text = options.text ?? readText(file);
  const tree = readDocument(text, file);
  const issues = [
    ...applyEnvironment(tree, configSchema, options.env),
    ...applyAssignments(tree, configSchema, options.set ?? []),
  ];
  applyDependentDefaults(tree);
  issues.push(...unknownKeys(tree, configSchema, tree.root, []));
  const definitions = listedDefinitions(tree, options.schemes);
  const draft = resolveSections(tree, definitions, options.schemes, issues);
  issues.push(...ruleIssues(tree, draft, definitions));
  if (issues.length > 0) throw new ConfigError(issues);

  // No issue: every section is there.
  const config = freezeDeep(draft as Config);
  const effective = effectiveValues(tree.root, definitions);
  return {
    config,
    hash: hashOf(effective),
    warnings: warningsOf(config, definitions, availableParallelism()),
    effective,
    file,
    text: new Secret(text),
  };
}

function readText(file: string): string {
  const refuse = (message: string): never => {
    throw new ConfigError([{ source: file, line: null, path: '', message }]);
  };
  let bytes: Uint8Array;
  try {
    ({ bytes } = readBounded(file, MAX_CONFIG_BYTES));
  } catch (error) {
    return refuse(`expected a readable file (${codeOf(error)})`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return refuse('expected UTF-8');
  }
}

/** Of the schemes that there are, those that the file lists. */
function listedDefinitions(tree: Tree, all: readonly SchemeDefinition[]): ReadonlyMap<string, SchemeDefinition> {
  const listed = tree.root['schemes'];
  if (!isRawMap(listed)) return new Map();
  return new Map(
    all.filter(({ name }) => Object.hasOwn(listed, name)).map((definition) => [definition.name, definition]),
  );
}

/** Each section by itself, so that a mistake in one hides none in another. An invalid one stays away. */
function resolveSections(
  tree: Tree,
  definitions: ReadonlyMap<string, SchemeDefinition>,
  all: readonly SchemeDefinition[],
  issues: ConfigIssue[],
): Partial<Config> {
  const draft: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries(configSchema.entries)) {
    if (tree.root[key] === undefined && schema.type === 'exact_optional') continue; // It may be absent, but never `undefined`.
    const result = validate(tree, schema, tree.root[key], [key]);
    if (result.ok) draft[key] = result.output;
    else issues.push(...result.issues);
  }
  return resolveSchemeSettings(draft, { tree, listed: definitions, all, issues });
}

/** Rules between keys; one that needs an invalid section waits until that is mended. */
function ruleIssues(
  tree: Tree,
  draft: Partial<Config>,
  definitions: ReadonlyMap<string, SchemeDefinition>,
): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const refuse = (path: Path, message: string) => {
    issues.push({ ...tree.placeOf(path), path: formatPath(path), message });
  };
  for (const { needs, check } of RULES) {
    if (needs.every((key) => draft[key] !== undefined)) check(draft as Config, { refuse, definitions });
  }
  return issues;
}
