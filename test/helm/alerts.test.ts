import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { promtoolBinary } from '../../scripts/fetch-promtool.ts';
import { root } from '../../scripts/tool.ts';
import { ofKind, render } from './chart.ts';

const rulesFile = join(root, 'deploy', 'alerts.yaml');
const casesFile = join(import.meta.dirname, 'alerts.test.yaml');

test('promtool accepts the rules and every case of them', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-alerts-'));
  try {
    await copyFile(rulesFile, join(folder, 'alerts.yaml'));
    await copyFile(casesFile, join(folder, 'cases.yaml'));
    const binary = await promtoolBinary();
    const promtool = (...args: string[]) => promisify(execFile)(binary, args, { cwd: folder });
    await promtool('check', 'rules', 'alerts.yaml');
    await promtool('test', 'rules', 'cases.yaml');
  } finally {
    await rm(folder, { recursive: true });
  }
}, 120_000);

test('every alert has a case in which it fires', async () => {
  const { groups } = parse(await readFile(rulesFile, 'utf8'));
  const { tests } = parse(await readFile(casesFile, 'utf8'));
  const firing: string[] = tests
    .flatMap(
      ({ alert_rule_test }: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }) => alert_rule_test,
    )
    .filter(({ exp_alerts }: { exp_alerts: unknown[] }) => exp_alerts.length > 0)
    .map(({ alertname }: { alertname: string }) => alertname);
  const names: string[] = groups[0].rules.map(({ alert }: { alert: string }) => alert);
  expect([...new Set(firing)].toSorted()).toEqual(names.toSorted());
});

test('the chart carries the same rules, with the age of keys that its values say', async () => {
  const [rule] = ofKind(await render({ values: 'maximal' }), 'PrometheusRule');
  const text = (await readFile(rulesFile, 'utf8'))
    .replace('7776000 s', '2592000 s')
    .replace('> 7776000', `> ${30 * 86_400}`);
  expect(rule.spec).toEqual(parse(text));
});
