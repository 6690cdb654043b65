/** All rules between keys, and the warnings of a configuration that is valid but should be known about. */
import type { SchemeDefinition } from '../core/scheme.ts';
import { keyRules } from './rules/keys.ts';
import { listenerRules } from './rules/listeners.ts';
import { routeRules } from './rules/routes.ts';
import type { Rule } from './rules/rule.ts';
import { storeRules } from './rules/store.ts';
import type { Config } from './schema.ts';

export const RULES: readonly Rule[] = [...listenerRules, ...storeRules, ...routeRules, ...keyRules];

/** @param cores that this process may use. */
export function warningsOf(
  config: Config,
  definitions: ReadonlyMap<string, SchemeDefinition>,
  cores: number,
): string[] {
  const waived = Object.entries(config.insecure).filter(([, isOn]) => isOn);
  const warnings = waived.map(([name]) => `insecure.${name} is on: ${WAIVED[name as keyof Config['insecure']]}`);
  if (config.envoy.faultResponse === 'error') {
    warnings.push(
      'envoy.faultResponse is error: where failure_mode_allow is true, the proxy lets requests pass while countersign cannot judge',
    );
  }
  if (config.process.verify === 'threadpool' && cores < 2) {
    warnings.push('process.verify is threadpool, but there is only one core: sync is faster here');
  }
  const enrols =
    config.listeners.issuer.enabled && [...definitions.values()].some((definition) => definition.publicKeys);
  if (enrols && config.issuer.audiences.length === 0) {
    warnings.push('issuer.audiences is empty: key enrolment refuses everyone');
  }
  return warnings;
}

const WAIVED: Readonly<Record<keyof Config['insecure'], string>> = {
  plaintextCheck: 'the check listener may be asked in plaintext off loopback',
  plaintextRedis: 'Redis may be reached in plaintext off loopback',
  inlineSecrets: 'secrets may stand in the configuration itself',
  allowShadow: 'routes in shadow mode let every request pass',
  anyOrigin: 'routes without publicOrigins take scheme and host as the client says them',
  freshMemoryStore: 'the memory store accepts proofs made before this start',
  wideAdmin: 'the admin API may be reached in plaintext off loopback',
};
