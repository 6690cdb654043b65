/** A small valid configuration, and what the loader says of one that is not. */
import { ConfigError } from '../../src/config/config-error.ts';
import { loadConfig, type Loaded, type LoadOptions } from '../../src/config/load.ts';
import { schemes } from '../../src/schemes/index.ts';

/** Eight lines; a ninth may be appended at the top level, or within `api` when indented by four. */
export const BASE = `version: 1
store: {type: memory}
schemes: {challenge-signature: {}}
issuer: {audiences: ["https://api.example.com"]}
routes:
  api:
    schemes: [challenge-signature]
    publicOrigins: ["https://api.example.com"]
`;

export function load(text: string, options: Partial<LoadOptions> = {}): Loaded {
  return loadConfig({ text, file: 'config.yaml', env: {}, schemes, ...options });
}

/** Messages of the refusal, one each; empty when the configuration is taken. Anything else that is thrown goes on. */
export function refusals(text: string, options: Partial<LoadOptions> = {}): readonly string[] {
  try {
    load(text, options);
    return [];
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return thrown.message.split('\n');
  }
}

/** A flow map around a value: `nested(['clock', 'skew'], '5s')` is `clock: {skew: 5s}`. */
export function nested(path: readonly string[], value: string): string {
  const [first = '', ...rest] = path;
  const inner = rest.reduceRight((text, key) => `{${key}: ${text}}`, value);
  return `${first}: ${inner}\n`;
}
