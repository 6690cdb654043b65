/** Every route asks for something that can be given, of origins that the operator names, and no two claim one request. */
import type { MatchRule } from '../schema.ts';
import { suggestion } from '../nearest.ts';
import type { Rule } from './rule.ts';

const originsAreNamed: Rule = {
  needs: ['routes', 'insecure'],
  check({ routes, insecure }, { refuse }) {
    for (const [name, { publicOrigins }] of Object.entries(routes)) {
      if (publicOrigins !== undefined || insecure.anyOrigin) continue;
      refuse(
        ['routes', name, 'publicOrigins'],
        'expected a list of origins, got nothing, and it is required (insecure.anyOrigin waives it)',
      );
    }
  },
};

const shadowIsAllowed: Rule = {
  needs: ['routes', 'insecure'],
  check({ routes, insecure }, { refuse }) {
    for (const [name, { mode }] of Object.entries(routes)) {
      if (mode === 'shadow' && !insecure.allowShadow) {
        refuse(
          ['routes', name, 'mode'],
          'expected "enforce": in shadow mode every request passes (insecure.allowShadow allows it)',
        );
      }
    }
  },
};

/** A body that arrived as text is not the bytes that were signed. */
const bodiesAreVisible: Rule = {
  needs: ['routes', 'envoy'],
  check({ routes, envoy }, { refuse }) {
    if (envoy.textBody === 'accept-ascii' && envoy.tier !== 'C') {
      refuse(['envoy', 'textBody'], 'expected "refuse": only tier C has text bodies');
    }
    if (envoy.tier !== 'C' || envoy.textBody === 'accept-ascii') return;
    for (const [name, { body }] of Object.entries(routes)) {
      if (body !== 'none')
        refuse(['routes', name, 'body'], 'expected "none" in tier C, unless envoy.textBody is "accept-ascii"');
    }
  },
};

/** Nothing else can be judged while the store is down: another scheme's proofs are spent there. */
const graceHasAUse: Rule = {
  needs: ['routes', 'directory'],
  check({ routes, directory }, { refuse, definitions }) {
    const storeFree = Object.entries(routes).filter(([, route]) => route.storeFree === 'allow');
    for (const [name, { schemes }] of storeFree) {
      if (schemes.some((scheme) => definitions.get(scheme)?.issuesTokens === true)) continue;
      refuse(['routes', name, 'storeFree'], 'expected "deny": no scheme of this route can judge without the store');
    }
    if (directory.staleOnFault > 0 && storeFree.length === 0) {
      refuse(['directory', 'staleOnFault'], 'expected 0s: no route has storeFree "allow", so it would have no effect');
    }
  },
};

const defaultRouteExists: Rule = {
  needs: ['routes', 'defaultRoute'],
  check({ routes, defaultRoute }, { refuse }) {
    if (defaultRoute === undefined || Object.hasOwn(routes, defaultRoute)) return;
    refuse(['defaultRoute'], `expected the name of a route${suggestion(defaultRoute, Object.keys(routes))}`);
  },
};

/** The longest prefix wins; where two are equally long, the order of a file would decide who is let in. */
const matchesAreDistinct: Rule = {
  needs: ['routes'],
  check({ routes }, { refuse }) {
    const seen: { name: string; index: number; rule: MatchRule }[] = [];
    for (const [name, route] of Object.entries(routes)) {
      for (const [index, rule] of route.match.entries()) {
        const tie = seen.find((other) => other.name !== name && overlap(other.rule, rule));
        if (tie !== undefined) {
          refuse(
            ['routes', name, 'match', index],
            `expected a rule that no other equals in rank; routes.${tie.name}.match[${tie.index}] takes the same requests`,
          );
        }
        seen.push({ name, index, rule });
      }
    }
  },
};

function overlap(a: MatchRule, b: MatchRule): boolean {
  return a.pathPrefix === b.pathPrefix && meet(a.hosts, b.hosts) && meet(a.methods, b.methods);
}

/** An empty list stands for any. */
function meet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === 0 || b.length === 0 || a.some((item) => b.includes(item));
}

export const routeRules: readonly Rule[] = [
  originsAreNamed,
  shadowIsAllowed,
  bodiesAreVisible,
  graceHasAUse,
  defaultRouteExists,
  matchesAreDistinct,
];
