/** What a rule between keys looks like. It runs when all the sections that it reads are valid by themselves. */
import type { Path } from '../config-error.ts';
import type { SchemeDefinition } from '../../core/scheme.ts';
import type { Config } from '../schema.ts';

export interface RuleContext {
  /** Says what is wrong at a path: `expected ...`. */
  refuse(path: Path, message: string): void;
  /** By name, those that the file lists. */
  readonly definitions: ReadonlyMap<string, SchemeDefinition>;
}

export interface Rule {
  readonly needs: readonly (keyof Config)[];
  check(config: Config, context: RuleContext): void;
}
