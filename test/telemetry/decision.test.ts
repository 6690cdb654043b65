import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { CheckInvalid, Fault, StoreFault } from '../../src/core/fault.ts';
import { allowed, failed, refused } from './checks.ts';
import { createRig, type Rig } from './rig.ts';

let rig: Rig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.close());

async function again(options: Parameters<typeof createRig>[0]): Promise<Rig> {
  await rig.close();
  rig = createRig(options);
  return rig;
}

describe('the metrics of a Check', () => {
  test('count its route, scheme, outcome and true code, and time it and its stages', async () => {
    rig.events.decision(allowed());
    rig.events.decision(refused('unknown_credential'));
    rig.events.decision(failed('timeout', new StoreFault('timeout', 'slow')));
    const series = await rig.series();
    const scheme = 'challenge-signature';
    expect(series.get(`countersign_checks_total{route="api",scheme="${scheme}",outcome="allow",code="ok"}`)).toBe(1);
    expect(
      series.get(`countersign_checks_total{route="api",scheme="${scheme}",outcome="deny",code="unknown_credential"}`),
    ).toBe(1);
    expect(series.get(`countersign_checks_total{route="api",scheme="${scheme}",outcome="fault",code="timeout"}`)).toBe(
      1,
    );
    expect(series.get(`countersign_check_duration_seconds_count{scheme="${scheme}",outcome="allow"}`)).toBe(1);
    expect(
      series.get(`countersign_check_duration_seconds_bucket{le="0.00025",scheme="${scheme}",outcome="allow"}`),
    ).toBe(0);
    expect(
      series.get(`countersign_check_duration_seconds_bucket{le="0.0005",scheme="${scheme}",outcome="allow"}`),
    ).toBe(1);
    expect(series.get('countersign_check_stage_seconds_count{stage="store"}')).toBe(3);
    expect(series.get('countersign_check_stage_seconds_sum{stage="store"}')).toBeCloseTo(0.0012);
    expect(series.get(`countersign_proof_age_seconds_bucket{le="5",scheme="${scheme}"}`)).toBe(3);
    expect(series.get('countersign_faults_total{reason="timeout"}')).toBe(1);
    expect(series.get('countersign_proxy_clock_offset_seconds')).toBe(-0.25);
  });

  test('count under none what was refused before route and scheme were known', async () => {
    const unread = {
      route: undefined,
      request: undefined,
      arrival: undefined,
      stages: {},
      proofAgeMs: undefined,
      checkId: '',
    };
    rig.events.decision({
      ...failed('check_invalid', new CheckInvalid('undecodable', 'no Check')),
      ...unread,
      decision: {
        outcome: 'fault',
        reason: 'check_invalid',
        retryAfterSeconds: 1,
        cause: new CheckInvalid('undecodable', 'no Check'),
      },
    });
    const series = await rig.series();
    expect(
      series.get('countersign_checks_total{route="none",scheme="none",outcome="fault",code="check_invalid"}'),
    ).toBe(1);
    expect(series.get('countersign_check_invalid_total{reason="undecodable"}')).toBe(1);
  });

  test('tell a shadow refusal from a real one', async () => {
    const route = { name: 'api', label: 'api', shadow: true, body: 'required' } as const;
    rig.events.decision(refused('stale', 'old', { route }));
    rig.events.decision(failed('down', new StoreFault('down', 'gone'), { route }));
    rig.events.decision(allowed({ route }));
    const codes = [...(await rig.series()).keys()].filter((name) => name.startsWith('countersign_checks_total'));
    expect(codes.map((name) => /outcome="(\w+)"/.exec(name)?.[1])).toEqual(['shadow_deny', 'shadow_fault', 'allow']);
  });

  test('count a recognised retry', async () => {
    rig.events.decision(allowed({ retried: true }));
    rig.events.decision(allowed());
    expect((await rig.series()).get('countersign_retries_recognised_total{scheme="challenge-signature"}')).toBe(1);
  });
});

