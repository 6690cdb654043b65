/** Several processes as one scrape sees them. */
import { afterEach, expect, test } from '@jest/globals';
import { addCounts, expositionOf, type Snapshot } from '../../src/telemetry/together.ts';
import { allowed } from './checks.ts';
import { createRig, seriesOf, type Rig } from './rig.ts';

const rigs: Rig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});

function processOf(tell: (events: Rig['events']) => void): Promise<Snapshot> {
  const rig = createRig({ decisions: 'none' });
  rigs.push(rig);
  tell(rig.events);
  return rig.events.snapshot();
}

async function seen(...snapshots: readonly Snapshot[]): Promise<Map<string, number>> {
  const lines = seriesOf(await expositionOf(snapshots));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

test('counts and sizes add up; of states, clocks and delays the largest counts, of certificates the one that ends first', async () => {
  const one = await processOf((events) => {
    events.decision(allowed());
    events.state('ok', 'ok');
    events.clockOffset(10);
    events.certificate('check', 5000);
    events.observe({ caches: { users: () => 3 }, loopDelay: () => ({ p50Ms: 1, p99Ms: 2, maxMs: 3 }) });
  });
  const other = await processOf((events) => {
    events.decision(allowed());
    events.decision(allowed());
    events.state('down', 'down');
    events.clockOffset(20);
    events.certificate('check', 4000);
    events.observe({ caches: { users: () => 4 }, loopDelay: () => ({ p50Ms: 4, p99Ms: 5, maxMs: 6 }) });
  });
  const sum = await seen(one, other);
  expect(sum.get('countersign_checks_total{route="api",scheme="challenge-signature",outcome="allow",code="ok"}')).toBe(
    3,
  );
  expect(sum.get('countersign_check_duration_seconds_count{scheme="challenge-signature",outcome="allow"}')).toBe(3);
  expect(sum.get('countersign_cache_entries{cache="users"}')).toBe(7);
  expect(sum.get('countersign_store_state{state="ok"}')).toBe(1);
  expect(sum.get('countersign_store_state{state="down"}')).toBe(1);
  expect(sum.get('countersign_store_clock_offset_seconds')).toBe(0.02);
  expect(sum.get('countersign_tls_certificate_expiry_timestamp_seconds{listener="check"}')).toBe(4);
  expect(sum.get('countersign_event_loop_delay_seconds{quantile="0.99",role="single"}')).toBe(0.005);
  expect(sum.get('countersign_build_info{version="1.2.3",commit="abc",node="v26"}')).toBe(1);
});

test('what the first says of the configuration holds for all', async () => {
  const supervisor = await processOf((events) => events.reload({ applied: false, error: 'no' }));
  const worker = await processOf(() => undefined);
  expect((await seen(supervisor, worker)).get('countersign_config_last_reload_success')).toBe(0);
});

test('what an ended process counted stays, its sizes go', async () => {
  const ended = await processOf((events) => {
    events.decision(allowed());
    events.observe({ caches: { users: () => 3 } });
  });
  const remains = addCounts(addCounts([], ended), ended);
  const sum = await seen(await processOf((events) => events.decision(allowed())), remains);
  expect(sum.get('countersign_checks_total{route="api",scheme="challenge-signature",outcome="allow",code="ok"}')).toBe(
    3,
  );
  expect(sum.get('countersign_check_duration_seconds_count{scheme="challenge-signature",outcome="allow"}')).toBe(3);
  expect(sum.has('countersign_cache_entries{cache="users"}')).toBe(false);
});
