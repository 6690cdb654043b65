/**
 * Settings of schemes, by the schemes' own schemas: those under `schemes.<name>`, and for each route the complete settings of its
 * schemes with its overrides merged in.
 */
import type { SchemeDefinition } from '../core/scheme.ts';
import { formatPath, quote, type ConfigIssue, type Path } from './config-error.ts';
import { suggestion } from './nearest.ts';
import type { Config, RouteConfig } from './schema.ts';
import { emptyMap, isRawMap, type RawMap, type Tree } from './tree.ts';
import { unknownKeys } from './unknown-keys.ts';
import { validate } from './validate.ts';

export interface SchemeSettingsParts {
  readonly tree: Tree;
  /** Those that the file lists, by name. */
  readonly listed: ReadonlyMap<string, SchemeDefinition>;
  /** All that there are. */
  readonly all: readonly SchemeDefinition[];
  /** What is wrong is added here. */
  readonly issues: ConfigIssue[];
}

/**
 * @param draft sections that are valid by themselves.
 * @returns the same with `schemes` and `routes` resolved. A scheme whose settings are wrong is missing there, and the rest stays, so
 *   that the rules still see it: with an issue nothing of this is used.
 */
export function resolveSchemeSettings(
  draft: Readonly<Record<string, unknown>>,
  parts: SchemeSettingsParts,
): Partial<Config> {
  const resolved: Record<string, unknown> = { ...draft };
  if (isRawMap(draft['schemes'])) resolved['schemes'] = schemesOf(draft['schemes'], parts);
  if (isRawMap(draft['routes'])) resolved['routes'] = routesOf(draft['routes'], parts);
  return resolved;
}

function schemesOf(schemes: RawMap, { tree, listed, all, issues }: SchemeSettingsParts): RawMap {
  const outputs = emptyMap();
  for (const [name, settings] of Object.entries(schemes)) {
    const path = ['schemes', name];
    const definition = listed.get(name);
    if (definition === undefined) {
      const known = all.map((one) => one.name);
      issues.push(issueAt(tree, path, `unknown scheme${suggestion(name, known)}; there are ${known.join(', ')}`));
      continue;
    }
    issues.push(...unknownKeys(tree, definition.settings, settings, path));
    const result = validate(tree, definition.settings, settings, path);
    if (result.ok) outputs[name] = result.output;
    else issues.push(...result.issues);
  }
  return outputs;
}

function routesOf(routes: RawMap, parts: SchemeSettingsParts): RawMap {
  const outputs = emptyMap();
  for (const [name, route] of Object.entries(routes)) {
    outputs[name] = { ...(route as RouteConfig), settings: routeSettings(name, route as RouteConfig, parts) };
  }
  return outputs;
}

function routeSettings(routeName: string, route: RouteConfig, { tree, listed, issues }: SchemeSettingsParts): RawMap {
  const at = ['routes', routeName];
  for (const [index, name] of route.schemes.entries()) {
    if (listed.has(name)) {
      if (route.schemes.indexOf(name) !== index)
        issues.push(issueAt(tree, [...at, 'schemes', index], 'expected each scheme once'));
      continue;
    }
    const known = [...listed.keys()];
    issues.push(
      issueAt(
        tree,
        [...at, 'schemes', index],
        `expected a scheme listed under schemes, got ${quote(name)}${suggestion(name, known)}`,
      ),
    );
  }
  for (const name of Object.keys(route.settings)) {
    if (route.schemes.includes(name)) continue;
    issues.push(
      issueAt(
        tree,
        [...at, 'settings', name],
        `unknown key${suggestion(name, route.schemes)}: the route does not take this scheme`,
      ),
    );
  }

  const outputs = emptyMap();
  for (const name of route.schemes) {
    const definition = listed.get(name);
    if (definition === undefined) continue;
    const overrides = (route.settings[name] ?? emptyMap()) as RawMap;
    const path = [...at, 'settings', name];
    for (const key of Object.keys(overrides)) {
      if (definition.perRoute.includes(key)) continue;
      issues.push(
        issueAt(
          tree,
          [...path, key],
          `unknown key${suggestion(key, definition.perRoute)}: a route may set ${definition.perRoute.join(', ')}`,
        ),
      );
    }
    const whole = tree.root['schemes'];
    const base = isRawMap(whole) && isRawMap(whole[name]) ? whole[name] : emptyMap();
    const result = validate(tree, definition.settings, { ...base, ...overrides }, path);
    if (result.ok) outputs[name] = result.output;
    // What is wrong with the scheme's own settings is said there already.
    else
      issues.push(
        ...result.issues.filter(({ below: [first] }) =>
          first === undefined ? Object.keys(overrides).length > 0 : Object.hasOwn(overrides, first),
        ),
      );
  }
  return outputs;
}

function issueAt(tree: Tree, path: Path, message: string): ConfigIssue {
  return { ...tree.placeOf(path), path: formatPath(path), message };
}
