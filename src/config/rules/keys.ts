/** What the listed schemes need of the rest: keys, a name to sign for, each other. Asked of their definitions; no scheme is known by name here. */
import type { KeyUse } from '../../core/keyring.ts';
import type { Rule } from './rule.ts';

const ringIsThere: Rule = {
  needs: ['keys', 'schemes', 'routes'],
  check({ keys, schemes, routes }, { refuse, definitions }) {
    if (keys.ringFile !== undefined) return;
    for (const [name, definition] of definitions) {
      const settings = [schemes[name], ...Object.values(routes).map((route) => route.settings[name])].filter(
        (value) => value !== undefined,
      );
      // The values are what this definition's own schema gave, which the list of definitions can't say in types.
      const uses = new Set(settings.flatMap((value): readonly KeyUse[] => definition.keyUses(value as never)));
      if (uses.size === 0) continue;
      refuse(['keys', 'ringFile'], `expected a path: ${name} needs keys (${[...uses].join(', ')})`);
    }
  },
};

const tokensHaveAnIssuer: Rule = {
  needs: ['issuer', 'schemes'],
  check({ issuer }, { refuse, definitions }) {
    const issuing = [...definitions.values()].find((definition) => definition.issuesTokens);
    if (issuing === undefined) return;
    if (issuer.url === undefined)
      refuse(['issuer', 'url'], `expected an https URL, got nothing, and ${issuing.name} needs it`);
    if (issuer.audiences.length === 0) {
      refuse(['issuer', 'audiences'], `expected a list of origins, got nothing, and ${issuing.name} needs it`);
    }
  },
};

const partnersAreThere: Rule = {
  needs: ['schemes', 'routes'],
  check({ schemes, routes }, { refuse, definitions }) {
    for (const [name, definition] of definitions) {
      const settings = schemes[name];
      const needed = settings === undefined ? undefined : definition.neededScheme?.(settings);
      if (needed === undefined || Object.values(routes).some((route) => route.schemes.includes(needed))) continue;
      refuse(
        ['schemes', name],
        `expected a route that takes ${needed}: with these settings nothing else would let clients in`,
      );
    }
  },
};

export const keyRules: readonly Rule[] = [ringIsThere, tokensHaveAnIssuer, partnersAreThere];
