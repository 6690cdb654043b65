import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { DENIAL_CODES, type DenialCode } from '../../src/core/decision.ts';
import { FAULT_REASONS, StoreFault } from '../../src/core/fault.ts';
import { STORE_VERBS } from '../../src/core/store.ts';
import { schemes } from '../../src/schemes/index.ts';
import { isLong } from '../support/long.ts';
import { allowed, failed, refused } from './checks.ts';
import { createRig, seriesOf, type Rig } from './rig.ts';

const FLOOD = isLong ? 1_000_000 : 20_000;
const CODES = Object.keys(DENIAL_CODES) as DenialCode[];

let rig: Rig;
beforeEach(() => {
  rig = createRig({ decisions: 'none', schemes, grpcCompat: true });
});
afterEach(() => rig.close());

test(`series stay below 500 while ${FLOOD} distinct ids, paths, hosts, addresses and routes pass (OP-14)`, async () => {
  for (let index = 0; index < FLOOD; index++) {
    const request = {
      method: `M${index}`,
      authority: `h${index}.example.com`,
      path: `/p${index}`,
      body: { kind: 'absent' },
    } as const;
    const arrival = { source: `2001:db8::${index}`, receivedAtMs: index, proxyTimeMs: index, hasStreamId: true };
    const label = `route-${index % 33}`;
    const route = { name: `route-${index}`, label, shadow: index % 7 === 0, body: 'required' } as const;
    const parts = { request, arrival, route, checkId: `id-${index}` };
    rig.events.decision(allowed({ ...parts, subject: `user-${index}`, keyId: `key-${index}` }));
    rig.events.decision(refused(CODES[index % CODES.length] ?? 'stale', 'detail', parts));
    rig.events.decision(
      failed(FAULT_REASONS[index % FAULT_REASONS.length] ?? 'down', new StoreFault('down', 'gone'), parts),
    );
    rig.events.operation(STORE_VERBS[index % STORE_VERBS.length] ?? 'get', index % 2 === 0 ? 'ok' : 'timeout', 0.001);
    rig.events.issuerRequest({
      scheme: `scheme-${index}`,
      endpoint: `endpoint-${index}`,
      status: 200 + (index % 400),
      durationMs: 1,
    });
    rig.events.cacheLookup(`cache-${index}`, 'hit');
    rig.events.grpcCall('OK', 1);
  }
  const exposition = await rig.exposition();
  expect(seriesOf(exposition).length).toBeLessThanOrEqual(500);
  expect(exposition).not.toMatch(/user-|key-|example\.com|2001:db8|id-\d|scheme-\d|\/p\d/);
  const series = await rig.series();
  const total = [...series]
    .filter(([name]) => name.startsWith('countersign_checks_total'))
    .reduce((sum, [, value]) => sum + value, 0);
  expect(total).toBe(3 * FLOOD);
}, 300_000);

/** With their labels, as the operator's table has them; what a scheme adds comes with it. */
const TABLE: Readonly<Record<string, readonly [type: string, ...labels: string[]]>> = {
  checks_total: ['counter', 'route', 'scheme', 'outcome', 'code'],
  check_duration_seconds: ['histogram', 'scheme', 'outcome'],
  check_stage_seconds: ['histogram', 'stage'],
  checks_in_flight: ['gauge'],
  faults_total: ['counter', 'reason'],
  shed_total: ['counter', 'reason'],
  check_invalid_total: ['counter', 'reason'],
  body_unverifiable_total: ['counter', 'why'],
  encode_assertion_failures_total: ['counter'],
  retries_recognised_total: ['counter', 'scheme'],
  rate_limited_total: ['counter', 'bucket'],
  proof_age_seconds: ['histogram', 'scheme'],
  proxy_clock_offset_seconds: ['gauge'],
  store_operations_total: ['counter', 'verb', 'result'],
  store_operation_seconds: ['histogram', 'verb'],
  store_state: ['gauge', 'state'],
  store_breaker_open: ['gauge'],
  store_clock_offset_seconds: ['gauge'],
  store_horizon_timestamp_seconds: ['gauge'],
  store_horizon_raises_total: ['counter'],
  store_connections: ['gauge', 'role'],
  memory_store_entries: ['gauge'],
  issuer_requests_total: ['counter', 'scheme', 'endpoint', 'status'],
  issuer_request_duration_seconds: ['histogram', 'scheme'],
  opaque_queue_depth: ['gauge'],
  opaque_job_seconds: ['histogram', 'op'],
  time_scrambled_resyncs_total: ['counter', 'profile', 'outcome'],
  time_scrambled_renewals_total: ['counter', 'profile', 'outcome'],
  keys: ['gauge', 'use', 'state'],
  key_active_age_seconds: ['gauge', 'use'],
  tls_certificate_expiry_timestamp_seconds: ['gauge', 'listener'],
  cache_entries: ['gauge', 'cache'],
  cache_lookups_total: ['counter', 'cache', 'result'],
  config_last_reload_success: ['gauge'],
  config_last_reload_timestamp_seconds: ['gauge'],
  config_reloads_total: ['counter', 'result'],
  config_info: ['gauge', 'hash'],
  build_info: ['gauge', 'version', 'commit', 'node'],
  insecure_setting: ['gauge', 'name'],
  event_loop_delay_seconds: ['gauge', 'quantile', 'role'],
  workers: ['gauge', 'state'],
  worker_restarts_total: ['counter', 'reason'],
  log_lines_dropped_total: ['counter'],
};

