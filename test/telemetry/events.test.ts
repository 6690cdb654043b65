import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { StoreFault } from '../../src/core/fault.ts';
import { createRig, NOW_MS, type Rig } from './rig.ts';

let rig: Rig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.close());

describe('the store', () => {
  test('counts and times each verb by its result', async () => {
    rig.events.operation('claim', 'claimed', 0.0002);
    rig.events.operation('claim', 'taken', 0.0002);
    rig.events.operation('get', 'full', 0.1);
    const series = await rig.series();
    expect(series.get('countersign_store_operations_total{verb="claim",result="claimed"}')).toBe(1);
    expect(series.get('countersign_store_operations_total{verb="get",result="full"}')).toBe(1);
    expect(series.get('countersign_store_operation_seconds_count{verb="claim"}')).toBe(2);
  });

  test('shows its state as one 1 among 0, and writes a line when it changes', async () => {
    rig.events.state('ok', 'ok');
    rig.events.horizon(NOW_MS, false);
    rig.events.clockOffset(12);
    rig.events.state('down', 'timeout');
    rig.events.state('down', 'down');
    const series = await rig.series();
    expect(series.get('countersign_store_state{state="ok"}')).toBe(0);
    expect(series.get('countersign_store_state{state="down"}')).toBe(1);
    expect(series.get('countersign_store_clock_offset_seconds')).toBe(0.012);
    expect(series.get('countersign_store_horizon_timestamp_seconds')).toBe(NOW_MS / 1000);
    const lines = (await rig.lines()).filter(({ event }) => event === 'store_state');
    expect(lines).toMatchObject([
      { level: 'info', store: 'ok', reason: 'ok' },
      { level: 'error', store: 'down', reason: 'timeout', horizon_ms: NOW_MS, offset_ms: 12 },
    ]);
  });

  test('counts a raised horizon and writes it', async () => {
    rig.events.horizon(NOW_MS, false);
    rig.events.horizon(NOW_MS + 5, true);
    expect((await rig.series()).get('countersign_store_horizon_raises_total')).toBe(1);
    expect(await rig.lines()).toMatchObject([{ event: 'horizon_raised', horizon_ms: NOW_MS + 5 }]);
  });

  test('shows breaker and connections', async () => {
    rig.events.breaker(true);
    rig.events.connections('request', 2);
    const series = await rig.series();
    expect(series.get('countersign_store_breaker_open')).toBe(1);
    expect(series.get('countersign_store_connections{role="request"}')).toBe(2);
  });
});

describe('the configuration', () => {
  test('a refused reload is 0, an error line with the reason, and the hash stays', async () => {
    rig.events.start('aaaaaaaaaaaa', ['threadpool on one core']);
    expect((await rig.series()).get('countersign_config_last_reload_success')).toBe(1);
    rig.clock.advance(1000);
    rig.events.reload({ applied: false, error: 'config.yaml:14 routes.api.sceme: unknown key' });
    const series = await rig.series();
    expect(series.get('countersign_config_last_reload_success')).toBe(0);
    expect(series.get('countersign_config_last_reload_timestamp_seconds')).toBe((NOW_MS + 1000) / 1000);
    expect(series.get('countersign_config_reloads_total{result="refused"}')).toBe(1);
    expect(series.get('countersign_config_info{hash="aaaaaaaaaaaa"}')).toBe(1);
    expect((await rig.lines()).at(-1)).toMatchObject({
      level: 'error',
      event: 'reload',
      config_hash: 'aaaaaaaaaaaa',
      error: expect.stringContaining('sceme'),
    });
  });

  test('an applied reload changes the hash', async () => {
    rig.events.start('aaaaaaaaaaaa', []);
    rig.events.reload({ applied: true, configHash: 'bbbbbbbbbbbb' });
    const series = await rig.series();
    expect(series.get('countersign_config_info{hash="bbbbbbbbbbbb"}')).toBe(1);
    expect(series.get('countersign_config_info{hash="aaaaaaaaaaaa"}')).toBeUndefined();
    expect(series.get('countersign_config_last_reload_success')).toBe(1);
  });

  test('each insecure setting warns once and is 1, until a reload turns it off', async () => {
    rig.events.insecureSettings(['plaintextRedis', 'anyOrigin']);
    rig.events.insecureSettings(['plaintextRedis']);
    const series = await rig.series();
    expect(series.get('countersign_insecure_setting{name="plaintextRedis"}')).toBe(1);
    expect(series.get('countersign_insecure_setting{name="anyOrigin"}')).toBeUndefined();
    expect(await rig.lines()).toMatchObject([
      { level: 'warn', event: 'insecure_setting', detail: 'insecure.plaintextRedis' },
      { level: 'warn', event: 'insecure_setting', detail: 'insecure.anyOrigin' },
    ]);
  });

  test('changed logging settings hold at once', async () => {
    rig.events.setLogging({ decisions: 'all', subjects: 'hash', level: 'error' });
    rig.events.ready();
    rig.events.overrideLogLevel('info', 1000);
    rig.events.ready();
    expect(await rig.lines()).toHaveLength(1);
  });
});

test('keys are shown by use and state with the age of the active one, and gone when they are', async () => {
  rig.events.keysChanged([
    { use: 'wrap', state: 'active', activateAtMs: NOW_MS - 60_000 },
    { use: 'wrap', state: 'retired', activateAtMs: 1 },
    { use: 'wrap', state: 'retired', activateAtMs: 2 },
  ]);
  const before = await rig.series();
  expect(before.get('countersign_keys{use="wrap",state="retired"}')).toBe(2);
  expect(before.get('countersign_key_active_age_seconds{use="wrap"}')).toBe(60);
  rig.events.keysChanged([{ use: 'wrap', state: 'active', activateAtMs: NOW_MS }]);
  expect((await rig.series()).get('countersign_keys{use="wrap",state="retired"}')).toBeUndefined();
  expect((await rig.lines())[0]).toMatchObject({ event: 'keys_changed', detail: 'wrap: active retired retired' });
});

