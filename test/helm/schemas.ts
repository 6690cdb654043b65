/** Judges a manifest as a strict server would: the kind is known, no member is unknown, every value has its type. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Manifest } from './chart.ts';

const folder = join(import.meta.dirname, 'schemas');

/** `apps/v1 Deployment` -> its judge, made when it is asked for. */
const judges = new Map<string, () => ValidateFunction>();

for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
  const { kinds, $defs = {} } = JSON.parse(readFileSync(join(folder, file), 'utf8'));
  const ajv = new Ajv2020({ strict: false, allErrors: true, unicodeRegExp: false, logger: false });
  for (const [kind, schema] of Object.entries(kinds)) {
    let judge: ValidateFunction | undefined;
    judges.set(kind, () => (judge ??= ajv.compile({ $defs, ...(schema as object) })));
  }
}

/** @returns what is wrong, one line each with the path; empty when nothing is. */
export function problemsOf(manifest: Manifest): string[] {
  const kind = `${manifest?.apiVersion} ${manifest?.kind}`;
  const judge = judges.get(kind)?.();
  if (judge === undefined) return [`no schema for ${kind}`];
  if (judge(manifest)) return [];
  return (judge.errors ?? []).map(({ instancePath, message, params }) => {
    const unknown = 'additionalProperty' in params ? ` "${params['additionalProperty']}"` : '';
    return `${kind} ${manifest.metadata?.name}${instancePath}: ${message}${unknown}`;
  });
}