describe('what only a wrong proxy does', () => {
  const request = {
    method: 'POST',
    authority: 'a',
    path: '/',
    body: { kind: 'unverifiable', why: 'no_marker' },
  } as const;

  test('is an error once a minute per route, and counted each time', async () => {
    for (let index = 0; index < 50; index++) rig.events.decision(refused('body_unverifiable', 'body', { request }));
    expect((await rig.series()).get('countersign_body_unverifiable_total{why="no_marker"}')).toBe(50);
    const lines = (await rig.lines()).filter(({ event }) => event === 'misconfigured_proxy');
    expect(lines).toMatchObject([{ level: 'error', route: 'api', reason: 'no_marker' }]);
  });

  test('is not a body cut at the limit: that is counted and no error', async () => {
    rig.events.decision(
      refused('body_unverifiable', 'body', { request: { ...request, body: { kind: 'unverifiable', why: 'partial' } } }),
    );
    expect((await rig.series()).get('countersign_body_unverifiable_total{why="partial"}')).toBe(1);
    expect((await rig.lines()).map(({ event }) => event)).toEqual(['decision']);
  });

  test('is not an unbuffered body where the route asks for none', async () => {
    rig.events.decision(allowed({ request, route: { name: 'feed', label: 'feed', shadow: false, body: 'none' } }));
    expect((await rig.series()).get('countersign_body_unverifiable_total{why="no_marker"}')).toBeUndefined();
  });

  test('is a Check without stream id: counted no_stream_id', async () => {
    rig.events.decision(allowed({ arrival: { source: 'a', receivedAtMs: 1, proxyTimeMs: null, hasStreamId: false } }));
    expect((await rig.series()).get('countersign_check_invalid_total{reason="no_stream_id"}')).toBe(1);
    expect(await rig.lines()).toContainEqual(
      expect.objectContaining({ event: 'misconfigured_proxy', reason: 'no_stream_id' }),
    );
  });
});

describe('the line of a Check', () => {
  test('of an allow holds hashes of subject and key', async () => {
    rig.events.decision(allowed());
    const [line] = await rig.lines();
    expect(line).toMatchObject({
      event: 'decision',
      check_id: 'K5eNXMK1e6uh4_FTMW58zw',
      route: 'api',
      scheme: 'challenge-signature',
      outcome: 'allow',
      code: 'ok',
      duration_us: 500,
    });
    expect(line?.['subject']).toMatch(/^[A-Za-z0-9_-]{16}$/);
    expect(line?.['key']).toMatch(/^[A-Za-z0-9_-]{16}$/);
    expect(JSON.stringify(line)).not.toContain('alice');
    expect(line).not.toHaveProperty('source');
  });

  test('of an allow holds the subject in clear only when asked to', async () => {
    (await again({ subjects: 'plain' })).events.decision(allowed());
    expect((await rig.lines())[0]?.['subject']).toBe('alice');
  });

  test('of a refusal holds method, authority, source and the hash of the path', async () => {
    rig.events.decision(refused('stale'));
    const [line] = await rig.lines();
    expect(line).toMatchObject({
      outcome: 'deny',
      code: 'stale',
      detail: 'timestamp off by 41000 ms',
      method: 'POST',
      authority: 'api.example.com',
      source: '192.0.2.7',
    });
    // First 8 bytes of SHA-256("/transfer").
    expect(line?.['path_hash']).toBe('b75623c67ec463cb');
    expect(line).not.toHaveProperty('path');
  });

  test('holds the path without query at debug', async () => {
    (await again({ level: 'debug' })).events.decision(refused('stale'));
    expect((await rig.lines())[0]?.['path']).toBe('/transfer');
  });

  test('is left out as log.decisions says, and metrics go on', async () => {
    for (const [decisions, outcomes] of [
      ['all', ['allow', 'deny', 'fault']],
      ['denials', ['deny', 'fault']],
      ['none', []],
    ] as const) {
      await again({ decisions });
      rig.events.decision(allowed());
      rig.events.decision(refused('stale'));
      rig.events.decision(failed('down', new StoreFault('down', 'gone')));
      const lines = (await rig.lines()).filter(({ event }) => event === 'decision');
      expect(lines.map(({ outcome }) => outcome)).toEqual(outcomes);
      expect((await rig.series()).get('countersign_check_stage_seconds_count{stage="store"}')).toBe(3);
    }
  });

  test('of a fault says why, and a flood of them writes the fault itself once a minute', async () => {
    for (let index = 0; index < 100; index++) rig.events.decision(failed('internal', new Fault('internal', 'a bug')));
    const lines = await rig.lines();
    expect(lines.filter(({ event }) => event === 'fault')).toMatchObject([
      { level: 'error', reason: 'internal', error: 'a bug' },
    ]);
    expect(lines.filter(({ event }) => event === 'decision')).toHaveLength(100);
  });
});

test('a decision that cannot be recorded does not throw: the Check would stay unanswered', async () => {
  const request = {
    method: 'GET',
    authority: 'a',
    get path(): string {
      throw new Error('no path');
    },
    body: { kind: 'absent' },
  } as const;
  expect(() => rig.events.decision(refused('stale', 'old', { request }))).not.toThrow();
  rig.events.decision(allowed({ proofAgeMs: Number.NaN, durationMs: Number.NaN }));
  expect(await rig.lines()).toContainEqual(expect.objectContaining({ event: 'fault', reason: 'internal' }));
});
