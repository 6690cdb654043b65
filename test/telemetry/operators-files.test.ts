import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { DENIAL_CODES } from '../../src/core/decision.ts';
import { STORE_FAULT_REASONS } from '../../src/core/fault.ts';
import { KEY_USES } from '../../src/core/keyring.ts';
import { UNVERIFIABLE_REASONS } from '../../src/core/request.ts';
import { STORE_STATES } from '../../src/core/store.ts';
import { schemes } from '../../src/schemes/index.ts';
import { OUTCOMES } from '../../src/telemetry/metrics.ts';
import { createRig, type Rig } from './rig.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (...path: string[]) => readFileSync(join(root, ...path), 'utf8');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}
const rules: readonly Rule[] = parse(read('deploy', 'alerts.yaml')).groups[0].rules;

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}
const dashboard: { uid: string; panels: readonly Panel[]; templating: unknown } = JSON.parse(
  read('deploy', 'dashboard.json'),
);
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => [title, expr] as const),
);

let rig: Rig;
/** Metric -> its type, as `/metrics` shows them. */
let exposed: ReadonlyMap<string, string>;

beforeAll(async () => {
  rig = createRig({ schemes });
  const lines = (await rig.exposition()).matchAll(/^# TYPE (\S+) (\S+)$/gm);
  exposed = new Map([...lines].map(([, name = '', type = '']) => [name, type]));
});
afterAll(() => rig.close());

/** Metrics that a text names, without what Envoy exposes and without its cluster countersign_issuer. */
function metricsIn(expr: string): string[] {
  return [...expr.matchAll(/\b(?!countersign_issuer\b)(?:countersign|process|nodejs)_[a-z0-9_]+/g)].map(
    ([name]) => name,
  );
}

function isExposed(name: string): boolean {
  const ofHistogram = /^(.+)_(?:bucket|sum|count)$/.exec(name)?.[1];
  return exposed.has(name) || exposed.get(ofHistogram ?? '') === 'histogram';
}

test.each(rules.map(({ alert, expr }) => [alert, expr]))('%s asks only for metrics that exist', (_alert, expr) => {
  expect(metricsIn(expr).filter((name) => !isExposed(name))).toEqual([]);
});

test.each(queries)('the panel "%s" asks only for metrics that exist: %s', (_title, expr) => {
  expect(metricsIn(expr).filter((name) => !isExposed(name))).toEqual([]);
});

test('a counter is asked for its rate and a gauge for its value', () => {
  const wrong = [...rules.map(({ alert, expr }) => [alert, expr] as const), ...queries].flatMap(([where, expr]) =>
    [...expr.matchAll(/\b(rate|increase)\((countersign_[a-z0-9_]+)/g)]
      .filter(([, , name = '']) => exposed.get(name) === 'gauge')
      .map(([found]) => `${where}: ${found}`),
  );
  expect(wrong).toEqual([]);
});

test('every metric is shown or is alerted on', () => {
  const asked = new Set(
    [...rules.map(({ expr }) => expr), ...queries.map(([, expr]) => expr), JSON.stringify(dashboard)].flatMap(
      metricsIn,
    ),
  );
  const unseen = [...exposed.keys()].filter(
    (name) => name.startsWith('countersign_') && ![name, `${name}_bucket`].some((each) => asked.has(each)),
  );
  expect(unseen).toEqual([]);
});

/** Label -> the values that a matcher may name. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  code: [...Object.keys(DENIAL_CODES), 'ok'],
  env: ['dev'],
  outcome: OUTCOMES,
  quantile: ['0.5', '0.99', '1'],
  result: [...STORE_FAULT_REASONS, 'hit'],
  state: STORE_STATES,
  use: KEY_USES,
  why: UNVERIFIABLE_REASONS,
};

test('every matcher names a value that its label can have', () => {
  const matchers = [...rules.map(({ expr }) => expr), ...queries.map(([, expr]) => expr)].flatMap((expr) => [
    ...expr.matchAll(/(\w+)(?:!?=~?)"([^"$]+)"/g),
  ]);
  for (const [found, label = '', values = ''] of matchers) {
    if (label === 'envoy_cluster_name') continue;
    expect([found, values.split('|').filter((value) => VALUES[label]?.includes(value) !== true)]).toEqual([found, []]);
  }
});

test('every alert says what is wrong and where it is explained', () => {
  for (const { labels, annotations } of rules) {
    expect(['page', 'warn']).toContain(labels.severity);
    expect(annotations['summary']).toMatch(/\S/);
    const [file = '', anchor] = (annotations['runbook_url'] ?? '').split('#');
    const headings = [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, text = '']) =>
      text
        .toLowerCase()
        .replaceAll(/[^a-z0-9 -]/g, '')
        .replaceAll(' ', '-'),
    );
    if (anchor !== undefined) expect(headings).toContain(anchor);
  }
});

test('every alert that the runbook must have is there', () => {
  const runbook = read('docs', 'monitoring.md');
  for (const { alert } of rules) expect(runbook).toContain(`| ${alert} |`);
});

test('the dashboard keeps its address and its panels theirs', () => {
  expect(dashboard.uid).toBe('countersign');
  const ids = dashboard.panels.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});

test('nothing else is deployed with a name of a metric that is gone', () => {
  for (const file of readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))) {
    const unknown = metricsIn(read('docs', file)).filter((name) => name.startsWith('countersign_') && !isExposed(name));
    expect([file, unknown]).toEqual([file, []]);
  }
});
