/**
 * What an operator must have set on each primary, told to `validate --against-store`. The service itself needs but a part of it and
 * may not read the rest: what its user is not allowed to ask is `unknown`, never taken for right.
 */
import { createRedisClusterLink } from './redis-cluster-link.ts';
import { storeFault } from './redis-errors.ts';
import { createRedisLink, type RedisNode } from './redis-link.ts';
import type { ReadSecret } from './redis-options.ts';
import { durableReplicasOf, type RedisSettings } from './redis-settings.ts';
import { readServerReport, type ServerReport } from './server-report.ts';

export interface Finding {
  /** `redis 7.4.0`, by what it says of itself. */
  readonly server: string;
  readonly setting: string;
  readonly wanted: string;
  /** Null when it can't be asked. */
  readonly found: string | null;
  readonly verdict: 'right' | 'wrong' | 'unknown';
}

const LOOK_MS = 20;

/** @returns the findings of every primary; none when no connection came within `timeoutMs`. */
export async function surveyRedis(
  settings: RedisSettings,
  readSecret: ReadSecret,
  timeoutMs: number,
): Promise<readonly Finding[]> {
  const createLink = settings.mode === 'cluster' ? createRedisClusterLink : createRedisLink;
  const events = { up() {}, down() {}, count() {} };
  const link = createLink({ settings, socketTimeoutMs: settings.socketTimeout, readSecret, events });
  try {
    link.open();
    for (let waitedMs = 0; link.primaries().length === 0 && waitedMs < timeoutMs; waitedMs += LOOK_MS)
      await new Promise((done) => setTimeout(done, LOOK_MS));
    return (await Promise.all(link.primaries().map((node) => survey(node, settings)))).flat();
  } finally {
    await link.close();
  }
}

interface Rule {
  readonly setting: string;
  readonly wanted: string;
  isRight(value: string): boolean;
  /** Only asked where there are replicas, or in a Cluster. */
  readonly of?: 'replication' | 'cluster';
}

const exactly = (setting: string, wanted: string, of?: Rule['of']): Rule => ({
  setting,
  wanted,
  isRight: (value) => value === wanted,
  ...(of !== undefined && { of }),
});
const within = (setting: string, least: number, most: number, of: Rule['of']): Rule => ({
  setting,
  wanted: most === Number.POSITIVE_INFINITY ? `at least ${least}` : `${least} to ${most}`,
  isRight: (value) => /^[0-9]+$/.test(value) && Number(value) >= least && Number(value) <= most,
  ...(of !== undefined && { of }),
});

/** Told by INFO: whoever may serve may ask it. */
const TOLD: readonly (Rule & { told(report: ServerReport): string })[] = [
  { ...exactly('role', 'master'), told: (report) => report.role },
  { ...exactly('maxmemory-policy', 'noeviction'), told: (report) => report.evictionPolicy },
];

/** Told by CONFIG GET alone. */
const CONFIGURED: readonly Rule[] = [
  within('maxmemory', 1, Number.POSITIVE_INFINITY, undefined),
  exactly('appendonly', 'yes'),
  exactly('appendfsync', 'everysec'),
  within('min-replicas-to-write', 1, Number.POSITIVE_INFINITY, 'replication'),
  within('min-replicas-max-lag', 1, 2, 'replication'),
  exactly('replica-read-only', 'yes', 'replication'),
  exactly('replica-serve-stale-data', 'no', 'replication'),
  within('repl-diskless-sync-delay', 0, 1, 'replication'),
  within('cluster-node-timeout', 5000, Number.POSITIVE_INFINITY, 'cluster'),
];

/** Of other machines, or of people. */
const ELSEWHERE: readonly (Pick<Rule, 'setting' | 'wanted'> & { readonly mode?: RedisSettings['mode'] })[] = [
  { setting: 'Sentinel down-after-milliseconds', wanted: 'at least 5000', mode: 'sentinel' },
  { setting: 'Sentinels', wanted: '3, quorum 2, on separate hosts', mode: 'sentinel' },
  { setting: 'database', wanted: 'its own' },
  { setting: 'time', wanted: 'NTP with slewing' },
];

async function survey(node: RedisNode, settings: RedisSettings): Promise<Finding[]> {
  const report = readServerReport(await node.send('info', []));
  const server = `${report.server.name} ${report.server.version}`;
  const replicas = durableReplicasOf(settings);
  const applies = ({ of }: Rule) =>
    of === undefined ||
    (of === 'cluster' ? settings.mode === 'cluster' : settings.mode !== 'single' || report.connectedReplicas > 0);
  const rules = CONFIGURED.filter(applies);
  const values = await configOf(
    node,
    rules.map(({ setting }) => setting),
  );
  const connected = within('connected replicas', replicas, Number.POSITIVE_INFINITY, undefined);
  return [
    ...[...TOLD, { ...connected, told: () => String(report.connectedReplicas) }].map((rule) =>
      finding(server, rule, rule.told(report)),
    ),
    ...rules.map((rule) => finding(server, rule, values.get(rule.setting) ?? null)),
    ...ELSEWHERE.filter(({ mode }) => mode === undefined || mode === settings.mode).map(
      ({ setting, wanted }): Finding => ({ server, setting, wanted, found: null, verdict: 'unknown' }),
    ),
  ];
}

function finding(server: string, { setting, wanted, isRight }: Rule, found: string | null): Finding {
  const verdict = found === null ? 'unknown' : isRight(found) ? 'right' : 'wrong';
  return { server, setting, wanted, found, verdict };
}

/** Empty where the user may not ask. @throws {StoreFault} any other trouble. */
async function configOf(node: RedisNode, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  try {
    const reply = await node.send('config', ['get', ...names]);
    // A map by RESP3; by RESP2 names and values by turns.
    if (!Array.isArray(reply)) return new Map(Object.entries(reply as Record<string, string>));
    const flat = reply as string[];
    return new Map(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? ''] as const] : [])));
  } catch (thrown) {
    const fault = storeFault(thrown);
    if (fault.reason === 'auth' || fault.reason === 'protocol') return new Map();
    throw fault;
  }
}
