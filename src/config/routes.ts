/**
 * Which route a request belongs to, and what that route asks. Envoy names the route; matching by host and path is for proxies that
 * can't. Everything is laid out once, at load: a Check only looks up.
 */
import type { BodyPolicy, RoutePolicy } from '../core/request.ts';
import type { Scheme } from '../core/scheme.ts';
import type { Config, MatchRule, RouteConfig } from './schema.ts';

export interface Route {
  readonly name: string;
  /** Of metrics: the name, or `other` beyond `metrics.maxRoutes`. */
  readonly label: string;
  /** In order: the first whose credentials are present decides. */
  readonly schemes: readonly { readonly scheme: Scheme; readonly policy: RoutePolicy }[];
  /** Null: any (`insecure.anyOrigin`). */
  readonly publicOrigins: readonly { readonly scheme: 'http' | 'https'; readonly authority: string }[] | null;
  readonly body: BodyPolicy;
  /** `;` in the path is `malformed`. */
  readonly refusePathParameters: boolean;
  readonly stripCredentials: boolean;
  /** A cached user may serve while the store is down. */
  readonly storeFree: boolean;
  /** Refusals and faults are counted, and the request passes without an identity. */
  readonly shadow: boolean;
  readonly tenant: string;
  readonly realm: string;
}

/** What a rule is compared with: bytes as the proxy has them. */
export interface Matchable {
  /** Lower case, default port left out. */
  readonly authority: string;
  /** Path and query, raw. */
  readonly target: string;
  readonly method: string;
}

export interface RouteTable {
  byName(name: string): Route | undefined;
  /** The route whose rule fits best, else the default route, else undefined, which is `route_unknown`. */
  match(request: Matchable): Route | undefined;
  /** In the order of the file. */
  readonly routes: readonly Route[];
}

/** @param schemes by name, one for each of `config.schemes`. */
export function createRouteTable(config: Config, schemes: ReadonlyMap<string, Scheme>): RouteTable {
  const byName = new Map<string, Route>();
  const rules: Rule[] = [];
  for (const [name, settings] of Object.entries(config.routes)) {
    const label = byName.size < config.metrics.maxRoutes ? name : 'other';
    const route = createRoute(name, label, settings, schemes);
    byName.set(name, route);
    rules.push(...settings.match.map((rule) => ({ ...rule, route })));
  }
  // Longest prefix first, so that the first fit is the best; the loader has refused ties.
  rules.sort((a, b) => b.pathPrefix.length - a.pathPrefix.length);
  const defaultRoute = config.defaultRoute === undefined ? undefined : byName.get(config.defaultRoute);

  return {
    byName: (name) => byName.get(name),
    match: (request) =>
      rules.find(isDangerousTarget(request.target) ? takesEverything : (rule) => fits(rule, request))?.route ??
      defaultRoute,
    routes: [...byName.values()],
  };
}

interface Rule extends MatchRule {
  readonly route: Route;
}

function createRoute(name: string, label: string, settings: RouteConfig, schemes: ReadonlyMap<string, Scheme>): Route {
  const storeFree = settings.storeFree === 'allow';
  const { body, tenant, realm, audience } = settings;
  return Object.freeze({
    name,
    label,
    schemes: settings.schemes.map((schemeName) => {
      const scheme = schemes.get(schemeName);
      if (scheme === undefined) throw new Error(`scheme ${schemeName} of route ${name} was not created`);
      return {
        scheme,
        policy: Object.freeze({
          route: name,
          body,
          tenant,
          realm,
          audience,
          storeFree,
          options: settings.settings[schemeName],
        }),
      };
    }),
    publicOrigins: settings.publicOrigins?.map(splitOrigin) ?? null,
    body,
    refusePathParameters: settings.refusePathParameters,
    stripCredentials: settings.stripCredentials,
    storeFree,
    shadow: settings.mode === 'shadow',
    tenant,
    realm,
  });
}

function splitOrigin(origin: string): { scheme: 'http' | 'https'; authority: string } {
  const scheme = origin.startsWith('https://') ? 'https' : 'http';
  return { scheme, authority: origin.slice(scheme.length + '://'.length) };
}

/**
 * Spellings that a proxy, a router and a server may read as different paths: under them a prefix proves nothing.
 * A URL parser would hide them, so the raw bytes are searched.
 */
export function isDangerousTarget(target: string): boolean {
  return /\/\/|\/\.{1,2}(?=[/?]|$)|%2[ef]|%5c|[\\;]/i.test(target);
}

/** True for a rule that restricts nothing: the only one that a dangerous target may match. */
function takesEverything(rule: MatchRule): boolean {
  return rule.hosts.length === 0 && rule.methods.length === 0 && rule.pathPrefix === '/';
}

function fits(rule: MatchRule, { authority, target, method }: Matchable): boolean {
  return (
    hasPathPrefix(target, rule.pathPrefix) &&
    (rule.hosts.length === 0 || rule.hosts.includes(authority)) &&
    (rule.methods.length === 0 || rule.methods.includes(method))
  );
}

/** Byte prefix that ends where a path segment does: `/api` takes `/api`, `/api/x` and `/api?x`, never `/apix`. */
function hasPathPrefix(target: string, prefix: string): boolean {
  if (!target.startsWith(prefix)) return false;
  const next = target.charAt(prefix.length);
  return prefix.endsWith('/') || next === '' || next === '/' || next === '?';
}