test('issuer requests count by scheme, endpoint and class of status', async () => {
  for (const status of [200, 201, 400, 429, 503])
    rig.events.issuerRequest({ scheme: 'challenge-signature', endpoint: 'challenge', status, durationMs: 1 });
  rig.events.issuerRequest({ endpoint: 'jwks', status: 200, durationMs: 1 });
  const series = await rig.series();
  const count = (status: string) =>
    series.get(
      `countersign_issuer_requests_total{scheme="challenge-signature",endpoint="challenge",status="${status}"}`,
    );
  expect([count('2xx'), count('4xx'), count('429'), count('5xx')]).toEqual([2, 1, 1, 1]);
  expect(series.get('countersign_issuer_requests_total{scheme="none",endpoint="jwks",status="2xx"}')).toBe(1);
  expect(series.get('countersign_issuer_request_duration_seconds_count{scheme="challenge-signature"}')).toBe(5);
});

test("a scheme's own counter counts by its closed labels, and an undefined one is a programmer's mistake", async () => {
  rig.events.count('time_scrambled_resyncs_total', { outcome: 'ahead', profile: 'strict' });
  rig.events.count('time_scrambled_resyncs_total', { outcome: 'alice', profile: 'strict' });
  const series = await rig.series();
  expect(series.get('countersign_time_scrambled_resyncs_total{profile="strict",outcome="ahead"}')).toBe(1);
  expect(series.get('countersign_time_scrambled_resyncs_total{profile="strict",outcome="other"}')).toBe(1);
  expect(() => rig.events.count('unheard_of', {})).toThrow('unheard_of');
});

test("a scheme's own histogram and gauge, and an undefined one is a programmer's mistake", async () => {
  rig.events.observeValue('opaque_job_seconds', { op: 'login_start' }, 0.002);
  rig.events.level('opaque_queue_depth', 3);
  const series = await rig.series();
  expect(series.get('countersign_opaque_job_seconds_bucket{le="0.001",op="login_start"}')).toBe(0);
  expect(series.get('countersign_opaque_job_seconds_bucket{le="0.01",op="login_start"}')).toBe(1);
  expect(series.get('countersign_opaque_queue_depth')).toBe(3);
  expect(() => rig.events.observeValue('unheard_of', {}, 1)).toThrow('unheard_of');
  expect(() => rig.events.level('unheard_of', 1)).toThrow('unheard_of');
});

test('audit lines name actor, action and the hash of the target, and are written before the promise settles', async () => {
  await rig.events.audit({ actor: 'admin', action: 'users.revoke', target: 'alice', outcome: 'revoked' });
  const [line] = await rig.lines();
  expect(line).toMatchObject({ event: 'audit', actor: 'admin', action: 'users.revoke', outcome: 'revoked' });
  expect(line?.['target_hash']).toMatch(/^[A-Za-z0-9_-]{16}$/);
});

test('a crash is written with code and frames and without its message', async () => {
  await rig.events.crash('exception', Object.assign(new TypeError('cannot read canary-1'), { code: 'ERR_X' }));
  const [line] = await rig.lines();
  expect(line).toMatchObject({ level: 'error', event: 'crash', msg: 'uncaught exception' });
  expect(line?.['error']).toMatch(/^TypeError ERR_X\n {4}at .*events\.test/);
  expect(JSON.stringify(line)).not.toContain('canary-1');
});

test('the remaining events count or write', async () => {
  rig.events.shed('delay');
  rig.events.rateLimited('source');
  rig.events.encodeAssertionFailed();
  rig.events.fault('down', new StoreFault('down', 'connection closed'));
  rig.events.cacheLookup('users', 'hit');
  rig.events.certificate('check', NOW_MS);
  rig.events.stage('encode', 0.1);
  rig.events.drain('started');
  rig.events.drain('cut_off');
  rig.events.keysFailed(new Error('secret text'));
  rig.events.misconfiguredProxy('the port speaks HTTP/1.1');
  rig.events.observe({
    checksInFlight: () => 3,
    memoryStoreEntries: () => 17,
    caches: { users: () => 5 },
    loopDelay: () => ({ p50Ms: 0, p99Ms: 4, maxMs: 9 }),
  });
  rig.events.observe({ caches: { buckets: () => 6 } });
  const series = await rig.series();
  expect(Object.fromEntries(series)).toMatchObject({
    'countersign_shed_total{reason="delay"}': 1,
    'countersign_rate_limited_total{bucket="source"}': 1,
    countersign_encode_assertion_failures_total: 1,
    'countersign_faults_total{reason="down"}': 1,
    'countersign_cache_lookups_total{cache="users",result="hit"}': 1,
    'countersign_tls_certificate_expiry_timestamp_seconds{listener="check"}': NOW_MS / 1000,
    'countersign_check_stage_seconds_count{stage="encode"}': 1,
    countersign_checks_in_flight: 3,
    countersign_memory_store_entries: 17,
    'countersign_cache_entries{cache="users"}': 5,
    'countersign_cache_entries{cache="buckets"}': 6,
    'countersign_event_loop_delay_seconds{quantile="0.99",role="single"}': 0.004,
    'countersign_build_info{version="1.2.3",commit="abc",node="v26"}': 1,
    countersign_log_lines_dropped_total: 0,
  });
  expect((await rig.lines()).map(({ event }) => event)).toEqual([
    'fault',
    'fault',
    'drain',
    'drain',
    'keys_changed',
    'misconfigured_proxy',
  ]);
  expect(await rig.text()).not.toContain('secret text');
});