const loopDelay = () => ({ p50Ms: 1, p99Ms: 1, maxMs: 1 });

test('every metric exists with its type and labels', async () => {
  const { events } = rig;
  const invalid = { source: 'a', receivedAtMs: 1, proxyTimeMs: 1, hasStreamId: false };
  const request = { method: 'GET', authority: 'a', path: '/', body: { kind: 'unverifiable', why: 'length' } } as const;
  events.decision(allowed({ retried: true, arrival: invalid, request }));
  events.decision(failed('down', new StoreFault('down', 'gone')));
  events.shed('delay');
  events.rateLimited('source');
  events.operation('get', 'ok', 0.001);
  events.state('ok', 'ok');
  events.clockOffset(1);
  events.horizon(1, true);
  events.connections('request', 1);
  events.issuerRequest({ endpoint: 'challenge', status: 200, durationMs: 1 });
  events.keysChanged([{ use: 'wrap', state: 'active', activateAtMs: 1 }]);
  events.certificate('check', 1);
  events.cacheLookup('users', 'hit');
  events.observeValue('opaque_job_seconds', { op: 'login_start' }, 0.002);
  events.level('opaque_queue_depth', 3);
  events.count('time_scrambled_resyncs_total', { profile: 'seed', outcome: 'behind' });
  events.count('time_scrambled_renewals_total', { profile: 'seed', outcome: 'committed' });
  events.reload({ applied: true, configHash: 'aaaaaaaaaaaa' });
  events.insecureSettings(['anyOrigin']);
  events.workerRestarted('crash');
  events.observe({ workers: () => [[['ready'], 1]] });
  events.observe({ checksInFlight: () => 1, memoryStoreEntries: () => 1, caches: { users: () => 1 }, loopDelay });

  const exposition = await rig.exposition();
  for (const [name, [type, ...labels]] of Object.entries(TABLE)) {
    expect(exposition).toContain(`# TYPE countersign_${name} ${type}\n`);
    const suffix = type === 'histogram' ? '_count' : '';
    const line = seriesOf(exposition).find((each) => new RegExp(`^countersign_${name}${suffix}[{ ]`).test(each));
    expect([name, [...(line ?? '').matchAll(/(\w+)="/g)].map(([, label]) => label)]).toEqual([name, labels]);
  }
  const known = new Set([
    ...Object.keys(TABLE).map((name) => `countersign_${name}`),
    'countersign_better_auth_events_total',
  ]);
  known.add('grpc_server_handled_total').add('grpc_server_handling_seconds');
  const strangers = [...exposition.matchAll(/# TYPE (\S+)/g)]
    .map(([, name]) => name ?? '')
    .filter((name) => !known.has(name) && !/^(process|nodejs_heap)_/.test(name));
  expect(strangers).toEqual([]);
  expect(exposition).toContain('process_resident_memory_bytes');
  expect(exposition).toContain('nodejs_heap_size_used_bytes');
});

test('what other gRPC servers count is counted with metrics.grpcCompat only', async () => {
  rig.events.grpcCall('OK', 2);
  rig.events.grpcCall('Canceled', 2);
  const series = await rig.series();
  expect(series.get('grpc_server_handled_total{grpc_method="Check",grpc_code="OK"}')).toBe(1);
  expect(series.get('grpc_server_handled_total{grpc_method="Check",grpc_code="Canceled"}')).toBe(1);
  expect(series.get('grpc_server_handling_seconds_count{grpc_method="Check"}')).toBe(2);
  const without = createRig();
  without.events.grpcCall('OK', 2);
  expect(await without.exposition()).not.toContain('grpc_server');
  await without.close();
});
